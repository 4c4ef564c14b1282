"""Bars of longer timeframes out of shorter ones: how partial bars join, and the ladder of timeframes.

Pure; no I/O. A partial bar holds only what its own trades set, so that a bar of five seconds whose first second had
no trade opens at its first trade; what a bar without a trade looks like is decided where bars are handed out.
"""

from collections.abc import Callable, Collection
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.sessions import Stretch
from engine.tally import Partial
from wire.market import Timeframe

BASE: Final = Timeframe.S1
BASE_NS: Final = BASE.ns

Gaps = NDArray[np.int64]
"""How many base bars of a bar miss trades, for every slot."""


def join(earlier: Partial | None, later: Partial | None) -> Partial | None:
    """A partial bar and its continuation as one; None is one without any trade."""
    if earlier is None or later is None:
        return later if earlier is None else earlier
    return Partial(
        np.where(np.isnan(earlier.open), later.open, earlier.open),
        np.maximum(earlier.high, later.high),
        np.minimum(earlier.low, later.low),
        np.where(np.isnan(later.close), earlier.close, later.close),
        earlier.volume + later.volume,
        earlier.turnover + later.turnover,
        earlier.count + later.count,
        np.maximum(earlier.newest_ns, later.newest_ns),
        np.minimum(earlier.open_event_ns, later.open_event_ns),
        np.maximum(earlier.close_event_ns, later.close_event_ns),
    )


def mend(partial: Partial, found: Partial) -> Partial:
    """A partial bar with trades of its time that came behind it: open and close go by event time."""
    return Partial(
        np.where(found.open_event_ns < partial.open_event_ns, found.open, partial.open),
        np.maximum(partial.high, found.high),
        np.minimum(partial.low, found.low),
        np.where(found.close_event_ns >= partial.close_event_ns, found.close, partial.close),
        partial.volume + found.volume,
        partial.turnover + found.turnover,
        partial.count + found.count,
        np.maximum(partial.newest_ns, found.newest_ns),
        np.minimum(partial.open_event_ns, found.open_event_ns),
        np.maximum(partial.close_event_ns, found.close_event_ns),
    )


def add_gaps(earlier: Gaps | None, later: Gaps | None) -> Gaps | None:
    """The gaps of a bar and its continuation; None is no gap of any slot."""
    if earlier is None or later is None:
        return later if earlier is None else earlier
    return earlier + later


def parent_of(timeframe: Timeframe) -> Timeframe | None:
    """The timeframe that `timeframe` rolls up from: the longest shorter one that divides it; None for the base."""
    shorter = [other for other in Timeframe if other.ns < timeframe.ns and timeframe.ns % other.ns == 0]
    return max(shorter, key=lambda other: other.ns, default=None)


class Rolled(Struct, frozen=True, eq=False, gc=False):
    """A bar of one timeframe as it leaves the ladder; ``partial`` is None when it had no trade."""

    timeframe: Timeframe
    open_ns: int
    end_ns: int
    partial: Partial | None
    gaps: Gaps | None


class RungState(Struct, frozen=True, eq=False):
    """What the forming bar of one timeframe has of the closed bars below it."""

    timeframe: Timeframe
    partial: Partial | None
    gaps: Gaps | None


class _Rung:
    """One timeframe of the ladder and what its bar has of the closed bars of `parent`, an index into the ladder."""

    __slots__ = ("gaps", "ns", "parent", "partial", "timeframe")

    def __init__(self, timeframe: Timeframe, parent: int) -> None:
        self.timeframe = timeframe
        self.ns = timeframe.ns
        self.parent = parent
        self.partial: Partial | None = None
        self.gaps: Gaps | None = None


class Ladder:
    """The timeframes that are wanted and those that they roll up from, down to the base.

    Which bits come out does not depend on what else is wanted.
    """

    def __init__(self, wanted: Collection[Timeframe]) -> None:
        needed = {BASE}
        for timeframe in wanted:
            step: Timeframe | None = timeframe
            while step is not None:
                needed.add(step)
                step = parent_of(step)
        climbing = sorted(needed, key=lambda each: each.ns)
        self._places = {timeframe: place for place, timeframe in enumerate(climbing)}
        self._rungs = [
            _Rung(each, -1 if (parent := parent_of(each)) is None else self._places[parent]) for each in climbing
        ]

    def close(self, stretch: Stretch, end_ns: int, base: Partial | None, gaps: Gaps | None) -> list[Rolled]:
        """Close the base bar of `stretch` that ends at `end_ns`, and every bar that ends with it, shortest first."""
        rolled: list[Rolled | None] = [None] * len(self._rungs)
        since_open_ns, at_close = end_ns - stretch.open_ns, end_ns == stretch.close_ns
        rolled[0] = Rolled(BASE, end_ns - BASE_NS, end_ns, base, gaps)
        for place, rung in enumerate(self._rungs):
            child = rolled[rung.parent] if place else None
            if child is None:
                continue
            partial, gaps = join(rung.partial, child.partial), add_gaps(rung.gaps, child.gaps)
            rung.partial, rung.gaps = partial, gaps
            if at_close or since_open_ns % rung.ns == 0:
                open_ns, bar_end_ns = stretch.bar(rung.ns, end_ns - 1)
                if bar_end_ns == end_ns:
                    rung.partial = rung.gaps = None
                    rolled[place] = Rolled(rung.timeframe, open_ns, end_ns, partial, gaps)
        return [each for each in rolled if each is not None]

    def forming(
        self, timeframe: Timeframe, base: Partial | None, gaps: Gaps | None
    ) -> tuple[Partial | None, Gaps | None]:
        """The bar of a `timeframe` as it is now: what has closed of it, and the forming ones below.

        KeyError when nobody wanted it.
        """
        place = self._places[timeframe]
        way: list[_Rung] = []
        while place:
            way.append(self._rungs[place])
            place = way[-1].parent
        for rung in reversed(way):
            base, gaps = join(rung.partial, base), add_gaps(rung.gaps, gaps)
        return base, gaps

    def finish(self, stretch: Stretch, boundary_ns: int) -> list[Rolled]:
        """The bars that have begun when every base bar before `boundary_ns` is closed: by their end, shortest first.

        `stretch` holds the boundary.
        """
        last: list[tuple[Partial | None, Gaps | None]] = [(None, None)] * len(self._rungs)
        begun: list[Rolled] = []
        for place, rung in enumerate(self._rungs):
            open_ns, end_ns = stretch.bar(rung.ns, boundary_ns)
            if open_ns == boundary_ns:
                continue
            below, gaps = last[rung.parent]
            last[place] = join(rung.partial, below), add_gaps(rung.gaps, gaps)
            rung.partial = rung.gaps = None
            begun.append(Rolled(rung.timeframe, open_ns, end_ns, *last[place]))
        return sorted(begun, key=lambda each: each.end_ns)

    def mend(self, change: Callable[[RungState, Timeframe], RungState]) -> None:
        """Replace what each longer timeframe's forming bar has; `change` is told of which shorter one it has bars."""
        for rung in self._rungs[1:]:
            has = RungState(rung.timeframe, rung.partial, rung.gaps)
            changed = change(has, self._rungs[rung.parent].timeframe)
            rung.partial, rung.gaps = changed.partial, changed.gaps

    def state(self) -> tuple[RungState, ...]:
        """What every longer timeframe's forming bar has."""
        return tuple(RungState(rung.timeframe, rung.partial, rung.gaps) for rung in self._rungs[1:])

    def restore(self, rungs: Collection[RungState]) -> None:
        """Hold what `state` gave. ValueError when a timeframe of this ladder is not among it."""
        found = {each.timeframe: each for each in rungs}
        for rung in self._rungs[1:]:
            if rung.timeframe not in found:
                raise ValueError(f"expected the forming bar of {rung.timeframe.value}, found none")
            rung.partial, rung.gaps = found[rung.timeframe].partial, found[rung.timeframe].gaps
