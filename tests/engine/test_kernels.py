import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.apply import FUNCTIONS
from engine.kernels.instant import Births, Column, Instant
from engine.kernels.moments import Moments
from engine.kernels.smooth import FLUSHED, Smooth
from engine.kernels.window import Window
from tests.engine.market_columns import Prices, random_market, same_bits
from wire.program import ELEMENTWISE

WITHIN = 1e-12

Kernel = Smooth | Window | Moments


def _run(kernel: Kernel, x: Prices) -> Prices:
    """What `kernel` gives for each row of `x`, every slot being born at the first."""
    births = Births.none(x.shape[1], 0).joined(1, np.zeros(x.shape[1]))
    bar = random_market(seed=1, bars=1, slots=x.shape[1]).bar(0)
    values = []
    for number, row in enumerate(x, 1):
        instant = Instant(bar, number, births)
        value = kernel.step(instant, row)
        kernel.keep(instant, value, row)
        values.append(value)
    return np.array(values)


# Exact arithmetic: every price as a whole multiple of 2**-SCALE.
SCALE = 160


def _exact(values: Sequence[float]) -> list[int]:
    exact = [Fraction(value) * 2**SCALE for value in values]
    assert all(value.denominator == 1 for value in exact)
    return [value.numerator for value in exact]


def _sum_error(sums: Sequence[float], x: Sequence[int], n: int, start: int) -> float:
    """The largest error of sums of n bars from bar `start` on, relative to the sum of their absolutes."""
    worst = 0.0
    for place in range(max(start, n - 1), len(x), 23):
        window = x[place - n + 1 : place + 1]
        error = abs(Fraction(sums[place]) * 2**SCALE - sum(window))
        worst = max(worst, float(error / max(sum(map(abs, window)), 1)))
    return worst


def _variance_error(variances: Sequence[float], x: Sequence[int], n: int, start: int) -> float:
    """The largest relative error of variances of n bars from bar `start` on."""
    worst = 0.0
    for place in range(max(start, n - 1), len(x), 23):
        window = x[place - n + 1 : place + 1]
        exact = n * sum(value * value for value in window) - sum(window) ** 2  # n² times the variance
        found = Fraction(variances[place]) * n * n * 2 ** (2 * SCALE)
        worst = max(worst, float(abs(found - exact) / exact) if exact else float(found))
    return worst


def _walk(level: float, step: float, bars: int) -> Prices:
    random = np.random.default_rng(5)
    return level * np.exp(np.cumsum(random.normal(0, step, bars)))


def _noise(level: float, size: float, bars: int) -> Prices:
    return np.asarray(level + np.random.default_rng(6).normal(0, size, bars))


def _with_bad_tick(prices: Prices, at: int) -> Prices:
    bad = prices.copy()
    bad[at] *= 1000
    return bad


BARS = 20_000

CASES: dict[str, Prices] = {
    "a walk at 1e5": _walk(1e5, 1e-3, BARS),
    "a walk at 1e-5": _walk(1e-5, 1e-3, BARS),
    "a quiet market at 1e5": _noise(1e5, 1e-7, BARS),
    "a quiet market at 1e-5": _noise(1e-5, 1e-15, BARS),
    "one bad tick": _with_bad_tick(_walk(1e5, 1e-4, BARS), 10_003),
    "a bad tick in a quiet market": _with_bad_tick(_noise(1e5, 1e-7, BARS), 10_003),
    "a fall from 1e5 to 1e-5": np.concatenate([_noise(1e5, 1.0, BARS // 2), _noise(1e-5, 1e-10, BARS // 2)]),
    "a slow fall from 1e5 to 1e-5": np.geomspace(1e5, 1e-5, BARS) * _walk(1.0, 1e-4, BARS),
}


@pytest.mark.parametrize("n", [2, 20])
def test_a_sum_is_exact_to_a_few_roundings_whatever_came_before(n: int) -> None:
    values = _run(Window(len(CASES), np.add, n), np.array(list(CASES.values())).T)
    for slot, (case, prices) in enumerate(CASES.items()):
        assert _sum_error(values[:, slot].tolist(), _exact(prices.tolist()), n, 0) <= WITHIN, case


@pytest.mark.parametrize("n", [2, 20])
def test_a_variance_is_exact_to_a_few_roundings_whatever_came_before(n: int) -> None:
    values = _run(Moments(len(CASES), n), np.array(list(CASES.values())).T)
    for slot, (case, prices) in enumerate(CASES.items()):
        assert _variance_error(values[:, slot].tolist(), _exact(prices.tolist()), n, 0) <= WITHIN, case


@pytest.mark.parametrize("n", [2, 3, 7, 20])
@pytest.mark.parametrize("event", ["fall", "bad tick"])
def test_a_variance_is_exact_wherever_in_the_turn_of_its_window_the_price_jumps(n: int, event: str) -> None:
    phases = range(2 * n)
    bars = 10 * n
    quiet, low = _noise(1e5, 1e-7, bars), _noise(1e-5, 1e-12, bars)
    columns = [
        np.where(np.arange(bars) < 3 * n + phase, quiet, low)
        if event == "fall"
        else _with_bad_tick(quiet, 3 * n + phase)
        for phase in phases
    ]
    values = _run(Moments(len(columns), n), np.array(columns).T)
    for slot, prices in enumerate(columns):
        exact = _exact(prices.tolist())
        for start in range(23):
            assert _variance_error(values[:, slot].tolist(), exact, n, start) <= WITHIN, slot


def test_a_window_without_movement_is_exactly_flat_as_soon_as_it_is_full() -> None:
    x = np.concatenate([_walk(100, 0.1, 50), np.full(60, 7.3)])[:, None]
    assert np.all(_run(Moments(1, 20), x)[69:] == 0)
    x = np.concatenate([_walk(100, 0.1, 50), np.zeros(60)])[:, None]
    assert np.all(_run(Window(1, np.add, 20), x)[69:] == 0)


@pytest.mark.parametrize(("merge", "of_window"), [(np.maximum, max), (np.minimum, min), (np.add, math.fsum)])
@pytest.mark.parametrize("n", [2, 3, 5, 32])
def test_a_window_holds_the_last_n_bars_and_nothing_else(
    merge: np.ufunc, of_window: Callable[[Sequence[float]], float], n: int
) -> None:
    x = np.random.default_rng(2).integers(-1000, 1000, (150, 1)).astype(float)
    values = _run(Window(1, merge, n), x)[:, 0]
    assert np.all(np.isnan(values[: n - 1]))
    for place in range(n - 1, len(x)):
        assert values[place] == of_window(x[place - n + 1 : place + 1, 0].tolist())


@pytest.mark.parametrize("n", [2, 3, 20])
def test_a_nan_lives_as_long_as_its_window(n: int) -> None:
    x = _walk(100, 0.01, 120)[:, None]
    x[60] = np.nan
    for kernel in (Window(1, np.add, n), Window(1, np.maximum, n), Moments(1, n)):
        values = _run(kernel, x)[n:, 0]
        assert np.flatnonzero(np.isnan(values)).tolist() == list(range(60 - n, 60))


@given(
    st.sampled_from(sorted(ELEMENTWISE)),
    st.tuples(*[st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, 1 + 1e-13, 1e-250])] * 3),
)
def test_the_elementwise_functions_do_to_columns_what_they_do_to_numbers(
    kernel: str, numbers: tuple[float, ...]
) -> None:
    operands = [number + 0.0 for number in numbers[: _arity(kernel)]]
    with np.errstate(all="ignore"):
        column = FUNCTIONS[kernel](*[np.array([operand]) for operand in operands])
        scalar_last = FUNCTIONS[kernel](np.array([operands[0]]), *[np.array(operand) for operand in operands[1:]])
    expected = np.array([float(ELEMENTWISE[kernel](*operands))])
    if math.isfinite(expected[0]):
        assert same_bits(column, expected)
        assert same_bits(scalar_last, expected)
        assert math.copysign(1, column[0]) == 1 or column[0] != 0


@pytest.mark.parametrize("kernel", sorted(FUNCTIONS))
def test_a_nan_goes_through_every_elementwise_function(kernel: str) -> None:
    arity = _arity(kernel)
    for other in (0.0, 2.0, -2.0):
        for place in range(min(arity, 2)):
            operands = [np.array([other])] * arity
            operands[place] = np.array([np.nan])
            with np.errstate(all="ignore"):
                assert np.isnan(FUNCTIONS[kernel](*operands)).all()


def _arity(kernel: str) -> int:
    return {"ratio": 3, "negative": 1, "abs": 1, "sqrt": 1, "not": 1}.get(kernel, 2)


@given(
    st.lists(
        st.tuples(_near := st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1 + 1e-11, 1 + 1e-13]), _near), min_size=1
    )
)
def test_a_is_above_b_by_more_than_a_trillionth_of_the_larger(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    for place, (left, right) in enumerate(pairs):
        tolerance = 1e-12 * max(abs(left), abs(right))
        assert FUNCTIONS["above"](a, b)[place] == (1.0 if left - right > tolerance else 0.0)
        assert FUNCTIONS["equal"](a, b)[place] == (1.0 if abs(left - right) <= tolerance else 0.0)


def test_a_quotient_by_0_is_0_and_a_ratio_by_next_to_nothing_is_its_flat_value() -> None:
    a = np.array([5.0, -5.0, 0.0])
    with np.errstate(all="ignore"):
        for b in (np.array([0.0, 0.0, 0.0]), np.array(0.0)):
            assert FUNCTIONS["divide"](a, b).tolist() == [0.0, 0.0, 0.0]
        ratios = FUNCTIONS["ratio"](np.array([1e-230, 3.0]), np.array([1e-230, 4.0]), np.array(50.0))
    assert ratios.tolist() == [50.0, 0.75]


def test_an_average_is_seeded_by_the_mean_of_its_first_values_and_then_follows_them() -> None:
    values = _run(Smooth(1, 0, 1, 3, 0.5), np.array([[1.0], [2.0], [6.0], [5.0], [9.0]]))[:, 0]
    assert np.array_equal(values, [np.nan, np.nan, 3.0, 4.0, 6.5], equal_nan=True)


def test_an_average_decays_to_0_and_is_never_long_denormal() -> None:
    x = np.concatenate([np.ones(30), np.zeros(9_600)])[:, None]
    values = _run(Smooth(1, 0, 1, 14, 1 / 14), x)[:, 0]
    assert values[-1] == 0
    assert np.all(values[13:5_000] > 0)
    denormal = (values != 0) & (np.abs(values) < FLUSHED)
    assert denormal.sum() <= 32


def test_rows_are_only_read_and_columns_handed_out_are_not_written_to_again() -> None:
    x: list[Column] = list(_walk(100, 0.1, 200).reshape(100, 2))
    for row in x:
        row.setflags(write=False)
    for kernel in (Window(2, np.add, 7), Moments(2, 7), Smooth(2, 0, 1, 7, 0.25)):
        births = Births.none(2, 0).joined(1, np.zeros(2))
        handed_out: list[tuple[Column, Column]] = []
        for number, row in enumerate(x, 1):
            instant = Instant(random_market(1, 1, 2).bar(0), number, births)
            value = kernel.step(instant, row)
            kernel.keep(instant, value, row)
            handed_out.append((value, value.copy()))
        assert all(same_bits(value, copy) for value, copy in handed_out)
