import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.apply import FUNCTIONS
from engine.kernels.blocks import Extreme, Weighted
from engine.kernels.deviation import Deviation
from engine.kernels.follow import Kama
from engine.kernels.instant import Births, Column, Instant
from engine.kernels.moments import Moments
from engine.kernels.node import Kernel
from engine.kernels.smooth import FLUSHED, Smooth
from engine.kernels.window import Window
from tests.engine.exact import hard_cases, noise, sum_error, variance_error, walk, with_bad_ticks
from tests.engine.market_columns import Prices, random_market, same_bits
from wire.program import ELEMENTWISE

WITHIN = 1e-12


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


BARS = 20_000
CASES = hard_cases(BARS)


def _worst(
    error: Callable[[float, Sequence[float]], float], values: Prices, x: Prices, n: int, places: Iterable[int]
) -> float:
    """The largest error of the windows of n bars that end at `places`."""
    return max(error(values.item(place), x[place - n + 1 : place + 1].tolist()) for place in places if place >= n - 1)


@pytest.mark.parametrize("n", [2, 20])
def test_a_sum_is_exact_to_a_few_roundings_whatever_came_before(n: int) -> None:
    values = _run(Window(len(CASES), np.add, n), np.array(list(CASES.values())).T)
    for slot, (case, prices) in enumerate(CASES.items()):
        assert _worst(sum_error, values[:, slot], prices, n, range(0, BARS, 23)) <= WITHIN, case


@pytest.mark.parametrize("n", [2, 20])
def test_a_variance_is_exact_to_a_few_roundings_whatever_came_before(n: int) -> None:
    values = _run(Moments(len(CASES), n), np.array(list(CASES.values())).T)
    for slot, (case, prices) in enumerate(CASES.items()):
        assert _worst(variance_error, values[:, slot], prices, n, range(0, BARS, 23)) <= WITHIN, case


@pytest.mark.parametrize("n", [2, 3, 7, 20])
@pytest.mark.parametrize("event", ["fall", "bad tick"])
def test_a_variance_is_exact_wherever_in_the_turn_of_its_window_the_price_jumps(n: int, event: str) -> None:
    phases = range(2 * n)
    bars = 10 * n
    quiet, low = noise(1e5, 1e-7, bars), noise(1e-5, 1e-12, bars)
    columns = [
        np.where(np.arange(bars) < 3 * n + phase, quiet, low)
        if event == "fall"
        else with_bad_ticks(quiet, [3 * n + phase])
        for phase in phases
    ]
    values = _run(Moments(len(columns), n), np.array(columns).T)
    for slot, prices in enumerate(columns):
        assert _worst(variance_error, values[:, slot], prices, n, range(bars)) <= WITHIN, slot


def test_a_window_without_movement_is_exactly_flat_as_soon_as_it_is_full() -> None:
    x = np.concatenate([walk(100, 0.1, 50), np.full(60, 7.3)])[:, None]
    assert np.all(_run(Moments(1, 20), x)[69:] == 0)
    x = np.concatenate([walk(100, 0.1, 50), np.zeros(60)])[:, None]
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
    x = walk(100, 0.01, 120)[:, None]
    x[60] = np.nan
    kernels: list[Kernel] = [Window(1, np.add, n), Window(1, np.maximum, n), Moments(1, n), Weighted(1, n)]
    for kernel in [*kernels, Extreme(1, n, lowest=False), Extreme(1, n, lowest=True)]:
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
    return {"ratio": 3, "negative": 1, "abs": 1, "sign": 1, "sqrt": 1, "not": 1}.get(kernel, 2)


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


def test_an_adaptive_average_decays_to_0_and_is_never_long_denormal() -> None:
    kernel, bar, births = Kama(1), random_market(1, 1, 1).bar(0), Births.none(1, 0)
    values = []
    for number in range(1, 4_001):
        inputs = (np.zeros(1), np.full(1, 0.25), np.ones(1))
        values.append(kernel.step(Instant(bar, number, births), *inputs))
        kernel.keep(Instant(bar, number, births), values[-1], *inputs)
    column = np.array(values)[:, 0]
    assert np.all(column[:2_000] > 0)
    assert column[-1] == 0
    assert ((column != 0) & (np.abs(column) < FLUSHED)).sum() <= 32


def test_rows_are_only_read_and_columns_handed_out_are_not_written_to_again() -> None:
    x: list[Column] = list(walk(100, 0.1, 200).reshape(100, 2))
    for row in x:
        row.setflags(write=False)
    kernels: list[Kernel] = [Window(2, np.add, 7), Moments(2, 7), Smooth(2, 0, 1, 7, 0.25), Weighted(2, 7)]
    for kernel in [*kernels, Extreme(2, 7, lowest=True)]:
        births = Births.none(2, 0).joined(1, np.zeros(2))
        handed_out: list[tuple[Column, Column]] = []
        for number, row in enumerate(x, 1):
            instant = Instant(random_market(1, 1, 2).bar(0), number, births)
            value = kernel.step(instant, row)
            kernel.keep(instant, value, row)
            handed_out.append((value, value.copy()))
        assert all(same_bits(value, copy) for value, copy in handed_out)


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_a_weighted_sum_takes_the_oldest_once_and_the_newest_n_times(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-1000, 1000, (120, 1)).astype(float)
    values = _run(Weighted(1, n), x)[:, 0]
    assert np.all(np.isnan(values[: n - 1]))
    for place in range(n - 1, len(x)):
        assert values[place] == sum(weight * x[place - n + weight, 0] for weight in range(1, n + 1))


@given(st.integers(2, 40), st.integers(0, 2**32), st.booleans())
def test_an_extreme_is_told_by_its_newest_bar(n: int, seed: int, lowest: bool) -> None:
    x = np.random.default_rng(seed).integers(0, 6, (120, 1)).astype(float)
    values = _run(Extreme(1, n, lowest=lowest), x)[:, 0]
    assert np.all(np.isnan(values[: n - 1]))
    for place in range(n - 1, len(x)):
        newest_first = x[place - n + 1 : place + 1, 0][::-1].tolist()
        assert values[place] == newest_first.index((min if lowest else max)(newest_first))


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_a_deviation_is_the_mean_distance_of_the_window_from_its_centre(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-1000, 1000, (60, 2)).astype(float)
    kernel, bar = Deviation(2, n), random_market(seed=1, bars=1, slots=2).bar(0)
    for place, row in enumerate(x):
        instant = Instant(bar, place + 1, Births.none(2, 0))
        value = kernel.step(instant, row, np.array([0.5, 3.0]))
        kernel.keep(instant, value, row, row)
        window = np.abs(x[place - n + 1 : place + 1] - [0.5, 3.0])
        assert np.isnan(value).all() if place < n - 1 else value.tolist() == [sum(a) / n for a in window.T.tolist()]
