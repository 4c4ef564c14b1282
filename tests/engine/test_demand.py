"""What is wanted now: started at once, repeated when somebody reads, dropped a minute after the last."""

from engine.demand import GRACE_S, Change, Demand

NOTHING = Change((), (), frozenset())


def test_a_channel_that_is_rung_for_is_started_and_its_live_value_repeated() -> None:
    demand = Demand()
    demand.ring(["a", "b", "a"])
    assert demand.take(0) == Change(("a", "b"), (), frozenset({"a", "b"}))
    assert demand.take(0) == NOTHING


def test_a_channel_that_is_computed_already_is_only_repeated() -> None:
    demand = Demand()
    demand.ring(["a"])
    demand.take(0)
    demand.ring(["a"])
    assert demand.take(0) == Change((), (), frozenset({"a"}))


def test_a_channel_that_is_wanted_but_was_never_rung_for_is_started() -> None:
    demand = Demand()
    demand.wanted(frozenset({"a"}), 0)
    assert demand.take(0).started == ("a",)
    demand.wanted(frozenset({"a"}), 5)
    assert demand.take(5) == NOTHING


def test_a_channel_is_dropped_a_minute_after_it_was_wanted_last() -> None:
    demand = Demand()
    demand.ring(["a", "b"])
    demand.take(0)
    demand.wanted(frozenset({"b"}), 10)
    assert demand.take(10 + GRACE_S - 0.1).dropped == ()
    assert demand.take(10 + GRACE_S).dropped == ("a",)
    assert demand.take(10 + GRACE_S) == NOTHING


def test_a_channel_that_is_wanted_again_in_time_stays() -> None:
    demand = Demand()
    demand.ring(["a"])
    demand.take(0)
    demand.wanted(frozenset(), 10)
    demand.wanted(frozenset({"a"}), 15)
    assert demand.take(100).dropped == ()


def test_a_channel_that_is_rung_for_again_in_time_stays() -> None:
    demand = Demand()
    demand.ring(["a"])
    demand.take(0)
    demand.wanted(frozenset(), 10)
    demand.ring(["a"])
    assert demand.take(100) == Change((), (), frozenset({"a"}))


def test_a_dropped_channel_can_be_started_again() -> None:
    demand = Demand()
    demand.ring(["a"])
    demand.take(0)
    demand.wanted(frozenset(), 0)
    demand.take(GRACE_S)
    demand.ring(["a"])
    assert demand.take(GRACE_S).started == ("a",)
