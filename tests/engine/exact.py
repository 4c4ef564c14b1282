"""Sums and variances in exact arithmetic, and the prices that are hard on floating point."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from tests.engine.market_columns import Prices

SCALE = 160
"""Every price is a whole multiple of 2**-SCALE."""


def exact(values: Sequence[float]) -> list[int]:
    """The prices, as whole numbers."""
    scaled = [Fraction(value) * 2**SCALE for value in values]
    assert all(value.denominator == 1 for value in scaled)
    return [value.numerator for value in scaled]


def sum_error(found: float, window: Sequence[float]) -> float:
    """The error of a sum, relative to the sum of the absolutes."""
    whole = exact(window)
    error = abs(Fraction(found) * 2**SCALE - sum(whole))
    return float(error / max(sum(map(abs, whole)), 1))


def variance_error(found: float, window: Sequence[float]) -> float:
    """The relative error of a variance."""
    whole, n = exact(window), len(window)
    variance = n * sum(value * value for value in whole) - sum(whole) ** 2  # n² times, scaled twice
    error = abs(Fraction(found) * n * n * 2 ** (2 * SCALE) - variance)
    return float(error / variance) if variance else float(error)


def walk(level: float, step: float, bars: int) -> Prices:
    """A random walk that is drawn back to its level."""
    moves = np.random.default_rng(5).normal(0, step, bars)
    return np.asarray(level * np.exp(np.cumsum(moves) - np.linspace(0, moves.sum(), bars)))


def noise(level: float, size: float, bars: int) -> Prices:
    """A quiet market."""
    return np.asarray(level + np.random.default_rng(6).normal(0, size, bars))


def with_bad_ticks(prices: Prices, at: Iterable[int]) -> Prices:
    """A thousand times too high at some bars."""
    bad = prices.copy()
    bad[list(at)] *= 1000
    return bad


def hard_cases(bars: int) -> dict[str, Prices]:
    """Prices that make naive running sums and variances wrong."""
    middle = bars // 2 + 3
    return {
        "a walk at 1e5": walk(1e5, 1e-3, bars),
        "a walk at 1e-5": walk(1e-5, 1e-3, bars),
        "a quiet market at 1e5": noise(1e5, 1e-7, bars),
        "a quiet market at 1e-5": noise(1e-5, 1e-15, bars),
        "one bad tick": with_bad_ticks(walk(1e5, 1e-4, bars), [middle]),
        "a bad tick in a quiet market": with_bad_ticks(noise(1e5, 1e-7, bars), [middle]),
        "a fall from 1e5 to 1e-5": np.concatenate([noise(1e5, 1.0, bars // 2), noise(1e-5, 1e-10, bars - bars // 2)]),
        "a slow fall from 1e5 to 1e-5": np.geomspace(1e5, 1e-5, bars) * walk(1.0, 1e-4, bars),
    }
