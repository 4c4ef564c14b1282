"""Deviation: the mean distance of the last n bars from a centre. Pure; no I/O."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State


class Deviation:
    """The mean of ``|x - centre|`` over the last n > 1 bars. The centre moves, so each bar costs n."""

    VERSION: Final = 1

    def __init__(self, width: int, n: int) -> None:
        self._n = n
        self._past = deque([np.full(width, np.nan)] * (n - 1), maxlen=n - 1)

    def step(self, instant: Instant, x: Column, centre: Column) -> Column:
        """The mean absolute deviation of the window that ends with this bar; NaN until it is full."""
        distance = np.empty_like(x)
        value = np.zeros_like(x)
        for row in self._past:
            np.subtract(instant.pick(row), centre, out=distance)
            np.abs(distance, out=distance)
            value += distance
        value += np.abs(np.subtract(x, centre))
        value /= self._n
        return value

    def keep(self, _instant: Instant, _value: Column, x: Column, _centre: Column) -> None:
        """Adds a closed bar, by reference."""
        self._past.append(x)

    def state(self) -> State:
        """The bars that are held, oldest first."""
        return tuple(self._past)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        self._past = deque(state, maxlen=len(state))
