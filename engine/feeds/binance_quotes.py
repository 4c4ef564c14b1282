"""The newest best bid and ask of each symbol, from Binance's `bookTicker` frames. Pure; no I/O."""

import math
from bisect import bisect_right
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct

from engine.feeds.binance_kinds import NO_MESSAGE
from engine.ticks import QuoteBatch
from wire.market import NS_PER_MS

# When so many wait, the older ones may be given before their time: a recording may hold any number between two trades.
_MOST_WAITING: Final = 1 << 16

_Time = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]


class _Quote(Struct, frozen=True, gc=False):
    """A quote under Binance's names, or the combined stream's envelope of one. T, in ms, is left out by spot."""

    b: float = math.nan
    B: float = math.nan
    a: float = math.nan
    A: float = math.nan
    T: _Time | None = None
    data: "_Quote | None" = None


class BinanceQuotes:
    """Frames are kept until somebody asks, and then only the newest of each slot is decoded.

    Spot says no time of the event: it counts as received when it happened. What makes no sense is left out.
    """

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Quote, strict=False)
        self._received_ns: list[int] = []
        self._waiting: list[tuple[int, int, bytes]] = []
        self._newest: dict[int, tuple[int, int, bytes]] = {}

    def hold(self, slot: int, received_ns: int, frame: bytes) -> None:
        """Take in a frame of the symbol in this slot, in order of receipt."""
        self._received_ns.append(received_ns)
        self._waiting.append((received_ns, slot, frame))
        if len(self._waiting) > _MOST_WAITING:
            self.settle(self._received_ns[_MOST_WAITING // 2])

    def settle(self, until_ns: int) -> None:
        """Forget all but the newest of each slot of what was received up to `until_ns`."""
        count = bisect_right(self._received_ns, until_ns)
        if count:
            self._newest.update((each[1], each) for each in self._waiting[:count])
            del self._received_ns[:count], self._waiting[:count]

    def take(self, until_ns: int) -> QuoteBatch | None:
        """The newest of each slot received up to `until_ns`, those that were not given yet; None without any."""
        self.settle(until_ns)
        if not self._newest:
            return None
        slots, rows = [], []
        for received_ns, slot, frame in sorted(self._newest.values(), key=lambda each: each[:2]):
            quote = self._decode(frame)
            if quote is not None:
                slots.append(slot)
                rows.append((quote.b, quote.a, quote.B, quote.A, _event_ns(quote, received_ns), received_ns))
        self._newest = {}
        if not rows:
            return None
        bid, ask, bid_size, ask_size, event_ns, at_ns = zip(*rows, strict=True)
        return QuoteBatch(
            np.array(slots, np.int32),
            np.array(bid, np.float64),
            np.array(ask, np.float64),
            np.array(bid_size, np.float64),
            np.array(ask_size, np.float64),
            np.array(event_ns, np.int64),
            np.array(at_ns, np.int64),
        )

    def _decode(self, frame: bytes) -> _Quote | None:
        try:
            quote = self._decoder.decode(frame)
        except NO_MESSAGE:
            return None
        quote = quote if quote.data is None else quote.data
        sound = (
            0 < quote.b < math.inf and 0 < quote.a < math.inf and 0 <= quote.B < math.inf and 0 <= quote.A < math.inf
        )
        return quote if sound else None


def _event_ns(quote: _Quote, received_ns: int) -> int:
    return received_ns if quote.T is None else quote.T * NS_PER_MS
