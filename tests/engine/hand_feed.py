"""A feed that the test plays by hand, on a clock that it moves."""

from collections.abc import Sequence

import numpy as np

from engine.feeds.feed import FeedState, FeedStatus
from engine.sessions import ALWAYS
from engine.ticks import QuoteBatch, TickBatch
from wire.market import NS_PER_S, Instrument, Tick

START_NS = 1_704_067_200 * NS_PER_S
"""2024-01-01T00:00Z: the first second of every day and bar."""


class HandFeed:
    """Gives the trades that `trade` was called for; its clock stands at the newest of them, or where it was moved."""

    def __init__(self, venue: str = "DEMO", instruments: Sequence[str] = ("S01", "S02")) -> None:
        self.venue = venue
        self.instruments = tuple(instruments)
        self.grace_ns = NS_PER_S // 4
        self.sessions = ALWAYS
        self.recorded = True
        self.behind = False
        self.closed = False
        self.down = False
        self._slots = {symbol: slot for slot, symbol in enumerate(instruments)}
        self._now_ns = START_NS
        self._ticks: list[Tick] = []
        self._quotes: list[tuple[int, float, int]] = []

    def trade(
        self, at_s: float, price: float, *, symbol: str = "S01", size: float = 1.0, received_s: float | None = None
    ) -> None:
        """A trade so many seconds after the start, received when it happened unless that is told."""
        at_ns = START_NS + round(at_s * NS_PER_S)
        received_ns = at_ns if received_s is None else START_NS + round(received_s * NS_PER_S)
        self._ticks.append(Tick(Instrument(self.venue, symbol), price, size, at_ns, received_ns))
        self._now_ns = max(self._now_ns, received_ns)

    def quote(self, at_s: float, bid: float, *, symbol: str = "S01") -> None:
        """A quote so many seconds after the start; the ask is one above, and the sizes are 2 and 3."""
        at_ns = START_NS + round(at_s * NS_PER_S)
        self._quotes.append((self._slots[symbol], bid, at_ns))
        self._now_ns = max(self._now_ns, at_ns)

    def move_to(self, at_s: float) -> None:
        """Nothing more comes in from before so many seconds after the start."""
        self._now_ns = max(self._now_ns, START_NS + round(at_s * NS_PER_S))

    def end(self) -> None:
        """The recording is over."""
        self.closed = True

    def now_ns(self) -> int:
        return self._now_ns

    def drain(self, now_ns: int) -> TickBatch:
        taken = [tick for tick in self._ticks if tick.received_ns <= now_ns]
        self._ticks = [tick for tick in self._ticks if tick.received_ns > now_ns]
        return TickBatch.of(taken, self._slots)

    def take_quotes(self) -> QuoteBatch | None:
        """Those that were not taken yet."""
        quotes, self._quotes = self._quotes, []
        if not quotes:
            return None
        slots, bids, times = (np.array(column) for column in zip(*quotes, strict=True))
        two, three = np.full(len(quotes), 2.0), np.full(len(quotes), 3.0)
        return QuoteBatch(slots.astype(np.int32), bids, bids + 1, two, three, times, times)

    def take_new_kinds(self) -> Sequence[str]:
        """None: there are no messages."""
        return ()

    def status(self) -> FeedStatus:
        state = FeedState.CLOSED if self.closed and not self._ticks else FeedState.UP
        state = FeedState.DOWN if self.down else state
        return FeedStatus(state, since_ms=0, lag_ms=0, unknown=3, duplicates=2, gaps=1, refused=4)

    async def run(self) -> None:
        return
