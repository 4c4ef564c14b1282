"""Bars of longer timeframes out of shorter ones: partial bars, how two of them join, and the ladder of timeframes.

Pure; no I/O. A partial bar holds only what its own trades set, so that a bar of five seconds whose first second had
no trade opens at its first trade; what a bar without a trade looks like is decided where bars are handed out.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wire.market import Timeframe

BASE: Final = Timeframe.S1
BASE_NS: Final = BASE.ns


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """What the trades of a part of a bar set, for every slot; arrays of shape (slots,), never written to.

    Where no trade set it, ``open`` and ``close`` are NaN, ``high`` is -inf, ``low`` inf, ``newest_ns`` (exchange time
    of the newest trade) 0, the sums 0.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    turnover: NDArray[np.float64]
    count: NDArray[np.int64]
    newest_ns: NDArray[np.int64]


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
    )


def parent_of(timeframe: Timeframe) -> Timeframe | None:
    """The timeframe that `timeframe` rolls up from: the longest shorter one that divides it; None for the base."""
    shorter = [other for other in Timeframe if other.ns < timeframe.ns and timeframe.ns % other.ns == 0]
    return max(shorter, key=lambda other: other.ns, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """A bar of one timeframe as it leaves the ladder; ``partial`` is None when it had no trade."""

    timeframe: Timeframe
    open_ns: int
    partial: Partial | None


class _Rung:
    """One timeframe of the ladder and what its bar has of the closed bars of `parent`, an index into the ladder."""

    __slots__ = ("ns", "parent", "partial", "timeframe", "wanted")

    def __init__(self, timeframe: Timeframe, parent: int, *, wanted: bool) -> None:
        self.timeframe = timeframe
        self.ns = timeframe.ns
        self.parent = parent
        self.wanted = wanted
        self.partial: Partial | None = None


class Ladder:
    """The timeframes that are wanted and those that they roll up from, down to the base.

    Which bits come out does not depend on what else is wanted. Only wanted timeframes are handed out.
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
            _Rung(each, -1 if (parent := parent_of(each)) is None else self._places[parent], wanted=each in wanted)
            for each in climbing
        ]

    def close(self, end_ns: int, base: Partial | None) -> list[Rolled]:
        """Close the base bar that ends at `end_ns`, and every bar that ends with it, shortest first."""
        ended = [False] * len(self._rungs)
        closed: list[Partial | None] = [None] * len(self._rungs)
        rolled: list[Rolled] = []
        for place, rung in enumerate(self._rungs):
            partial = base
            if place:
                if not ended[rung.parent]:
                    continue
                partial = join(rung.partial, closed[rung.parent])
                if end_ns % rung.ns:
                    rung.partial = partial
                    continue
                rung.partial = None
            ended[place] = True
            closed[place] = partial
            if rung.wanted:
                rolled.append(Rolled(rung.timeframe, end_ns - rung.ns, partial))
        return rolled

    def forming(self, timeframe: Timeframe, base: Partial | None) -> Partial | None:
        """The bar of a wanted `timeframe` as it is now: what has closed of it, and the forming ones below.

        KeyError when nobody wanted it.
        """
        return self._forming(self._places[timeframe], base)

    def _forming(self, place: int, base: Partial | None) -> Partial | None:
        if place == 0:
            return base
        rung = self._rungs[place]
        return join(rung.partial, self._forming(rung.parent, base))

    def finish(self, boundary_ns: int) -> list[Rolled]:
        """The bars that have begun when every base bar before `boundary_ns` is closed: by their end, shortest first."""
        last: list[Partial | None] = [None] * len(self._rungs)
        begun: list[tuple[int, int, Rolled]] = []
        for place, rung in enumerate(self._rungs):
            open_ns = boundary_ns // rung.ns * rung.ns
            if open_ns == boundary_ns:
                continue
            last[place] = join(rung.partial, last[rung.parent])
            rung.partial = None
            if rung.wanted:
                begun.append((open_ns + rung.ns, rung.ns, Rolled(rung.timeframe, open_ns, last[place])))
        return [rolled for _, _, rolled in sorted(begun, key=lambda each: each[:2])]
