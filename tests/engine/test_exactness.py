"""Sums and variances over a million bars, against exact arithmetic."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pytest

from engine.kernels.instant import Births, Instant
from engine.kernels.moments import Moments
from engine.kernels.node import Kernel
from engine.kernels.window import Window
from tests.engine.exact import hard_cases, sum_error, variance_error
from tests.engine.market_columns import random_market

BARS: Final = 1_000_000
PARTS: Final = 8
N: Final = 20
SAMPLED: Final = 1_999
"""Of so many bars one is checked, and all for two windows after the middle, where things happen."""

WITHIN: Final = 1e-12

CASES: Final = tuple(hard_cases(100))


class _March:
    """One kernel over all cases, a slot each; it goes as far as it is asked to, and no bar twice."""

    def __init__(self, kernel: Kernel, error: Callable[[float, Sequence[float]], float]) -> None:
        self._kernel, self._error = kernel, error
        self._x = np.ascontiguousarray(np.array(list(hard_cases(BARS).values())).T)
        width = len(CASES)
        births = Births.none(width, 0).joined(1, np.zeros(width))
        self._instant = Instant(random_market(seed=1, bars=1, slots=width).bar(0), 0, births)
        self.worst = np.zeros(width)

    def go(self, until: int) -> None:
        instant, nothing = self._instant, np.empty(0)
        for number in range(instant.number + 1, until + 1):
            instant.number, row = number, self._x[number - 1]
            if number > N and (number % SAMPLED == 0 or 0 <= number - BARS // 2 < 2 * N or number == BARS):
                self._check(number, self._kernel.step(instant, row).tolist())
            self._kernel.keep(instant, nothing, row)

    def _check(self, number: int, values: Sequence[float]) -> None:
        windows = self._x[number - N : number].T.tolist()
        errors = [self._error(value, window) for value, window in zip(values, windows, strict=True)]
        self.worst = np.maximum(self.worst, errors)


@pytest.fixture(scope="module")
def marches() -> dict[str, _March]:
    width = len(CASES)
    return {"sum": _March(Window(width, np.add, N), sum_error), "variance": _March(Moments(width, N), variance_error)}


@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.parametrize("of", ["sum", "variance"])
def test_for_a_million_bars_it_is_exact_to_a_few_roundings(of: str, part: int, marches: dict[str, _March]) -> None:
    march = marches[of]
    march.go(BARS * part // PARTS)
    assert dict(zip(CASES, march.worst.tolist(), strict=True)) == dict.fromkeys(CASES, pytest.approx(0, abs=WITHIN))
