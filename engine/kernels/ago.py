"""Ago: the value of so many bars ago. Pure; no I/O."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State


class Ago:
    """``x[bars]``. Columns are never written to, so the past is held by reference: all `bars` of one `x` share it."""

    VERSION: Final = 1

    def __init__(self, width: int, bars: int) -> None:
        self._past = deque([np.full(width, np.nan)] * bars, maxlen=bars)

    def step(self, instant: Instant, _x: Column) -> Column:
        """The value so many bars before this one."""
        return instant.pick(self._past[0])

    def keep(self, _instant: Instant, _value: Column, x: Column) -> None:
        """Adds a closed bar."""
        self._past.append(x)

    def state(self) -> State:
        """The bars that are held, oldest first."""
        return tuple(self._past)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        self._past = deque(state, maxlen=len(state))
