"""Synthetic: a market that nobody trades on, the same from one seed at every start. Pure; the clock is an argument."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.feeds.feed import FeedState, FeedStatus
from engine.sessions import ALWAYS
from engine.ticks import QuoteBatch, TickBatch, TickFlag
from wire.market import NS_PER_MS, NS_PER_S

VENUE: Final = "DEMO"
GRACE_NS: Final = 250 * NS_PER_MS
_MAX_LATENCY_NS: Final = 50 * NS_PER_MS
# One step takes about so many ticks when there is more to catch up with.
_STRIDE_TICKS: Final = 20_000
# So many trades or so are made at once.
_BLOCK_TICKS: Final = 4_000
_FAR_NS: Final = 1 << 62
# A year's standard deviation of about 0.8, as of a crypto currency, for a second.
_VOLATILITY: Final = 1.5e-4
_SPREAD: Final = 5e-5
_BOUGHT: Final = np.uint8(TickFlag.ORDINARY | TickFlag.BUY)
_SOLD: Final = np.uint8(TickFlag.ORDINARY | TickFlag.SELL)


class Market:
    """Prices that walk at random, made in blocks of `block_s` seconds; the arguments alone decide what comes.

    `rate` is the mean number of trades in a second over all instruments; the first ones trade most.
    """

    def __init__(self, instruments: int, rate: float, seed: int) -> None:
        self.block_s = min(16, max(1, int(_BLOCK_TICKS / rate)))
        self._random = np.random.default_rng(seed)
        self._rate = rate
        share = 1 / np.arange(1, instruments + 1) ** 0.7
        self._share = np.cumsum(share / share.sum())
        self._log_price = self._random.uniform(np.log(0.5), np.log(50_000), instruments)
        # Prices have five digits, sizes three for a trade of some hundred units of money.
        magnitude = np.floor(self._log_price / np.log(10))
        self._ticks_per_unit = 10.0 ** np.clip(4 - magnitude, 0, 8)
        self._lots_per_unit = 10.0 ** np.clip(magnitude, 0, 8)
        self._log_agitation = 0.0
        self._next_id = np.ones(instruments, np.int64)
        self._received_ns = 0

    def block(self, start_ns: int) -> TickBatch:
        """The trades of the `block_s` seconds from `start_ns` on; blocks are asked for in order, each once."""
        random, width, seconds = self._random, len(self._share), self.block_s
        before, step = self._walk()
        counts = random.poisson(self._rate, seconds)
        count = int(counts.sum())
        second = np.repeat(np.arange(seconds), counts)
        at_ms = np.sort(second * 1000 + random.integers(0, 1000, count))
        slot = np.searchsorted(self._share, random.random(count), side="right").clip(max=width - 1)
        buying = random.random(count) < 0.5
        drift = step[second, slot] * (at_ms / 1000 - second)
        drift += np.where(buying, _SPREAD, -_SPREAD) * random.standard_exponential(count)
        scale, lots = self._ticks_per_unit[slot], self._lots_per_unit[slot]
        price = np.maximum(np.rint(np.exp(before[second, slot] + drift) * scale), 1) / scale
        worth = np.exp(6 + 1.2 * random.standard_normal(count))
        size = np.maximum(np.rint(worth / price * lots), 1) / lots
        event_ns = start_ns + at_ms * NS_PER_MS
        flags = np.where(buying, _BOUGHT, _SOLD)
        ids = self._numbered(slot)
        return TickBatch(slot.astype(np.int32), price, size, event_ns, self._receive(event_ns), flags, ids)

    def quotes(self, batch: TickBatch) -> QuoteBatch:
        """The best bid and ask behind each trade: the last price is between them, or one of them.

        They are one spread apart, at least one tick, and as large as the trade.
        """
        scale = self._ticks_per_unit[batch.instrument]
        last = np.rint(batch.price * scale)
        spread = np.maximum(np.rint(last * (2 * _SPREAD)), 1)
        bought = (batch.flags & TickFlag.BUY) > 0
        ask = np.where(bought, last, last + spread)
        bid = np.maximum(ask - spread, 0.5)
        return QuoteBatch(
            batch.instrument, bid / scale, ask / scale, batch.size, batch.size, batch.event_ns, batch.received_ns
        )

    def _numbered(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """The ids of trades in order, which count from 1 for each instrument."""
        order = np.argsort(slot, kind="stable")
        counts = np.bincount(slot, minlength=len(self._next_id))
        before = np.repeat(np.cumsum(counts) - counts, counts)
        ids = np.empty(len(slot), np.int64)
        ids[order] = np.repeat(self._next_id, counts) + np.arange(len(slot)) - before
        self._next_id += counts
        return ids

    def _walk(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the logarithms of the prices stand at the start of each second, and the way they go in it."""
        shocks = self._random.standard_normal(self.block_s)
        step = _VOLATILITY * self._random.standard_normal((self.block_s, len(self._share)))
        for second, shock in enumerate(shocks.tolist()):
            self._log_agitation = 0.995 * self._log_agitation + 0.05 * shock
            step[second] *= math.exp(self._log_agitation)
        path = self._log_price + np.cumsum(step, axis=0)
        self._log_price = path[-1]
        return path - step, step

    def _receive(self, event_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times of receipt a few ms later; one connection delivers in order."""
        latency_ns = NS_PER_MS + 2 * NS_PER_MS * self._random.standard_exponential(len(event_ns))
        received_ns = np.minimum(latency_ns, _MAX_LATENCY_NS).astype(np.int64) + event_ns
        if len(received_ns):
            np.maximum.accumulate(received_ns, out=received_ns)
            np.maximum(received_ns, self._received_ns, out=received_ns)
            self._received_ns = received_ns.item(-1)
        return received_ns


class Synthetic:
    """The market as a feed, from the whole second of `start_ns` on, for `duration_s` seconds or for ever.

    With a `clock_ns` (ns since the epoch, UTC) it is live: what lies between the start and now is given as fast as it
    is taken. Without one nothing is waited for, and it counts as recorded.
    """

    def __init__(
        self,
        instruments: int = 20,
        rate: float = 200.0,
        seed: int = 1,
        duration_s: int | None = None,
        *,
        start_ns: int,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        self.venue = VENUE
        self.instruments: Sequence[str] = tuple(f"S{number:02}" for number in range(1, instruments + 1))
        self.grace_ns = GRACE_NS
        self.sessions = ALWAYS
        self.recorded = clock_ns is None
        self.behind = False
        self._market = Market(instruments, rate, seed)
        self._clock_ns = clock_ns
        self._stride_ns = max(1, int(_STRIDE_TICKS / rate)) * NS_PER_S
        self._start_ns = start_ns // NS_PER_S * NS_PER_S
        self._end_ns = _FAR_NS if duration_s is None else self._start_ns + duration_s * NS_PER_S
        self._next_ns = self._start_ns
        self._drained_ns = self._start_ns
        self._pending = TickBatch.empty()
        self._newest = TickBatch.empty()
        self._ticks = 0
        self._lag_ns = 0

    def now_ns(self) -> int:
        """The clock's time, or as far behind it as one step may go."""
        # The last ticks come in a latency after the end, and that is where time ends.
        last_ns = self._end_ns + _MAX_LATENCY_NS
        reach_ns = min(self._drained_ns + self._stride_ns, last_ns)
        due_ns = last_ns if self._clock_ns is None else self._clock_ns()
        self.behind = min(due_ns, last_ns) > reach_ns
        return max(self._drained_ns, min(due_ns, reach_ns))

    def drain(self, now_ns: int) -> TickBatch:
        """Everything received up to `now_ns` that was not given yet."""
        made = [self._pending]
        while self._next_ns < self._end_ns and self._next_ns <= now_ns:
            block = self._market.block(self._next_ns)
            made.append(block[: int(np.searchsorted(block.event_ns, self._end_ns))])
            self._next_ns += self._market.block_s * NS_PER_S
        waiting = TickBatch.join(made)
        count = int(np.searchsorted(waiting.received_ns, now_ns, side="right"))
        batch, self._pending = waiting[:count], waiting[count:]
        self._drained_ns = max(self._drained_ns, now_ns)
        if len(batch):
            self._ticks += len(batch)
            self._lag_ns = batch.received_ns.item(-1) - batch.event_ns.item(-1)
            self._newest = self._newest_of(batch)
        return batch

    def take_quotes(self) -> QuoteBatch | None:
        """The newest quote of each symbol up to the last drain, those not given yet; None without any."""
        newest, self._newest = self._newest, TickBatch.empty()
        return self._market.quotes(newest) if len(newest) else None

    def take_new_kinds(self) -> Sequence[str]:
        """None: all that comes is known."""
        return ()

    def status(self) -> FeedStatus:
        """Up from the start to the end, then closed."""
        closed = self._next_ns >= self._end_ns and len(self._pending) == 0
        return FeedStatus(
            state=FeedState.CLOSED if closed else FeedState.UP,
            since_ms=(self._end_ns if closed else self._start_ns) // NS_PER_MS,
            lag_ms=self._lag_ns // NS_PER_MS,
            ticks=self._ticks,
        )

    async def run(self) -> None:
        """Nothing: the market is made when it is asked for."""

    def _newest_of(self, batch: TickBatch) -> TickBatch:
        """The newest trade of each instrument that traded since quotes were taken last, in order."""
        trades = TickBatch.join([self._newest, batch]) if len(self._newest) else batch
        last = np.full(len(self.instruments), -1, np.intp)
        last[trades.instrument] = np.arange(len(trades))  # Of several in one place numpy keeps the last.
        return trades.pick(np.sort(last[last >= 0]))
