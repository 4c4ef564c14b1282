"""Trades of a hole that were fetched later, put into the closed bars as if they had come in time. Pure; no I/O."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.openbars import NOWHERE, OpenBars
from engine.rawbar import RawBar
from engine.rollup import BASE, RungState, mend
from engine.sessions import DAY_NS, Sessions
from engine.tally import Partial, Tally
from engine.ticks import TickBatch
from wire.market import Timeframe

Counts = NDArray[np.int64]


class Hole(Struct, frozen=True, eq=False):
    """The trades of some slots, which rise, were missing over [from_ns, to_ns)."""

    from_ns: int
    to_ns: int
    slots: NDArray[np.intp]


class Backfilled(Struct, frozen=True):
    """The slots whose bars are others now, and of each timeframe that has such when the first of them opened."""

    slots: tuple[int, ...]
    first: tuple[tuple[Timeframe, int], ...]


class _Carry:
    """The last close and the newest trade of the hole's slots, from one bar to the next; None before the first."""

    __slots__ = ("last", "newest_ns")

    def __init__(self) -> None:
        self.last: NDArray[np.float64] | None = None
        self.newest_ns: Counts | None = None


class Mender:
    """Puts `found`, trades of the hole's slots in closed base bars that can be mended, into every bar of theirs."""

    def __init__(self, bars: OpenBars, sessions: Sessions, hole: Hole, found: TickBatch) -> None:
        self._bars = bars
        self._past = bars.past
        self._sessions = sessions
        self._hole = hole
        self._slots = hole.slots
        self._found = found
        self._touched = np.zeros(len(hole.slots), np.bool_)
        self._filled = self._fill_gaps()

    def mend(self) -> Backfilled | None:
        """Mend what has closed and what forms; None when no closed bar that is handed out is another now."""
        first: list[tuple[Timeframe, int]] = []
        handed_out = self._past.history.timeframes
        for timeframe in sorted({BASE, *handed_out}, key=lambda each: each.ns):
            open_ns, carry = self._mend_closed(timeframe)
            if open_ns is not None and timeframe in handed_out:
                first.append((timeframe, open_ns))
            if timeframe is BASE and carry.last is not None and carry.newest_ns is not None:
                self._bars.mend_last(self._slots, carry.last, carry.newest_ns)
        self._bars.mend_forming(self._mend_rung)
        self._bars.holes.clear(set(self._slots.tolist()), self._hole.from_ns, self._hole.to_ns)
        self._past.settle(self._bars.boundary_ns)
        return Backfilled(tuple(self._slots[self._touched].tolist()), tuple(first)) if first else None

    def _fill_gaps(self) -> list[tuple[int, Counts]]:
        """Which gaps of the base bars as used are filled: of each bar that had one, 1 or 0 for each slot."""
        revisions = self._past.revisions
        filled: list[tuple[int, Counts]] = []
        for raw in self._past.mendable(BASE):
            if raw.end_ns <= self._hole.from_ns or raw.open_ns >= self._hole.to_ns:
                continue
            for slot in self._slots.tolist():
                if revisions.gaps_of(slot, raw.open_ns) > 0:
                    revisions.add_gap(slot, raw.open_ns, -1)
            if raw.gaps is not None and (used := raw.gaps[self._slots] > 0).any():
                filled.append((raw.open_ns, used.astype(np.int64)))
        return filled

    def _mend_closed(self, timeframe: Timeframe) -> tuple[int | None, _Carry]:
        """Mend a timeframe's closed bars; when the first opened that is another now, and how the last one ended."""
        parts, filled = self._parts_of(timeframe, NOWHERE), self._filled_of(timeframe, NOWHERE)
        carry = _Carry()
        first_ns: int | None = None
        for raw in self._past.mendable(timeframe):
            part, gaps = parts.get(raw.open_ns), filled.get(raw.open_ns)
            if carry.last is None and part is None and gaps is None:
                continue
            mended, changed = self._mend_bar(raw, part, gaps, carry)
            if changed.any():
                self._past.mend(timeframe, mended, self._bars.filler)
                self._past.revisions.revise(timeframe, raw, self._slots[changed].tolist())
                self._touched |= changed
                first_ns = raw.open_ns if first_ns is None else first_ns
        return first_ns, carry

    def _mend_bar(
        self, raw: RawBar, part: Partial | None, gaps: Counts | None, carry: _Carry
    ) -> tuple[RawBar, NDArray[np.bool_]]:
        """The bar with the trades of `part` and without `gaps`, and of which slots it is another."""
        slots = self._slots
        was_last, was_newest_ns = raw.last[slots], raw.newest_ns[slots]
        partial = raw.of(slots) if part is None else mend(raw.of(slots), part)
        before = was_last if carry.last is None else carry.last
        carry.last = np.where(np.isnan(partial.close), before, partial.close)
        newest_ns = np.maximum(partial.newest_ns, was_newest_ns)
        carry.newest_ns = newest_ns if carry.newest_ns is None else np.maximum(newest_ns, carry.newest_ns)
        changed = ~((carry.last == was_last) | (np.isnan(carry.last) & np.isnan(was_last)))
        changed |= carry.newest_ns != was_newest_ns
        changed |= False if part is None else part.count > 0
        changed |= False if gaps is None else gaps > 0
        if not changed.any():
            return raw, changed
        last, newest_ns = raw.last.copy(), raw.newest_ns.copy()
        last[slots], newest_ns[slots] = carry.last, carry.newest_ns
        kept = self._without(raw.gaps, gaps)
        return replace(raw.mended(slots, partial), last=last, newest_ns=newest_ns, gaps=kept), changed

    def _mend_rung(self, rung: RungState, open_ns: int, until_ns: int) -> RungState:
        """What a longer bar that forms has of the closed ones below it, the last of which ended at `until_ns`."""
        part = self._parts_of(rung.timeframe, until_ns).get(open_ns)
        gaps = self._filled_of(rung.timeframe, until_ns).get(open_ns)
        partial = rung.partial
        if part is not None:
            width = len(self._bars.last_close)
            whole = Tally(width).partial(slice(None)) if partial is None else partial
            raw = RawBar(open_ns, open_ns, open_ns, whole, self._bars.last_close, self._bars.newest_ns, None)
            partial = raw.mended(self._slots, mend(raw.of(self._slots), part)).partial
        return RungState(rung.timeframe, partial, self._without(rung.gaps, gaps))

    def _without(self, gaps: Counts | None, filled: Counts | None) -> Counts | None:
        if gaps is None or filled is None:
            return gaps
        fewer = gaps.copy()
        fewer[self._slots] -= filled
        return fewer if fewer.any() else None

    def _parts_of(self, timeframe: Timeframe, until_ns: int) -> Mapping[int, Partial]:
        """What the found trades from before a time set in each bar, by when it opens, for the hole's slots."""
        width = len(self._slots)
        found = self._found.pick(self._found.event_ns < until_ns)
        opens_ns, bar = np.unique(self._opens_of(timeframe, found.event_ns), return_inverse=True)
        tally = Tally(len(opens_ns) * width)
        tally.fold(bar * width + np.searchsorted(self._slots, found.instrument), found)
        return {
            open_ns: tally.partial(slice(place * width, (place + 1) * width))
            for place, open_ns in enumerate(opens_ns.tolist())
        }

    def _filled_of(self, timeframe: Timeframe, until_ns: int) -> Mapping[int, Counts]:
        """How many gaps from before a time are filled of each bar, by when it opens, for the hole's slots."""
        filled: dict[int, Counts] = {}
        for base_open_ns, gaps in self._filled:
            if base_open_ns >= until_ns:
                break
            open_ns = self._sessions.at(base_open_ns).bar(timeframe.ns, base_open_ns)[0]
            filled[open_ns] = gaps if open_ns not in filled else filled[open_ns] + gaps
        return filled

    def _opens_of(self, timeframe: Timeframe, event_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """When the bars open that hold instants in which the venue trades."""
        opens_ns = np.empty_like(event_ns)
        rest = np.ones(len(event_ns), np.bool_)
        while rest.any():
            stretch = self._sessions.at(int(event_ns[rest].min()))
            here = rest & (event_ns < stretch.close_ns)
            since_ns = event_ns[here] - stretch.open_ns
            anchored_ns = stretch.open_ns + since_ns // timeframe.ns * timeframe.ns
            opens_ns[here] = stretch.session_ns if timeframe.ns == DAY_NS else anchored_ns
            rest &= ~here
        return opens_ns
