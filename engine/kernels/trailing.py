"""Kernels that trail the price and turn with it: sar and supertrend. Pure; no I/O.

Their values have several rows, of which the first are outputs and the others what the next bar goes on from.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State

SAR_ROWS: Final = 5
SUPERTREND_ROWS: Final = 4


class _Trailing:
    """Keeps its value, of `rows` rows."""

    VERSION: Final = 1

    def __init__(self, width: int, rows: int) -> None:
        self._rows: Column = np.full((rows, width), np.nan)

    def keep(self, _instant: Instant, value: Column, *_inputs: Column) -> None:
        """Installs the value."""
        self._rows = value

    def state(self) -> State:
        """The rows of the value."""
        return (self._rows,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        (self._rows,) = state


class Sar(_Trailing):
    """Wilder's parabolic stop and reverse: the stop; then the next stop, the extreme, the acceleration, the side.

    The first side is short if the low fell by more than the high rose, else long. A short is computed as the long of
    the market upside down.
    """

    def __init__(self, width: int, acceleration: float, maximum: float) -> None:
        super().__init__(width, SAR_ROWS)
        self._acceleration, self._maximum = min(acceleration, maximum), maximum

    def step(self, instant: Instant, high: Column, low: Column, high_before: Column, low_before: Column) -> Column:
        """The rows for this bar."""
        _, stop, extreme, pace, side = instant.pick(self._rows)
        first = np.isnan(stop)
        if first.any():
            fell = low_before - low
            long = ~((fell > 0) & (fell > high - high_before))
            side = np.where(first, np.where(long, 1.0, -1.0), side)
            extreme = np.where(first, np.where(long, high, low), extreme)
            stop = np.where(first, np.where(long, low_before, high_before), stop)
            pace = np.where(first, self._acceleration, pace)
            high_before, low_before = np.where(first, high, high_before), np.where(first, low, low_before)
        short = side < 0
        stop, extreme = stop * side, extreme * side
        top, bottom = np.where(short, -low, high), np.where(short, -high, low)
        ceiling = np.maximum(top, np.where(short, -low_before, high_before))
        floor = np.minimum(bottom, np.where(short, -high_before, low_before))
        return self._moved(np.stack((stop, extreme, pace, side)), np.stack((top, bottom, ceiling, floor)))

    def _moved(self, rows: Column, bar: Column) -> Column:
        """The rows for a bar, told as of a long."""
        stop, extreme, pace, side = rows
        top, bottom, ceiling, floor = bar
        turned = bottom <= stop
        faster = np.minimum(pace + self._acceleration, self._maximum)
        pace = np.where(turned, self._acceleration, np.where(top > extreme, faster, pace))
        stop = np.where(turned, np.maximum(extreme, ceiling), stop)
        extreme = np.where(turned, bottom, np.maximum(extreme, top))
        ahead = stop + pace * (extreme - stop)
        ahead = np.where(turned, np.maximum(ahead, ceiling), np.minimum(ahead, floor))
        value: Column = np.stack((stop * side, ahead * side, extreme * side, pace, np.where(turned, -side, side)))
        value += 0.0  # no -0
        return value


class Supertrend(_Trailing):
    """The band that the close has not crossed: the line and its direction (1 up, -1 down); then upper and lower band.

    A band moves only towards the price, unless the close before was beyond it. The first direction is up.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, SUPERTREND_ROWS)

    def step(self, instant: Instant, upper: Column, lower: Column, close: Column, close_before: Column) -> Column:
        """The rows for this bar."""
        _, direction, ceiling, floor = instant.pick(self._rows)
        upper = np.where((upper >= ceiling) & (close_before <= ceiling), ceiling, upper)
        lower = np.where((lower <= floor) & (close_before >= floor), floor, lower)
        up = np.where(direction < 0, close > upper, ~(close < lower))
        direction = np.where(up, 1.0, -1.0)
        direction[np.isnan(lower)] = np.nan
        return np.stack((np.where(up, lower, upper), direction, upper, lower))
