"""LoopFeed: a market that costs next to nothing, ticks made beforehand and repeated. Pure; the clock is an argument."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from engine.feeds.feed import FeedState, FeedStatus
from engine.sessions import ALWAYS, Sessions
from engine.ticks import QuoteBatch, TickBatch, TickFlag
from signal_service.bench.markets import START_NS
from wire.market import NS_PER_MS, NS_PER_S

VENUE: Final = "BENCH"
GRACE_NS: Final = 250 * NS_PER_MS
# One step takes no more than this when there is more to catch up with.
_STRIDE_NS: Final = 2 * NS_PER_S
_MAX_STEPS: Final = 100_000


class LoopFeed:
    """Repeats ticks made beforehand as `clock_ns` goes on: `past` over the `past_s` seconds before now, then `live`.

    Each is of ticks received within `block_s` seconds from START_NS on. `steps_ms` are the times from one drain to
    the next, of the newest so many.
    """

    def __init__(
        self,
        past: TickBatch,
        live: TickBatch,
        *,
        block_s: int,
        instruments: Sequence[str],
        past_s: int,
        clock_ns: Callable[[], int],
    ) -> None:
        self.venue = VENUE
        self.instruments = instruments
        self.grace_ns = GRACE_NS
        self.sessions: Sessions = ALWAYS
        self.recorded = False
        self.behind = False
        self.steps_ms: deque[float] = deque(maxlen=_MAX_STEPS)
        self._past = past
        self._live = live
        self._block_ns = block_s * NS_PER_S
        self._clock_ns = clock_ns
        self._live_ns = clock_ns()
        self._start_ns = (self._live_ns - past_s * NS_PER_S) // NS_PER_S * NS_PER_S
        self._block_at_ns = self._start_ns
        self._place = 0
        self._drained_ns = self._start_ns
        self._told: list[TickBatch] = []
        self._ticks = 0

    def tell(self, slot: int, price: float) -> None:
        """A lone trade comes in now."""
        now_ns = np.array([self._clock_ns()])
        instrument, flags = np.array([slot], np.int32), np.array([int(TickFlag.ORDINARY)], np.uint8)
        self._told.append(TickBatch(instrument, np.array([price]), np.array([1.0]), now_ns, now_ns, flags))

    def now_ns(self) -> int:
        """The clock's time, or as far behind it as one step may go."""
        now_ns = self._clock_ns()
        reach_ns = self._drained_ns + _STRIDE_NS
        self.behind = now_ns > reach_ns + _STRIDE_NS
        return min(now_ns, reach_ns) if self.behind else max(now_ns, self._drained_ns)

    def drain(self, now_ns: int) -> TickBatch:
        """Everything received up to `now_ns` that was not given yet."""
        self.steps_ms.append((now_ns - self._drained_ns) / NS_PER_MS)
        self._drained_ns = now_ns
        batches = []
        while True:
            block = self._past if self._block_at_ns < self._live_ns else self._live
            shift_ns = self._block_at_ns - START_NS
            stop = int(np.searchsorted(block.received_ns, now_ns - shift_ns, side="right"))
            if stop > self._place:
                batches.append(block[self._place : stop].later(shift_ns))
                self._place = stop
            if now_ns < self._block_at_ns + self._block_ns:
                break
            self._block_at_ns += self._block_ns
            self._place = 0
        batches += self._told
        self._told = []
        batch = TickBatch.join(batches)
        self._ticks += len(batch)
        return batch

    def take_quotes(self) -> QuoteBatch | None:
        """None: there are no quotes."""
        return None

    def take_new_kinds(self) -> Sequence[str]:
        """None: nothing is unknown."""
        return ()

    def status(self) -> FeedStatus:
        """Up for ever."""
        return FeedStatus(state=FeedState.UP, since_ms=self._start_ns // NS_PER_MS, lag_ms=1, ticks=self._ticks)

    async def run(self) -> None:
        """Nothing: the ticks are there."""
