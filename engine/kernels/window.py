"""Window: the sum, the highest and the lowest of the last n bars. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State

MERGES: Final[Mapping[str, np.ufunc]] = MappingProxyType({"sum": np.add, "highest": np.maximum, "lowest": np.minimum})


class Window:
    """The last n > 1 bars, the same few merges for every bar, whatever n is.

    The n - 1 bars before the one in hand (the rest) are cut into blocks of half as many, at the same boundaries for
    all slots. They are the end of an old block, a whole middle one, and the begin of a new one. What has been merged:

    - the new block from its begin (`prefix`), and that with the middle one (`front`);
    - the old block from its end: row i is merged with all rows after it;
    - the middle block likewise, one row for each bar, so that it is done when it becomes the old one.

    A row of the new block takes the place of the old block's row that has left. Nothing is ever subtracted, so
    nothing drifts, zeros are exact and a NaN lives as long as its window. How bars are merged follows from the
    boundaries' numbers alone.
    """

    VERSION: Final = 1

    def __init__(self, width: int, merge: np.ufunc, n: int) -> None:
        self._merge = merge
        self._size = n - 1
        self._block = n // 2
        self._new = np.full((self._block, width), np.nan)
        self._middle = np.full((self._block, width), np.nan)
        none: Column = np.full(width, np.nan)
        self._total = self._prefix = self._front = self._rest = none

    def step(self, instant: Instant, x: Column) -> Column:
        """The merged window that ends with this bar; NaN until it is full."""
        merged: Column = self._merge(instant.pick(self._rest), x)
        return merged

    def keep(self, instant: Instant, _value: Column, x: Column) -> None:
        """Moves on by a bar: four merges."""
        merge, new, middle, block = self._merge, self._new, self._middle, self._block
        head = (instant.number - 1) % block
        new[head] = x
        self._prefix = x if head == 0 else merge(self._prefix, x)
        self._front = merge(self._total if head == 0 else self._front, x)
        if head < block - 1:
            row = block - 2 - head
            merge(middle[row], middle[row + 1], out=middle[row])
        older = self._size - block - head - 1
        if older >= 0:
            self._rest = merge(new[block - older], self._front) if older else self._front
        else:
            self._rest = merge(middle[1], self._prefix) if block > 1 else self._prefix
        if head == block - 1:
            self._new, self._middle, self._total = middle, new, self._prefix

    def state(self) -> State:
        """The two blocks and what has been merged of them."""
        return self._new, self._middle, self._total, self._prefix, self._front, self._rest

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        new, middle, self._total, self._prefix, self._front, self._rest = state
        self._new, self._middle = new.copy(), middle.copy()
