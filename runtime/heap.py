"""Keeps what stays for long from the garbage collector, which would walk over all of it again and again. No other I/O.

What is frozen is freed as ever when nobody refers to it any more, but a cycle in it is not found. So when many have
gone, all is thawed, collected and frozen anew. That stops the process as long as a full collection does: 0.3 s with
5,000 connections on a busy core, where one over what is not frozen takes no time.
"""

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from msgspec import Struct

PERIOD_S: Final = 1.0
GROWN: Final = 100
"""Fewer that came are left to the collector; and fewer than a tenth of all."""
GONE: Final = 1_000
"""Garbage of fewer that went is left where it is; and of fewer than a quarter of all."""
THRESHOLDS: Final = (20_000, 20, 50)
"""How many new objects the collector waits for. Its own 700 make it a fifth of what a new connection costs."""
CALM: Final = 10
"""More that come or go between two looks are a burst; and more than a fiftieth of all."""


class Census(Struct, frozen=True):
    """How many of what stays for long are here now, and how many have gone since the beginning."""

    here: int
    gone: int


class Heap:
    """Decides when to freeze, by how many are here; freezes."""

    def __init__(self) -> None:
        self._seen = 0
        self._frozen: int | None = None
        """How many were here when all was frozen; None before."""
        self._gone = 0

    def look(self, census: Census) -> None:
        """See how many there are: freeze what has come, at once; thaw after many have gone, when it is calm."""
        here, calm = census.here, abs(census.here - self._seen) <= max(CALM, census.here // 50)
        self._seen = here
        if self._frozen is None or (calm and census.gone - self._gone >= max(GONE, here // 4)):
            gc.unfreeze()
            gc.collect()
            self._gone = census.gone
        elif here - self._frozen < max(GROWN, here // 10):
            self._frozen = min(self._frozen, here)
            return
        gc.freeze()
        self._frozen = here


async def tend(count: Callable[[], Census]) -> None:
    """Look once a second, and have the collector look less often, until cancelled; then all is thawed."""
    heap, thresholds = Heap(), gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        while True:
            heap.look(count())
            await asyncio.sleep(PERIOD_S)
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
