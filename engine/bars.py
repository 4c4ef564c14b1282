"""VenueBars: ticks of one venue into its closed and forming bars of every timeframe. Pure; no I/O.

A batch is cut where the watermark crosses a boundary: fold, close, go on. What comes out depends only on the sequence
of ticks, byte for byte, never on where it was cut into batches. What comes too late corrects a bar beside the bar that
was used, which stays what it was.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.backfill import Backfilled, Hole, Mender
from engine.bars_state import BarsState, BarsStateError
from engine.columns import Columns
from engine.connections import BEHIND_NS, Connections
from engine.gaps import GapMarker
from engine.held import History
from engine.openbars import NOWHERE, Closed, OpenBars
from engine.past import MENDABLE_NS, Past
from engine.revisions import Revision
from engine.rollup import BASE, BASE_NS
from engine.sessions import ALWAYS, Sessions
from engine.ticks import TickBatch, TickFlag
from engine.watermark import AHEAD_NS, Passage
from wire.market import Timeframe

__all__ = ["Closed", "VenueBars"]

_SPECIAL: Final = int(TickFlag.AFTER_GAP | TickFlag.CLOSING)
# How long after the close of its session a closing auction may be reported.
_CLOSING_NS: Final = MENDABLE_NS


class VenueBars:
    """The bars of one venue of `width` slots.

    ``grace_ns`` is how long a bar waits for trades behind the newest, ``idle_ns`` how much longer when nothing comes.
    `timeframes` are those handed out, of each the last `history` closed bars are kept.
    ``ticks`` counts all that came, ``late`` those whose bar had closed, ``too_late`` those of them that corrected
    nothing, ``outside`` those of when the venue was closed, ``refused`` those stamped more than a second ahead of the
    corrected clock; ``late_ticks`` are the late ones of the last fold.
    """

    def __init__(
        self,
        width: int,
        *,
        grace_ns: int,
        idle_ns: int = 500_000_000,
        timeframes: Sequence[Timeframe] = tuple(Timeframe),
        history: int = 1024,
        sessions: Sessions = ALWAYS,
    ) -> None:
        self.width = width
        self.ticks = self.late = self.too_late = self.outside = 0
        self.late_ticks = TickBatch.empty()
        self._connections = Connections(grace_ns=grace_ns, idle_ns=idle_ns)
        self._wait_ns = grace_ns + idle_ns
        self._sessions = sessions
        self._past = Past(History(timeframes, bars=history), sessions)
        self._open = OpenBars(width, ahead_ns=grace_ns + AHEAD_NS + BEHIND_NS, past=self._past, sessions=sessions)

    @property
    def refused(self) -> int:
        """How many ticks were stamped too far ahead of the corrected clock."""
        return self._connections.refused

    def fold(self, batch: TickBatch) -> list[Closed]:
        """Take ticks in order of receipt; the bars that they close, by boundary, shortest timeframe first at each."""
        self.late_ticks = TickBatch.empty()
        if len(batch) == 0:
            return []
        self.ticks += len(batch)
        passage = self._connections.observe(batch)
        special = bool((batch.flags & _SPECIAL).any())
        batch, never = self._place(batch, passage, special=special)
        if self._open.first_ns == NOWHERE:  # The first tick ever, which is never refused.
            self._open.begin(int(batch.event_ns[0]))
        end_ns = (batch.event_ns // BASE_NS + 1) * BASE_NS
        late = (end_ns <= passage.before_ns) | (end_ns <= self._open.boundary_ns)
        dropped = late
        if never is not None:
            late, dropped = late & ~never, late | never
        if special:
            self._mark_gaps(batch, passage, never)
        after_ns = passage.after_ns
        if dropped.any():
            self._correct(batch, late, passage.before_ns - end_ns)
            kept = ~dropped
            batch, end_ns, after_ns = batch.pick(kept), end_ns[kept], after_ns[kept]
        self._past.settle(self._open.boundary_ns)
        closed = self._open.fold(batch, end_ns, after_ns)
        return closed + self._open.close_until(self._connections.value_ns)

    def advance(self, now_ns: int) -> list[Closed]:
        """The bars that time alone closes: `now_ns`, on the clock of receipt, up to which all ticks were folded."""
        return self._open.close_until(self._connections.advance(now_ns))

    def finish(self) -> list[Closed]:
        """The end of a recording: close each bar that has begun, by its end, shortest first.

        A tick that is folded after it is late.
        """
        return self._open.finish()

    def disconnect(self, connection: int) -> None:
        """Wait no more for ticks of a connection, until it brings one again."""
        self._connections.disconnect(connection)

    def interrupt(self) -> None:
        """No trades come: what is open and closes from now on misses some."""
        self._open.interrupt()

    def resume(self) -> None:
        """Trades come again: the bars that begin from now on are whole."""
        self._open.resume(self._connections.value_ns + self._wait_ns + 1)

    def backfill(self, batch: TickBatch, from_ns: int, to_ns: int, slots: NDArray[np.intp]) -> Backfilled | None:
        """Take the trades of some slots' hole over [from_ns, to_ns), fetched after it, in order of event time.

        Those of base bars that closed in the last quarter of an hour become part of the bars as used; the columns
        handed out before stay what they were. ``too_late`` counts the others. None when no closed bar changes.
        """
        slots = np.unique(slots)
        base = self._past.mendable(BASE)
        reach_ns = base[0].open_ns if base else NOWHERE
        known = (batch.event_ns >= reach_ns) & (batch.event_ns < self._open.boundary_ns)
        known &= np.isin(batch.instrument, slots)
        outside = self._sessions.outside(batch.event_ns)
        if outside is not None:
            known &= ~outside
        self.ticks += len(batch)
        self.too_late += len(batch) - int(np.count_nonzero(known))
        return Mender(self._open, self._sessions, Hole(from_ns, to_ns, slots), batch.pick(known)).mend()

    def want(self, timeframes: Collection[Timeframe]) -> None:
        """Which timeframes' closed bars are to be held longest when there are too many bytes of them."""
        self._past.history.want(timeframes)

    def bound_history(self, budget_bytes: int) -> None:
        """Hold at most so many bytes of closed bars from now on."""
        self._past.history.bound(budget_bytes)

    def take_revisions(self) -> list[Revision]:
        """The closed bars corrected since this was asked last, by boundary, timeframe and slot."""
        return self._past.revisions.take()

    def corrected(self, timeframe: Timeframe, open_ns: int, slot: int) -> Revision | None:
        """The newest corrected form of a closed bar; None when it is as it was used.

        KeyError for a timeframe that is not handed out.
        """
        return self._past.revisions.newest(timeframe, open_ns, slot)

    def forming(self, timeframe: Timeframe) -> Columns | None:
        """The oldest open bar as it is now, with what is forming below it.

        None before the first tick, at the end, and until trade begins again when the venue is closed.
        KeyError for a timeframe that is not handed out.
        """
        return self._open.forming(timeframe, self._connections.value_ns)

    def history(self, timeframe: Timeframe) -> Sequence[Columns]:
        """The closed bars that are kept, oldest first. KeyError for a timeframe that is not handed out."""
        return self._past.history[timeframe]

    def take_changed(self) -> NDArray[np.intp]:
        """The slots whose forming bars have got a trade since this was asked last, rising."""
        return self._open.take_changed()

    def state(self) -> BarsState:
        """All that it has come to, for `restore`; what is still to be told by `take_changed` is left out."""
        counts = (self.ticks, self.late, self.too_late, self.outside)
        return BarsState(self.width, counts, self._connections.state(), self._open.state(), self._past.state())

    def restore(self, state: BarsState) -> None:
        """Go on where `state` was given; only for bars that have folded nothing, and are set up as those were.

        Raises BarsStateError when the width, the grace or the timeframes are others.
        """
        if state.width != self.width:
            raise BarsStateError(f"expected the state of {self.width} slots, found {state.width}")
        try:
            self._open.restore(state.open)
        except ValueError as error:
            raise BarsStateError(f"expected bars with the same settings: {error}") from error
        self._connections.restore(state.connections)
        self._past.restore(state.past)
        self.ticks, self.late, self.too_late, self.outside = state.counts

    def _place(
        self, batch: TickBatch, passage: Passage, *, special: bool
    ) -> tuple[TickBatch, NDArray[np.bool_] | None]:
        """The ticks, and which are in no bar: refused, or outside the sessions. A closing auction is put inside."""
        outside = self._sessions.outside(batch.event_ns)
        if outside is None:
            return batch, passage.refused
        if special:
            event_ns = batch.event_ns.copy()
            for index in np.flatnonzero(outside & ((batch.flags & TickFlag.CLOSING) > 0)).tolist():
                stretch = self._sessions.before(int(event_ns[index]))
                if stretch is not None and event_ns[index] < stretch.close_ns + _CLOSING_NS:
                    event_ns[index], outside[index] = stretch.close_ns - 1, False
            batch = replace(batch, event_ns=event_ns)
        if passage.refused is not None:
            outside &= ~passage.refused
        self.outside += int(np.count_nonzero(outside))
        return batch, outside if passage.refused is None else outside | passage.refused

    def _mark_gaps(self, batch: TickBatch, passage: Passage, never: NDArray[np.bool_] | None) -> None:
        closed_ns = np.maximum(passage.before_ns, self._open.boundary_ns)
        if never is not None:
            batch, closed_ns = batch.pick(~never), closed_ns[~never]
        newest_ns = np.maximum(self._open.newest_ns, self._open.ring.newest_ns)
        GapMarker(self._open.holes, self._past, self._sessions).mark(batch, closed_ns, newest_ns)

    def _correct(self, batch: TickBatch, late: NDArray[np.bool_], after_close_ns: NDArray[np.int64]) -> None:
        self.late_ticks = batch.pick(late)
        self.late += len(self.late_ticks)
        mendable = late & (after_close_ns <= MENDABLE_NS) & (batch.event_ns >= self._open.first_ns)
        mendable &= self._open.boundary_ns != NOWHERE
        mended = batch.pick(mendable)
        self.too_late += len(self.late_ticks) - len(mended)
        self._past.revisions.add(mended)
