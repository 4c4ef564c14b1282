"""What became of finals: judged for a full client, and as the clients of a swarm judge it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.order import Order
from loadtest.target import Answer, Position, Told
from loadtest.verdict import Verdict, judge, total

PUBLISHED = range(1000, 6000, 1000)


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [
        ([1000, 2000, 3000, 4000, 5000], Verdict(5)),
        ([1000, 2000, 4000, 5000], Verdict(4, lost=1)),
        ([1000, 2000, 3000, 4000], Verdict(4, lost=1)),
        ([2000, 3000, 4000, 5000], Verdict(4, lost=1)),
        ([1000, 2000, 2000, 3000, 4000, 5000], Verdict(6, repeated=1)),
        ([1000, 3000, 2000, 4000, 5000], Verdict(5, disordered=1)),
        ([1000, 2000, 3000, 4000, 5000, 6000], Verdict(6, strange=1)),
        ([], Verdict(0, lost=5)),
    ],
)
def test_a_gap_a_repetition_a_disorder_and_a_stranger_are_found(heard: list[int], verdict: Verdict) -> None:
    assert judge(heard, PUBLISHED) == verdict
    assert verdict.is_clean == (heard == list(PUBLISHED))


@given(st.lists(st.sampled_from(PUBLISHED)))
def test_only_all_in_their_order_is_clean(heard: list[int]) -> None:
    assert judge(heard, PUBLISHED).is_clean == (heard == list(PUBLISHED))


def test_verdicts_add_up() -> None:
    assert total([Verdict(1, 2, 3, 4, 5), Verdict(10, 20, 30, 40, 50)]) == Verdict(11, 22, 33, 44, 55)


def order_of(*bars_ms: int) -> Order:
    order = Order(1000)
    order.answered("x", Answer(0, None, Position("e", 0)))
    for offset, bar_ms in enumerate(bars_ms, 1):
        order.told(Told("x", offset, bar_ms))
    return order


@pytest.mark.parametrize(
    ("heard", "lost", "repeated"),
    [([3000, 4000, 5000], 0, 0), ([3000, 5000, 9000], 4, 0), ([3000, 4000, 4000], 0, 1), ([3000, 4000, 3000], 0, 1)],
)
def test_a_client_of_a_swarm_finds_what_is_missing_between_two_finals_and_what_comes_again(
    heard: list[int], lost: int, repeated: int
) -> None:
    order = order_of(*heard)

    assert (order.finals, order.lost, order.repeated) == (3, lost, repeated)


def test_its_position_is_that_of_the_newest_publication_live_values_too() -> None:
    order = order_of(1000)
    order.told(Told("x", 9, None))

    assert order.positions == {"x": Position("e", 9)}


def test_what_is_recovered_goes_on_where_it_was() -> None:
    order = order_of(1000, 2000)
    order.answered("x", Answer(0, None, Position("e", 2), recovered=True, told=(Told("", 4, 3000), Told("", 5, 4000))))
    order.told(Told("x", 6, 5000))

    assert (order.finals, order.lost, order.repeated, order.unrecovered) == (5, 0, 0, 0)
    assert order.positions == {"x": Position("e", 6)}


def test_a_client_that_cannot_go_on_begins_anew_and_is_counted() -> None:
    order = order_of(1000, 2000)
    order.answered("x", Answer(0, None, Position("f", 40)))
    order.told(Told("x", 41, 9000))

    assert (order.lost, order.repeated, order.unrecovered) == (0, 0, 1)
