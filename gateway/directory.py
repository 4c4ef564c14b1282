"""Which instruments exist, as the bus names them; asked again after a while, or on a miss."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.broker import Broker
from gateway.errors import BusUnavailableError
from wire.market import Instrument

FRESH_S: Final = 10.0
TIMEOUT_S: Final = 2.0
"""How long the bus may take to answer."""


class Directory:
    """A cache of the venues' symbols. `monotonic_s` is the clock."""

    def __init__(self, broker: Broker, monotonic_s: Callable[[], float]) -> None:
        self._broker = broker
        self._monotonic_s = monotonic_s
        self._venues: dict[str, tuple[float, frozenset[str]]] = {}
        self._listing: tuple[float, tuple[Instrument, ...]] | None = None
        self._one_lists = asyncio.Lock()

    async def knows(self, venue: str, symbol: str | None) -> bool:
        """Whether the instrument (or, with None, the venue) exists.

        Raises BusUnavailableError when an engine that could know is not there yet, or the bus is not.
        """
        cached = self._venues.get(venue)
        if cached is not None and self._monotonic_s() - cached[0] < FRESH_S and (symbol is None or symbol in cached[1]):
            return True
        async with _in_time():
            symbols = await self._broker.instruments(venue)
            unowned = symbols is None and await self._broker.unowned()
        if unowned:
            raise BusUnavailableError(f"no engine has named the instruments of {venue} yet")
        if symbols is None:
            self._venues.pop(venue, None)
            return False
        self._venues[venue] = (self._monotonic_s(), symbols)
        return symbol is None or symbol in symbols

    async def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, in the order of their names. Raises BusUnavailableError."""
        async with _in_time(), self._one_lists:
            if self._listing is None or self._monotonic_s() - self._listing[0] >= FRESH_S:
                listed = await self._list()
                self._listing = self._monotonic_s(), listed
            return self._listing[1]

    async def _list(self) -> tuple[Instrument, ...]:
        found = []
        for venue in await self._broker.venues():
            found += [Instrument(venue, symbol) for symbol in await self._broker.instruments(venue) or ()]
        return tuple(sorted(found, key=str))


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except TimeoutError:
        raise BusUnavailableError(f"no answer from the bus in {TIMEOUT_S:g} s") from None
