"""Smooth: exponential averages, of which ema and rma are two. Pure; no I/O."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant, Slots
from engine.kernels.node import State

FLUSH_EVERY: Final = 32
"""At every so many boundaries what has decayed to next to nothing becomes 0: denormals slow a step eleven times."""

FLUSHED: Final = 1e-280


class Smooth:
    """v + weight (x - v), seeded for each slot by the mean of its first n values of x.

    The first of them is that of a slot's bar `first`, counted from 1 at boundary `began` + 1 or at the slot's birth.
    """

    VERSION: Final = 1

    def __init__(self, width: int, began: int, first: int, n: int, weight: float) -> None:
        self._began = began
        self._low, self._high = first - 1, first - 1 + n
        self._n = n
        self._weight = weight
        self._average: Column = np.full(width, np.nan)

    def step(self, instant: Instant, x: Column) -> Column:
        """The average with this bar; NaN until it is seeded."""
        average = instant.pick(self._average)
        value = np.subtract(x, average)
        value *= self._weight
        value += average
        if instant.number % FLUSH_EVERY == 0:
            value[np.abs(value) < FLUSHED] = 0.0
        young = instant.young(self._low, self._high, self._began)
        if young is not None:
            slots, count = young
            value[slots] = np.where(count < self._n, np.nan, self._seed(instant, x, slots, count))
        return value

    def keep(self, instant: Instant, value: Column, x: Column) -> None:
        """Installs the average; a slot that is not seeded yet keeps the mean of what it has."""
        young = instant.young(self._low, self._high, self._began)
        if young is not None:
            value = value.copy()
            value[young[0]] = self._seed(instant, x, *young)
        self._average = value

    def state(self) -> State:
        """The averages, or the means so far."""
        return (self._average,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        (self._average,) = state

    def _seed(self, instant: Instant, x: Column, slots: Slots, count: NDArray[np.int64]) -> Column:
        """The mean of the first values of x, `count` of them with this one."""
        x, mean = x[slots], instant.pick(self._average)[slots]
        return np.where(count == 1, x, mean + (x - mean) / count)
