"""Births and Instant: which slots have how many bars, and the one bar that is being computed. Pure; no I/O."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns

Column = NDArray[np.float64]
"""One value of each slot in hand, shape (slots,); NaN is none yet. A number stands for itself, with shape ()."""

Slots = NDArray[np.intp]
"""Places of instruments in the columns of their venue, in any order."""

_NEVER: Final = int(np.iinfo(np.int64).max) // 2


@dataclass(frozen=True, slots=True, eq=False)
class Births:
    """At which boundary each slot had its first bar: the first with a finite close.

    `first` is int64, of shape (slots,); `unborn` are the slots without one; `latest` is the newest birth.
    Boundaries are counted from 1; a number under that lies before the graph began.
    """

    first: NDArray[np.int64]
    unborn: Slots
    latest: int

    @classmethod
    def none(cls, width: int, number: int) -> "Births":
        """No slot is born at boundary `number`."""
        return cls(np.full(width, _NEVER), np.arange(width), number)

    def joined(self, number: int, close: Column) -> "Births":
        """These, and the slots for which `close` at boundary `number` is the first. Costs O(unborn)."""
        if len(self.unborn) == 0:
            return self
        born = np.isfinite(close.take(self.unborn))
        if not born.any():
            return self
        first = self.first.copy()
        first[self.unborn[born]] = number
        return Births(first, self.unborn[~born], number)

    def earliest(self, other: "Births") -> "Births":
        """The earlier birth of each slot."""
        first = np.minimum(self.first, other.first)
        return Births(first, np.flatnonzero(first == _NEVER), max(self.latest, other.latest))

    def ages(self, number: int, began: int) -> NDArray[np.int64]:
        """How many bars each slot has at boundary `number`, none of them from before boundary `began` + 1."""
        ages: NDArray[np.int64] = np.maximum(number + 1 - np.maximum(self.first, began + 1), 0)
        return ages


class Instant:
    """One bar in hand, closed or forming, over all slots or some.

    `number` is the boundary at which it closes. `slots` is None for all of them.
    """

    __slots__ = ("_births", "_first", "_found", "columns", "number", "slots")

    def __init__(self, columns: Columns, number: int, births: Births, slots: Slots | None = None) -> None:
        self.columns = columns
        self.number = number
        self.slots = slots
        self._births = births
        self._first: NDArray[np.int64] | None = None
        self._found: dict[tuple[int, int, int], tuple[Slots, NDArray[np.int64]] | None] = {}

    def pick(self, column: Column) -> Column:
        """Of a column of all slots, or of several with the slots as last axis, those in hand."""
        return column if self.slots is None else column.take(self.slots, axis=-1)

    def young(self, low: int, high: int, began: int) -> tuple[Slots, NDArray[np.int64]] | None:
        """The slots with low < bars <= high, and by how many over `low`; None if there are none.

        Bars are counted from boundary `began` + 1 on. The steady state is answered in O(1).
        """
        if self.number - max(self._births.latest, began + 1) >= high:
            return None
        key = (low, high, began)
        if key not in self._found:
            self._found[key] = self._search(low, high, began)
        return self._found[key]

    def _search(self, low: int, high: int, began: int) -> tuple[Slots, NDArray[np.int64]] | None:
        if self._first is None:
            first = self._births.first
            self._first = first if self.slots is None else first.take(self.slots)
        over = self.number + 1 - low - np.maximum(self._first, began + 1)
        found = np.flatnonzero((over > 0) & (over <= high - low))
        return (found, over[found]) if len(found) else None
