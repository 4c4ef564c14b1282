"""Turned and Held: what alerts and screens make of a condition, bar by bar. Pure; no I/O.

On a synthetic bar, one without a trade, no condition turns true and nothing begins to hold.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant


class Turned:
    """1 at the bar at which a condition has turned true, else 0; NaN while it is unknown.

    It has turned if it is true at a bar with a trade, and was false at the bar before; what became true at synthetic
    bars counts as false until the next trade.
    """

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._before: Column = np.full(width, np.nan)

    def step(self, instant: Instant, truth: Column, count: Column) -> Column:
        """Whether the condition `truth` turns true at a bar of `count` trades."""
        turned = np.subtract(1.0, instant.pick(self._before))
        turned *= truth
        turned *= np.greater(count, 0)
        return turned

    def keep(self, _instant: Instant, _value: Column, truth: Column, count: Column) -> None:
        """What it was at this bar."""
        lower = np.fmin(truth, self._before)
        lower = np.where(np.isnan(truth), truth, lower)
        self._before = np.where(np.greater(count, 0), truth, lower)

    def state(self) -> tuple[NDArray[Any], ...]:
        """As Kernel has it."""
        return (self._before,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """As Kernel has it."""
        (self._before,) = state


class Held:
    """1 while a condition holds, else 0: from a bar with a trade at which it is true until it is not true any more."""

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._held: Column = np.zeros(width)

    def step(self, instant: Instant, truth: Column, count: Column) -> Column:
        """Whether the condition `truth` holds at a bar of `count` trades."""
        holds = np.maximum(instant.pick(self._held), np.greater(count, 0))
        holds *= np.equal(truth, 1.0)
        return holds

    def keep(self, _instant: Instant, value: Column, _truth: Column, _count: Column) -> None:
        """What it was at this bar."""
        self._held = value

    def state(self) -> tuple[NDArray[Any], ...]:
        """As Kernel has it."""
        return (self._held,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """As Kernel has it."""
        (self._held,) = state
