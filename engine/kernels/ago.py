"""Ago: the value of so many bars ago. Pure; no I/O."""

from collections import deque

import numpy as np

from engine.kernels.instant import Column, Instant


class Ago:
    """``x[bars]``. Columns are never written to, so the past is held by reference: all `bars` of one `x` share it."""

    def __init__(self, width: int, bars: int) -> None:
        self._past = deque([np.full(width, np.nan)] * bars, maxlen=bars)

    def step(self, instant: Instant, _x: Column) -> Column:
        """The value so many bars before this one."""
        return instant.pick(self._past[0])

    def keep(self, _instant: Instant, _value: Column, x: Column) -> None:
        """Adds a closed bar."""
        self._past.append(x)
