"""The closed bars that are held, within a budget."""

import numpy as np

from engine.columns import Columns
from engine.held import History
from tests.engine.test_bars import M1, S1, S5, S
from wire.market import Timeframe

BAR_BYTES = 640


def bar(number: int, *, gap: bool = False) -> Columns:
    """A bar of ten slots."""
    some, whole = np.full(10, float(number)), np.full(10, number)
    return Columns(
        number * S, some, some, some, some, some, some, whole, whole, gap=np.ones(10, np.bool_) if gap else None
    )


def history(budget: int, *, bars: int = 100) -> History:
    return History((S1, S5, M1), bars=bars, budget_bytes=budget * BAR_BYTES)


def numbers(held: History, timeframe: Timeframe) -> list[int]:
    return [each.open_ns // S for each in held[timeframe]]


def fill(held: History, count: int, *timeframes: Timeframe) -> None:
    for number in range(count):
        for timeframe in timeframes:
            held.append(timeframe, bar(number))


def test_of_each_timeframe_only_so_many_are_held() -> None:
    held = history(100, bars=3)
    fill(held, 5, S1, S5)
    assert (numbers(held, S1), numbers(held, S5), numbers(held, M1)) == ([2, 3, 4], [2, 3, 4], [])
    assert held.held_bytes == 6 * BAR_BYTES


def test_the_budget_is_shared_evenly_by_the_wanted() -> None:
    held = history(6)
    fill(held, 9, S1, S5, M1)
    assert [numbers(held, each) for each in (S1, S5, M1)] == [[7, 8]] * 3
    assert held.held_bytes <= 6 * BAR_BYTES


def test_unwanted_timeframes_give_up_their_oldest_first() -> None:
    held = history(8)
    held.want({S5})
    fill(held, 4, S1, M1)
    fill(held, 5, S5)
    assert numbers(held, S5) == [0, 1, 2, 3, 4]
    assert sorted(len(numbers(held, each)) for each in (S1, M1)) == [1, 2]
    fill(held, 9, S5)
    assert len(numbers(held, S5)) == 8
    assert (numbers(held, S1), numbers(held, M1)) == ([], [])


def test_a_smaller_budget_counts_at_once() -> None:
    held = history(10)
    fill(held, 5, S1, S5)
    held.bound(4 * BAR_BYTES)
    assert (numbers(held, S1), numbers(held, S5)) == ([3, 4], [3, 4])


def test_a_budget_less_than_a_bar_holds_none() -> None:
    held = history(0)
    fill(held, 3, S1)
    assert (numbers(held, S1), held.held_bytes, held.oldest_ns(S1)) == ([], 0, None)


def test_a_bar_is_replaced_by_the_one_that_opened_with_it() -> None:
    held = history(10)
    fill(held, 3, S1)
    held.replace(S1, bar(1, gap=True))
    held.replace(S1, bar(7))
    assert [each.gap is None for each in held[S1]] == [True, False, True]
    assert held.held_bytes == 3 * BAR_BYTES + 10
