"""When a connection's token is asked about again, when its client is told to refresh, and when it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.introspection import LONGEST_S, Answer, Introspection
from gateway.standing import GRACE_S, Due, Standing, stand

NS = 1_000_000_000
WALL_S = 1_704_067_200
NOW_NS = 50 * NS
CHANCES = st.floats(0, 1, exclude_max=True)


def standing(exp_s: int | None = None, *, holds_s: float = LONGEST_S, chance: float = 0.5) -> Standing:
    """As it is at the start, `exp_s` before the token's end."""
    who = Introspection(active=True, sub="1", exp=None if exp_s is None else WALL_S + exp_s)
    return stand("t", Answer(who, NOW_NS + round(holds_s * NS)), WALL_S * NS, NOW_NS, chance)


def due(it: Standing, after_s: float) -> Due:
    return it.due(round((WALL_S + after_s) * NS), NOW_NS + round(after_s * NS))


@given(CHANCES, st.floats(1, LONGEST_S))
def test_an_answer_is_asked_for_again_before_it_ends_and_not_at_once(chance: float, holds_s: float) -> None:
    it = standing(holds_s=holds_s, chance=chance)
    assert due(it, holds_s * 0.49) is Due.NOTHING
    assert due(it, holds_s * 0.91) is Due.REVIEW


def test_the_reviews_of_many_are_spread() -> None:
    waits = [standing(chance=chance).wait_s(WALL_S * NS, NOW_NS) for chance in (0.0, 0.5, 0.99)]
    assert waits == pytest.approx([30, 42, 53.76])


def test_an_answer_that_holds_as_long_as_its_token_is_not_asked_for_again() -> None:
    it = standing(20, holds_s=20)
    assert due(it, 19.9) is Due.NOTHING
    assert due(it, 20) is Due.EXPIRED
    assert it.wait_s(WALL_S * NS, NOW_NS) == 20


def test_an_answer_that_ends_before_its_token_is() -> None:
    it = standing(3600)
    assert due(it, 55) is Due.REVIEW
    assert due(it, 3600) is Due.EXPIRED


def test_the_tokens_end_follows_the_wall_clock_when_that_jumps() -> None:
    it = standing(3600)
    assert it.due((WALL_S + 3600) * NS, NOW_NS) is Due.EXPIRED
    assert it.left_s((WALL_S + 3590) * NS, NOW_NS) == 10


def test_without_an_answer_a_connection_stays_a_minute_longer() -> None:
    it = standing()
    assert due(it, LONGEST_S + GRACE_S - 0.1) is Due.REVIEW
    assert due(it, LONGEST_S + GRACE_S) is Due.UNCONFIRMED
    assert it.left_s(WALL_S * NS, NOW_NS) == LONGEST_S + GRACE_S


@given(CHANCES)
def test_what_was_asked_in_vain_is_asked_again_a_while_later_and_holds_no_longer(chance: float) -> None:
    it = standing(chance=0.99)
    later = it.postponed(NOW_NS + 54 * NS, chance)
    assert later.until_ns == it.until_ns
    assert due(later, 54 + 9.9) is Due.NOTHING
    assert due(later, 54 + 20) is Due.REVIEW


@given(st.none() | st.integers(0, 200), CHANCES, st.floats(0, 300))
def test_nothing_is_due_before_it_was_waited_for_and_something_is_then(
    exp_s: int | None, chance: float, after_s: float
) -> None:
    holds_s = LONGEST_S if exp_s is None else min(exp_s, LONGEST_S)
    it = standing(exp_s, holds_s=holds_s, chance=chance)
    wait_s = it.wait_s(WALL_S * NS, NOW_NS)
    if after_s < wait_s - 0.001:
        assert due(it, after_s) is Due.NOTHING
    assert due(it, wait_s + 0.001) is not Due.NOTHING
    assert wait_s <= it.left_s(WALL_S * NS, NOW_NS)


@pytest.mark.parametrize(
    ("left_s", "ttl_s"),
    [(3600, 3570), (61, 31), (60, 30), (59, 29), (20, 10), (3, 1), (1, 1), (10**11, 0x7FFF_FFFF)],
)
def test_a_client_is_told_to_refresh_half_a_minute_early_or_at_half_of_what_is_left(left_s: int, ttl_s: int) -> None:
    assert standing(left_s).ttl_s(WALL_S * NS) == ttl_s


def test_a_ttl_is_never_nothing() -> None:
    assert standing(1).ttl_s(WALL_S * NS + 900_000_000) == 1


def test_a_client_whose_token_does_not_end_never_has_to_refresh() -> None:
    assert standing().ttl_s(WALL_S * NS) is None
