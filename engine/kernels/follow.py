"""Kernels whose value is all that they remember: total, session, barssince, kama. Pure; no I/O."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State
from engine.kernels.smooth import FLUSH_EVERY, FLUSHED


class Total:
    """The sum of all bars so far."""

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._total: Column = np.full(width, np.nan)

    def step(self, instant: Instant, x: Column) -> Column:
        """The sum with this bar, which may be the first."""
        total = instant.pick(self._total)
        value: Column = np.add(total, x)
        first = np.isnan(total)
        if first.any():
            np.copyto(value, x, where=first)
        return value

    def keep(self, _instant: Instant, value: Column, _x: Column) -> None:
        """Installs the sum."""
        self._total = value

    def state(self) -> State:
        """The sums."""
        return (self._total,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        (self._total,) = state


class Session:
    """The sum of the bars of this session so far."""

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._total: Column = np.full(width, np.nan)
        self._began: NDArray[np.int64] = np.zeros(width, np.int64)

    def step(self, instant: Instant, x: Column) -> Column:
        """The sum with this bar, which may be the first of its session."""
        total, began = instant.pick(self._total), self._began
        began = began if instant.slots is None else began.take(instant.slots)
        value: Column = np.add(total, x)
        first = np.not_equal(began, instant.columns.session_ns)
        first |= np.isnan(total)
        if first.any():
            np.copyto(value, x, where=first)
        return value

    def keep(self, instant: Instant, value: Column, _x: Column) -> None:
        """Installs the sum."""
        self._total = value
        self._began = np.full(len(value), instant.columns.session_ns)

    def state(self) -> State:
        """The sums, and the session that each is of."""
        return self._total, self._began

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        self._total, self._began = state


class BarsSince:
    """How many bars ago a truth was 1; NaN before the first time."""

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._since: Column = np.full(width, np.nan)

    def step(self, instant: Instant, truth: Column) -> Column:
        """0 if it is 1 on this bar."""
        value: Column = np.add(instant.pick(self._since), 1.0)
        np.copyto(value, 0.0, where=np.equal(truth, 1.0))
        return value

    def keep(self, _instant: Instant, value: Column, _truth: Column) -> None:
        """Installs the count."""
        self._since = value

    def state(self) -> State:
        """The counts."""
        return (self._since,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        (self._since,) = state


class Kama:
    """v + weight (x - v), where the weight is another for each bar; the first v follows on `before`."""

    VERSION: Final = 1

    def __init__(self, width: int) -> None:
        self._average: Column = np.full(width, np.nan)

    def step(self, instant: Instant, x: Column, weight: Column, before: Column) -> Column:
        """The average with this bar."""
        average = instant.pick(self._average)
        first = np.isnan(average)
        if first.any():
            average = np.where(first, before, average)
        value: Column = np.subtract(x, average)
        value *= weight
        value += average
        if instant.number % FLUSH_EVERY == 0:
            value[np.abs(value) < FLUSHED] = 0.0
        return value

    def keep(self, _instant: Instant, value: Column, _x: Column, _weight: Column, _before: Column) -> None:
        """Installs the average."""
        self._average = value

    def state(self) -> State:
        """The averages."""
        return (self._average,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        (self._average,) = state
