"""Who is closed when: everybody once, evenly, and nobody before the time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drain import Drain

PERIODS = st.just(0.0) | st.floats(min_value=1e-3, max_value=1e6)
COUNTS = st.integers(min_value=0, max_value=300)
# the moments, as parts of the period, at which it is asked who is due
MOMENTS = st.lists(st.floats(min_value=0.0, max_value=1.5), max_size=30).map(sorted)


def test_the_first_is_due_at_once_and_the_others_evenly_over_the_period() -> None:
    drain = Drain(["a", "b", "c", "d"], period_s=20.0)
    assert drain.wait_s(0.0) == 0.0
    assert drain.due(0.0) == ["a"]
    assert drain.wait_s(1.0) == 4.0
    assert drain.due(4.999) == []
    assert drain.due(5.0) == ["b"]
    assert drain.due(15.0) == ["c", "d"]
    assert drain.wait_s(15.0) is None
    assert drain.due(100.0) == []


@pytest.mark.parametrize("period_s", [0.0, 20.0])
def test_nobody_is_due_where_nobody_is(period_s: float) -> None:
    drain = Drain[str]([], period_s)
    assert drain.wait_s(0.0) is None
    assert drain.due(0.0) == []


def test_everybody_is_due_at_once_where_there_is_no_period() -> None:
    drain = Drain(["a", "b", "c"], period_s=0.0)
    assert drain.wait_s(0.0) == 0.0
    assert drain.due(0.0) == ["a", "b", "c"]
    assert drain.wait_s(0.0) is None


@given(COUNTS, PERIODS, MOMENTS)
def test_everybody_is_due_once_in_order_however_it_is_asked(count: int, period_s: float, moments: list[float]) -> None:
    drain = Drain(range(count), period_s)
    found = [each for moment in moments for each in drain.due(moment * period_s)]
    found += drain.due(period_s)
    assert found == list(range(count))
    assert drain.wait_s(period_s) is None


@given(COUNTS, PERIODS, MOMENTS)
def test_never_more_are_due_than_the_part_of_the_period_that_has_passed(
    count: int, period_s: float, moments: list[float]
) -> None:
    drain, found = Drain(range(count), period_s), 0
    for moment in moments:
        found += len(drain.due(moment * period_s))
        if period_s > 0 and moment < 1:
            assert found <= moment * count + 1 + 1e-6
            assert found >= min(count, moment * count - 1e-6)


@given(st.integers(min_value=1, max_value=300), st.floats(min_value=1e-3, max_value=1e4))
def test_whoever_waits_as_long_as_it_says_closes_one_at_a_time_at_even_intervals(count: int, period_s: float) -> None:
    drain, now_s, times = Drain(range(count), period_s), 0.0, []
    while (wait_s := drain.wait_s(now_s)) is not None:
        now_s += wait_s
        due = drain.due(now_s)
        times += [now_s] * len(due)
        assert len(times) < 2 * count + 1
        now_s += period_s * 1e-9  # a clock goes on
    assert len(times) == count
    assert times[-1] <= period_s
    assert max((later - earlier for earlier, later in pairwise(times)), default=0.0) <= 1.01 * period_s / count
