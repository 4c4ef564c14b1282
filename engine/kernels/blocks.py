"""Blocks: the last n bars as two stacks of mergeable parts, and the kernels that are made of them. Pure; no I/O."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State

Merge = Callable[[Column, int, Column, int], Column]
"""``merge(older, bars, newer, bars)``: the part of both. Parts have shape (rows, slots)."""


class Blocks:
    """What has been merged of the last n - 1 bars, `rest`, as in Window, where a part of a window has several rows."""

    def __init__(self, width: int, n: int, rows: int, merge: Merge) -> None:
        self._merge = merge
        self._size, self._block = n - 1, n // 2
        self._new, self._middle = (np.full((self._block, rows, width), np.nan) for _ in range(2))
        self._total = self._prefix = self._front = self.rest = np.full((rows, width), np.nan)

    def push(self, number: int, part: Column) -> None:
        """Adds the part of the bar that closed at boundary `number`: four merges."""
        merge, new, middle, block = self._merge, self._new, self._middle, self._block
        head = (number - 1) % block
        new[head] = part
        self._prefix = part if head == 0 else merge(self._prefix, head, part, 1)
        self._front = merge(self._total if head == 0 else self._front, block + head, part, 1)
        if head < block - 1:
            row = block - 2 - head
            middle[row] = merge(middle[row], 1, middle[row + 1], block - 1 - row)
        older = self._size - block - head - 1
        if older > 0:
            self.rest = merge(new[block - older], older, self._front, block + head + 1)
        elif older == 0:
            self.rest = self._front
        else:
            self.rest = merge(middle[1], block - 1, self._prefix, block) if block > 1 else self._prefix
        if head == block - 1:
            self._new, self._middle, self._total = middle, new, self._prefix

    def state(self) -> State:
        """The two blocks and what has been merged of them."""
        return self._new, self._middle, self._total, self._prefix, self._front, self.rest

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        new, middle, self._total, self._prefix, self._front, self.rest = state
        self._new, self._middle = new.copy(), middle.copy()


class Weighted:
    """The sum of the last n > 1 bars, the oldest taken once, the newest n times."""

    VERSION: Final = 1

    def __init__(self, width: int, n: int) -> None:
        self._size = n - 1
        self._blocks = Blocks(width, n, 2, _weighted)

    def step(self, instant: Instant, x: Column) -> Column:
        """The weighted sum of the window that ends with this bar; NaN until it is full."""
        value = np.multiply(x, self._size + 1)
        value += instant.pick(self._blocks.rest[1])
        return value

    def keep(self, instant: Instant, _value: Column, x: Column) -> None:
        """Moves on by a bar."""
        self._blocks.push(instant.number, np.stack((x, x)))

    def state(self) -> State:
        """That of the blocks."""
        return self._blocks.state()

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        self._blocks.restore(state)


def _weighted(older: Column, bars: int, newer: Column, _newer_bars: int) -> Column:
    """Of sums (row 0) and weighted sums (row 1): what is newer weighs `bars` more."""
    merged: Column = np.add(older, newer)
    merged[1] += newer[0] * bars
    return merged


class Extreme:
    """How many bars ago the highest (or the lowest) of the last n > 1 bars was; of equal ones the newest counts."""

    VERSION: Final = 1

    def __init__(self, width: int, n: int, *, lowest: bool) -> None:
        self._sign = -1.0 if lowest else 1.0
        self._blocks = Blocks(width, n, 2, _highest)

    def step(self, instant: Instant, x: Column) -> Column:
        """The bars since then, 0 if it is this one; NaN until the window is full."""
        part = self._part(instant, x)
        highest, at = _highest(instant.pick(self._blocks.rest), 0, part, 1)
        since: Column = np.subtract(instant.number, at)
        since[np.isnan(highest)] = np.nan
        return since

    def keep(self, instant: Instant, _value: Column, x: Column) -> None:
        """Moves on by a bar."""
        self._blocks.push(instant.number, self._part(instant, x))

    def state(self) -> State:
        """That of the blocks; bars are told by their boundary's number."""
        return self._blocks.state()

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        self._blocks.restore(state)

    def _part(self, instant: Instant, x: Column) -> Column:
        return np.stack((np.multiply(x, self._sign), np.full(len(x), float(instant.number))))


def _highest(older: Column, _bars: int, newer: Column, _newer_bars: int) -> Column:
    """Of values (row 0) and the boundaries of their bars (row 1)."""
    merged: Column = np.where(np.greater(older[0], newer[0]), older, newer)
    np.maximum(older[0], newer[0], out=merged[0])  # NaN if either is
    return merged
