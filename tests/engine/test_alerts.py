"""An alert is told when its condition has turned true on a closed bar with a trade, once for each time."""

import pytest

from engine.budget import Budget, BudgetError
from tests.engine.venue_world import START_MS, World, bars_of
from wire import channel as channels

ABOVE = "alerts:DEMO:S00@1s:close>10"
CROSSING = "alerts:DEMO:S00@1s:crossover(close,sma(close,2))"


def times(world: World, name: str) -> list[float]:
    return [each["t"] for each in world.said(name)]


def test_it_is_told_with_all_its_fields() -> None:
    world = World("alerts:DEMO:S00@1s:close>sma(close,2) and close>5")
    world.closes([10.0, 9.0, 12.0])
    event = START_MS * 1000 + 2_500_000
    assert world.said("alerts:DEMO:S00@1s:close>sma(close,2) and close>5") == [
        {"t": 2.0, "v": {"close": 12.0, "sma(close,2)": 10.5}, "final": True, "event": event, "sent": event}
    ]


def test_it_is_told_once_for_each_time_that_its_condition_turns_true() -> None:
    world = World(ABOVE)
    world.closes([9.0, 11.0, 12.0, 13.0, 10.0, 11.0, 11.0])
    assert times(world, ABOVE) == [1.0, 5.0]


def test_a_condition_that_is_true_from_the_first_bar_has_not_turned() -> None:
    world = World(ABOVE)
    world.closes([11.0, 12.0, 9.0, 12.0])
    assert times(world, ABOVE) == [3.0]


def test_a_condition_that_was_unknown_before_it_was_true_has_not_turned() -> None:
    name = "alerts:DEMO:S00@1s:close>sma(close,3)"
    world = World(name)
    world.closes([1.0, 1.0, 9.0, 10.0, 1.0, 9.0])
    assert times(world, name) == [5.0], "not at the third bar, the first with an average"


def test_a_crossing_is_told_at_the_bar_of_the_crossing() -> None:
    world = World(CROSSING)
    world.closes([10.0, 9.0, 8.0, 11.0, 12.0, 9.0, 13.0])
    assert [(each["t"], each["v"]) for each in world.said(CROSSING)] == [
        (3.0, {"close": 11.0, "sma(close,2)": 9.5}),
        (6.0, {"close": 13.0, "sma(close,2)": 11.0}),
    ]


def test_its_operands_are_those_of_every_comparison_by_canonical_text_without_numbers() -> None:
    name = "alerts:DEMO:S00@1s:rsi(close,2)>50 and not close[1]>close or cross(hl2,open)"
    world = World(name)
    world.closes([10.0, 11.0, 10.0, 12.0])
    assert {tuple(each["v"]) for each in world.said(name)} == {("rsi(close,2)", "close[1]", "close", "hl2", "open")}


def test_nothing_turns_true_at_a_bar_without_a_trade_and_what_is_still_true_at_the_next_trade_turns_then() -> None:
    world = World("alerts:DEMO:S00@1s:sma(close,2)>=10")
    name = "alerts:DEMO:S00@1s:sma(close,2)>=10"
    world.closes([1.0, 1.0, 10.0, None, None, 11.0, 11.0])
    assert [(each["t"], each["v"]) for each in world.said(name)] == [(5.0, {"sma(close,2)": 10.5})]


def test_what_is_true_only_at_bars_without_a_trade_is_never_told() -> None:
    name = "alerts:DEMO:S00@1s:volume<=0"
    world = World(name)
    world.closes([10.0, None, None, 10.0, None, 10.0])
    assert world.said(name) == []


def test_what_was_true_before_bars_without_a_trade_and_after_them_has_not_turned_again() -> None:
    world = World(ABOVE)
    world.closes([9.0, 11.0, None, None, 12.0])
    assert times(world, ABOVE) == [1.0]


def test_what_became_false_at_a_bar_without_a_trade_turns_at_the_next_trade() -> None:
    name = "alerts:DEMO:S00@1s:close>sma(close,2)"
    world = World(name)
    world.closes([10.0, 9.0, 11.0, None, None, 12.0])
    assert times(world, name) == [2.0, 5.0], "a flat market is at its average"


def test_a_live_value_does_not_set_it_off_nor_is_there_one() -> None:
    world = World(ABOVE)
    world.closes([9.0, 9.0])
    world.trade(2.1, 20.0)
    assert world.live(ABOVE) == {}
    assert not any(world.refresh())
    world.trade(2.2, 9.0)
    world.wait(3)
    assert world.said(ABOVE) == []


def test_unwatched_it_is_silent_and_watched_again_it_remembers_the_bars_that_are_held() -> None:
    world = World(ABOVE)
    world.closes([9.0, 9.0])
    world.unwatch(ABOVE)
    world.closes([11.0, 9.0], first_s=2)
    assert world.watch(ABOVE) == [ABOVE]
    world.closes([11.0], first_s=4)
    assert times(world, ABOVE) == [4.0]
    world.unwatch(ABOVE)
    world.closes([9.0, 11.0], first_s=5)
    world.watch(ABOVE)
    world.closes([12.0], first_s=7)
    assert times(world, ABOVE) == [4.0], "it has turned before, when nobody watched"


def test_it_joins_when_all_that_it_compares_is_known_and_not_before() -> None:
    name = "alerts:DEMO:S00@1s:rsi(close,14)>sma(close,5)*4"
    early, late = World(name), World()
    prices = [10.0 + second % 7 for second in range(100)]
    for world in (early, late):
        world.closes(prices[:50])
    late.venue.watch(channels.parse(name))
    second = 50
    while name not in late.venue.warm(bars_of(7)):
        late.closes([prices[second]], first_s=second)
        second += 1
    assert second > 60, "its condition and both of its operands replay fifty bars"
    late.closes(prices[second:], first_s=second)
    early.closes(prices[50:], first_s=50)
    assert late.said(name) == [each for each in early.said(name) if each["t"] >= second]
    assert late.said(name)


def test_one_is_of_one_instrument() -> None:
    other = ABOVE.replace("S00", "S01")
    world = World(ABOVE, other)
    world.trade(0.5, 9.0)
    world.trade(0.6, 20.0, "S01")
    world.trade(1.5, 11.0)
    world.trade(1.6, 9.0, "S01")
    world.trade(2.6, 11.0, "S01")
    world.wait(3)
    assert (times(world, ABOVE), times(world, other)) == ([1.0], [2.0])


def test_it_says_while_its_condition_still_depends_on_where_history_began() -> None:
    name = "alerts:DEMO:S00@1s:close>ema(close,2)"
    world = World(name)
    world.closes([10.0 + second % 2 for second in range(60)])
    said = world.said(name)
    assert [each["t"] for each in said] == [float(second) for second in range(3, 60, 2)], "the average is there at 1"
    settled = {each["t"]: each.get("settled", True) for each in said}
    assert not any(settled[t] for t in settled if t < 39)
    assert all(settled[t] for t in settled if t > 41)


def test_it_says_that_trades_are_missing_from_its_bar() -> None:
    world = World(ABOVE)
    world.closes([9.0])
    world.venue.interrupt(interrupted=True)
    world.trade(1.5, 11.0)
    world.wait(2)
    assert [each.get("gap", False) for each in world.said(ABOVE)] == [True]


def test_it_needs_no_other_channel_and_changes_none() -> None:
    signal = "signals:DEMO:S00@1s:sma(close,2)"
    both, alone = World(signal, CROSSING), World(signal)
    for world in (both, alone):
        world.closes([10.0, 9.0, 8.0, 11.0, 12.0])
    assert both.said(signal) == alone.said(signal)
    both.unwatch(CROSSING)
    for world in (both, alone):
        world.closes([9.0, 13.0], first_s=5)
    assert both.said(signal) == alone.said(signal)


@pytest.mark.parametrize("name", [ABOVE, CROSSING])
def test_after_the_last_unwatch_nothing_of_it_is_paid_for(name: str) -> None:
    budget = Budget()
    world = World(budget=budget)
    world.closes([9.0, 9.0])
    for symbol in ("S00", "S01"):
        world.watch(name.replace("S00", symbol))
    assert budget.used_bytes > 0
    world.unwatch(name)
    world.unwatch(name.replace("S00", "S01"))
    assert budget.used_bytes == 0


def test_without_memory_for_all_that_it_needs_none_of_it_is_watched() -> None:
    budget = Budget(40_000)
    world = World(budget=budget)
    with pytest.raises(BudgetError):
        world.watch("alerts:DEMO:S00@1s:close>sma(close,10) or close>sma(close,5000)")
    assert budget.used_bytes == 0
    assert world.watch(ABOVE) == [ABOVE]
