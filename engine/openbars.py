"""OpenBars: the bars of a venue that have not closed, and how they close. Pure; no I/O."""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.columns import Columns
from engine.holes import Holes, HolesState
from engine.past import Past
from engine.rawbar import Filler, RawBar
from engine.ring import Ring
from engine.rollup import BASE, BASE_NS, Ladder, Rolled, RungState
from engine.sessions import Sessions, Stretch
from engine.ticks import TickBatch
from wire.market import Timeframe

# Where the boundary lies before the first tick and after the end: no watermark comes so far.
NOWHERE: Final = 1 << 62
# More open bars than out of order ticks need, so that a batch of many seconds is folded in few steps.
_ROWS: Final = 16


class Closed(Struct, frozen=True, eq=False, gc=False):
    """A bar of all slots that has closed, and its timeframe."""

    timeframe: Timeframe
    bar: Columns


class OpenState(Struct, frozen=True, eq=False):
    """The open bars, and how those before them ended."""

    boundary_ns: int
    first_ns: int
    ring_floats: NDArray[np.float64]
    ring_wholes: NDArray[np.int64]
    rungs: tuple[RungState, ...]
    holes: HolesState
    last_close: NDArray[np.float64]
    newest_ns: NDArray[np.int64]


class OpenBars:
    """The open base bars of `width` slots, and what has closed of the longer ones; what closes goes to `past`.

    ``boundary_ns`` is when the oldest open base bar begins, ``first_ns`` when the first ever began. `ahead_ns` is how
    far behind the newest trade the boundary may lie.
    """

    def __init__(self, width: int, *, ahead_ns: int, past: Past, sessions: Sessions) -> None:
        self.past = past
        self.boundary_ns = NOWHERE
        self.first_ns = NOWHERE
        self.ring = Ring(width, max(_ROWS, -(-ahead_ns // BASE_NS) + 2))
        self.ladder = Ladder(past.history.timeframes)
        self.holes = Holes(width)
        self.last_close = np.full(width, np.nan)
        self.newest_ns = np.zeros(width, np.int64)
        self._sessions = sessions
        self.filler = Filler(width)
        self._stretch: Stretch = sessions.at(0)
        self._changed = np.zeros(width, np.bool_)
        self._seen = self.filler.none
        self._forming: dict[Timeframe, Columns] = {}

    def begin(self, event_ns: int) -> None:
        """The first trade ever has come."""
        self._stretch = self._sessions.at(event_ns)
        self.boundary_ns = self.first_ns = max(event_ns // BASE_NS * BASE_NS, self._stretch.open_ns)

    def fold(self, batch: TickBatch, end_ns: NDArray[np.int64], after_ns: NDArray[np.int64]) -> list[Closed]:
        """Fold ticks of which none is late; close when one would not find room.

        Closing at each crossing of the watermark would close the same: a tick behind the crossing that ends its bar
        is late. So as many bars as the ring holds are folded at once.
        """
        self._forming.clear()
        closed: list[Closed] = []
        furthest_ns = np.maximum.accumulate(end_ns)
        start, length = 0, len(batch)
        while start < length:
            room_ns = self.boundary_ns + self.ring.rows * BASE_NS
            stop = int(np.searchsorted(furthest_ns, room_ns, side="right"))
            if stop > start:
                self.ring.fold(batch[start:stop])
            if stop < length:
                closed += self.close_until(int(after_ns[stop]))
            start = stop
        return closed

    def close_until(self, watermark_ns: int) -> list[Closed]:
        """Close all bars that end by the watermark."""
        closed: list[Closed] = []
        while self.boundary_ns + BASE_NS <= watermark_ns:
            closed += self._close()
        return closed

    def finish(self) -> list[Closed]:
        """Close each bar that has begun, by its end, shortest first. No other begins."""
        if self.boundary_ns == NOWHERE:
            return []
        newest_ns = self.ring.newest(self.boundary_ns)
        closed = [] if newest_ns is None else self.close_until(newest_ns + BASE_NS)
        closed += self._record(self.ladder.finish(self._stretch, self.boundary_ns))
        self.boundary_ns = NOWHERE
        self.past.settle(NOWHERE)
        self._forming.clear()
        return closed

    def forming(self, timeframe: Timeframe, watermark_ns: int) -> Columns | None:
        """The oldest open bar as it is now, with what is forming below it.

        None before the first tick, at the end, and until trade begins again when the venue is closed.
        KeyError for a timeframe that is not handed out.
        """
        boundary_ns = self.boundary_ns
        closed = watermark_ns < boundary_ns and not self.ring.count(boundary_ns).any()
        if boundary_ns == NOWHERE or closed:
            return None
        bar = self._forming.get(timeframe)
        if bar is None:
            base = self.ring.peek(boundary_ns)
            partial, gaps = self.ladder.forming(timeframe, base, self.holes.at(boundary_ns))
            newest_ns = self.newest_ns if base is None else np.maximum(self.newest_ns, base.newest_ns)
            span = self._stretch.bar(timeframe.ns, boundary_ns)
            bar = self.filler.fill(RawBar(*span, self._stretch.session_ns, partial, self.last_close, newest_ns, gaps))
            self._forming[timeframe] = bar
        return bar

    def take_changed(self) -> NDArray[np.intp]:
        """The slots whose forming bars have got a trade since this was asked last, rising."""
        changed = self._changed
        self._changed = np.zeros(len(self.last_close), np.bool_)
        if self.boundary_ns != NOWHERE:
            count = self.ring.count(self.boundary_ns)
            changed |= count != self._seen
            self._seen = count.copy()
        return np.flatnonzero(changed)

    def interrupt(self) -> None:
        """What is open, and what opens from now on, misses trades."""
        self.holes.interrupt()
        self._forming.clear()

    def resume(self, now_ns: int) -> None:
        """What opens at the exchange's time `now_ns` or later misses none."""
        self.holes.resume(now_ns)
        self._forming.clear()

    def mend_last(self, slots: NDArray[np.intp], last: NDArray[np.float64], newest_ns: NDArray[np.int64]) -> None:
        """The last closed bars of some slots ended otherwise."""
        self.last_close, self.newest_ns = self.last_close.copy(), self.newest_ns.copy()
        self.last_close[slots], self.newest_ns[slots] = last, newest_ns
        self._changed[slots] = True

    def mend_forming(self, change: Callable[[RungState, int, int], RungState]) -> None:
        """Replace what the longer bars that form have; `change` is told when each opened and how far it has come."""
        boundary_ns, stretch = self.boundary_ns, self._stretch

        def changed(rung: RungState, below: Timeframe) -> RungState:
            return change(rung, stretch.bar(rung.timeframe.ns, boundary_ns)[0], stretch.bar(below.ns, boundary_ns)[0])

        if boundary_ns != NOWHERE:
            self.ladder.mend(changed)
        self._forming.clear()

    def state(self) -> OpenState:
        """All that is open, but for what is told of changes."""
        floats, wholes = self.ring.state()
        rungs, holes = self.ladder.state(), self.holes.state()
        return OpenState(self.boundary_ns, self.first_ns, floats, wholes, rungs, holes, self.last_close, self.newest_ns)

    def restore(self, state: OpenState) -> None:
        """Go on from what `state` gave. ValueError when it is of another width, grace or of fewer timeframes."""
        self.ring.restore(state.ring_floats, state.ring_wholes)
        self.ladder.restore(state.rungs)
        self.holes.restore(state.holes)
        self.boundary_ns, self.first_ns = state.boundary_ns, state.first_ns
        self.last_close, self.newest_ns = state.last_close, state.newest_ns
        self._stretch = self._sessions.at(self.boundary_ns)

    def _close(self) -> list[Closed]:
        """Close the oldest open base bar, and the longer ones that end with it."""
        base = self.ring.take(self.boundary_ns)
        if base is not None:
            self._changed |= base.count != self._seen
            self.last_close = np.where(np.isnan(base.close), self.last_close, base.close)
            self.newest_ns = np.maximum(self.newest_ns, base.newest_ns)
        self._seen = self.filler.none
        gaps = self.holes.take(self.boundary_ns)
        self.boundary_ns += BASE_NS
        self._forming.clear()
        closed = self._record(self.ladder.close(self._stretch, self.boundary_ns, base, gaps))
        self.past.settle(self.boundary_ns)
        if self.boundary_ns == self._stretch.close_ns:
            self._stretch = self._sessions.at(self.boundary_ns)
            self.boundary_ns = self._stretch.open_ns
        return closed

    def _record(self, rolled: Iterable[Rolled]) -> list[Closed]:
        closed = []
        handed_out = self.past.history.timeframes
        for each in rolled:
            span = (each.open_ns, each.end_ns, self._stretch.session_ns)
            raw = RawBar(*span, each.partial, self.last_close, self.newest_ns, each.gaps)
            if each.timeframe in handed_out:
                bar = self.filler.fill(raw)
                self.past.history.append(each.timeframe, bar)
                closed.append(Closed(each.timeframe, bar))
            if each.timeframe in handed_out or each.timeframe is BASE:
                self.past.keep(each.timeframe, raw)
        return closed
