"""VenueBars: ticks of one venue into its closed and forming bars of every timeframe. Pure; no I/O.

A batch is cut where the watermark crosses a boundary: fold, close, go on. What comes out depends only on the sequence
of ticks, byte for byte, never on where it was cut into batches.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.ring import Ring
from engine.rollup import BASE_NS, Ladder, Partial, Rolled
from engine.ticks import TickBatch
from engine.watermark import AHEAD_NS, Watermark
from wire.market import Timeframe

# Where the boundary lies before the first tick and after the end: no watermark comes so far.
_NOWHERE: Final = 1 << 62
# More open bars than out of order ticks need, so that a batch of many seconds is folded in few steps.
_ROWS: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A bar of all slots that has closed, and its timeframe."""

    timeframe: Timeframe
    bar: Columns


class VenueBars:
    """The bars of one venue of `width` slots whose ticks come on one connection.

    ``grace_ns`` is how long a bar waits for trades behind the newest, ``idle_ns`` how much longer when nothing comes.
    `timeframes` are those handed out, of each the last `history` closed bars are kept. ``ticks`` counts all that came,
    ``late`` those whose bar had closed, ``refused`` those stamped more than a second ahead of the corrected clock;
    ``late_ticks`` are the late ones of the last fold.
    """

    def __init__(
        self,
        width: int,
        *,
        grace_ns: int,
        idle_ns: int = 500_000_000,
        timeframes: Sequence[Timeframe] = tuple(Timeframe),
        history: int = 1024,
    ) -> None:
        self.width = width
        self.ticks = 0
        self.late = 0
        self.late_ticks = TickBatch.empty()
        self._watermark = Watermark(grace_ns=grace_ns, idle_ns=idle_ns)
        self._ring = Ring(width, max(_ROWS, -(-(grace_ns + AHEAD_NS) // BASE_NS) + 2))
        self._ladder = Ladder(timeframes)
        self._history: dict[Timeframe, deque[Columns]] = {each: deque(maxlen=history) for each in timeframes}
        self._boundary_ns = _NOWHERE
        self._finished = False
        self._last_close = np.full(width, np.nan)
        self._newest_ns = np.zeros(width, np.int64)
        self._nothing = np.zeros(width)
        self._none = np.zeros(width, np.int64)
        for shared in (self._nothing, self._none):
            shared.flags.writeable = False
        self._changed = np.zeros(width, np.bool_)
        self._seen = self._none
        self._forming: dict[Timeframe, Columns] = {}

    @property
    def refused(self) -> int:
        """How many ticks were stamped too far ahead of the corrected clock."""
        return self._watermark.refused

    def fold(self, batch: TickBatch) -> list[Closed]:
        """Take ticks in order of receipt; the bars that they close, by boundary, shortest timeframe first at each."""
        self.late_ticks = TickBatch.empty()
        if len(batch) == 0:
            return []
        self.ticks += len(batch)
        passage = self._watermark.observe(batch.event_ns, batch.received_ns)
        if self._boundary_ns == _NOWHERE and not self._finished:  # The first tick ever, which is never refused.
            self._boundary_ns = int(batch.event_ns[0]) // BASE_NS * BASE_NS
        end_ns = (batch.event_ns // BASE_NS + 1) * BASE_NS
        dropped = (end_ns <= passage.before_ns) | (end_ns <= self._boundary_ns)
        after_ns = passage.after_ns
        if passage.refused is not None:
            late = dropped & ~passage.refused
            dropped |= passage.refused
        else:
            late = dropped
        if dropped.any():
            self.late_ticks = batch.pick(late)
            self.late += len(self.late_ticks)
            kept = ~dropped
            batch, end_ns, after_ns = batch.pick(kept), end_ns[kept], after_ns[kept]
        closed = self._fold_and_close(batch, end_ns, after_ns)
        return closed + self._close_until(self._watermark.value_ns)

    def advance(self, now_ns: int) -> list[Closed]:
        """The bars that time alone closes: `now_ns`, on the clock of receipt, up to which all ticks were folded."""
        return self._close_until(self._watermark.advance(now_ns))

    def finish(self) -> list[Closed]:
        """The end of a recording: close each bar that has begun, by its end, shortest first.

        A tick that is folded after it is late.
        """
        if self._boundary_ns == _NOWHERE:
            return []
        newest_ns = self._ring.newest(self._boundary_ns)
        closed = [] if newest_ns is None else self._close_until(newest_ns + BASE_NS)
        closed += self._record(self._ladder.finish(self._boundary_ns))
        self._boundary_ns = _NOWHERE
        self._finished = True
        self._forming.clear()
        return closed

    def forming(self, timeframe: Timeframe) -> Columns | None:
        """The oldest open bar as it is now, with what is forming below it; None before the first tick and at the end.

        KeyError for a timeframe that is not handed out.
        """
        boundary_ns = self._boundary_ns
        if boundary_ns == _NOWHERE:
            return None
        bar = self._forming.get(timeframe)
        if bar is None:
            base = self._ring.peek(boundary_ns)
            partial = self._ladder.forming(timeframe, base)
            newest_ns = self._newest_ns if base is None else np.maximum(self._newest_ns, base.newest_ns)
            bar = self._hand_out(boundary_ns // timeframe.ns * timeframe.ns, partial, newest_ns)
            self._forming[timeframe] = bar
        return bar

    def history(self, timeframe: Timeframe) -> Sequence[Columns]:
        """The closed bars that are kept, oldest first. KeyError for a timeframe that is not handed out."""
        return tuple(self._history[timeframe])

    def take_changed(self) -> NDArray[np.intp]:
        """The slots whose forming bars have got a trade since this was asked last, rising."""
        changed = self._changed
        self._changed = np.zeros(self.width, np.bool_)
        if self._boundary_ns != _NOWHERE:
            count = self._ring.count(self._boundary_ns)
            changed |= count != self._seen
            self._seen = count.copy()
        return np.flatnonzero(changed)

    def _fold_and_close(self, batch: TickBatch, end_ns: NDArray[np.int64], after_ns: NDArray[np.int64]) -> list[Closed]:
        """Fold ticks of which none is late; close when one would not find room.

        Closing at each crossing of the watermark would close the same: a tick behind the crossing that ends its bar
        is late. So as many bars as the ring holds are folded at once.
        """
        self._forming.clear()
        closed: list[Closed] = []
        furthest_ns = np.maximum.accumulate(end_ns)
        start, length = 0, len(batch)
        while start < length:
            room_ns = self._boundary_ns + self._ring.rows * BASE_NS
            stop = int(np.searchsorted(furthest_ns, room_ns, side="right"))
            if stop > start:
                self._ring.fold(batch[start:stop])
            if stop < length:
                closed += self._close_until(int(after_ns[stop]))
            start = stop
        return closed

    def _close_until(self, watermark_ns: int) -> list[Closed]:
        closed: list[Closed] = []
        while self._boundary_ns + BASE_NS <= watermark_ns:
            closed += self._close()
        return closed

    def _close(self) -> list[Closed]:
        """Close the oldest open base bar, and the longer ones that end with it."""
        base = self._ring.take(self._boundary_ns)
        if base is not None:
            self._changed |= base.count != self._seen
            self._last_close = np.where(np.isnan(base.close), self._last_close, base.close)
            self._newest_ns = np.maximum(self._newest_ns, base.newest_ns)
        self._seen = self._none
        self._boundary_ns += BASE_NS
        self._forming.clear()
        return self._record(self._ladder.close(self._boundary_ns, base))

    def _record(self, rolled: Iterable[Rolled]) -> list[Closed]:
        closed = []
        for each in rolled:
            bar = self._hand_out(each.open_ns, each.partial, self._newest_ns)
            self._history[each.timeframe].append(bar)
            closed.append(Closed(each.timeframe, bar))
        return closed

    def _hand_out(self, open_ns: int, partial: Partial | None, newest_ns: NDArray[np.int64]) -> Columns:
        """Fill with the last close what no trade set. A high or low lies never inside open and close."""
        last = self._last_close
        if partial is None:
            nothing = self._nothing
            return Columns(open_ns, last, last, last, last, nothing, nothing, self._none, newest_ns)
        first = np.where(np.isnan(partial.open), last, partial.open)
        close = np.where(np.isnan(partial.close), last, partial.close)
        high = np.maximum(partial.high, np.maximum(first, close))
        low = np.minimum(partial.low, np.minimum(first, close))
        return Columns(open_ns, first, high, low, close, partial.volume, partial.turnover, partial.count, newest_ns)
