"""A screen names, at each closed bar of a venue, the instruments for which it holds, and who has entered and left."""

from typing import Any

import pytest

from engine.errors import UnknownChannelError
from tests.engine.venue_world import START_MS, World, bars_of
from wire import channel as channels

ABOVE = "screens:DEMO@1s:close>10"
AVERAGE = "screens:DEMO@1s:close>sma(close,2)"


def told(world: World, name: str = ABOVE) -> list[tuple[float, list[str], list[str], list[str]]]:
    return [_row(each) for each in world.said(name)]


def _row(each: dict[str, Any]) -> tuple[float, list[str], list[str], list[str]]:
    return each["t"], each["in"], each["entered"], each["left"]


def second(world: World, at_s: int, *prices: float | None) -> None:
    """A trade of each instrument in this second, or none."""
    for place, price in enumerate(prices):
        if price is not None:
            world.trade(at_s + 0.1 + place / 10, price, world.symbols[place])
    world.wait(at_s + 1)


def test_it_is_told_with_all_its_fields_and_empty_lists() -> None:
    world = World(ABOVE)
    second(world, 0, 9.0, 11.0, 12.0)
    second(world, 1, 9.0, 9.0)
    event = START_MS * 1000
    assert world.said(ABOVE) == [
        {
            "t": 0.0,
            "in": ["S01", "S02"],
            "entered": ["S01", "S02"],
            "left": [],
            "final": True,
            "event": event + 300_000,
            "sent": event + 300_000,
        },
        {
            "t": 1.0,
            "in": ["S02"],
            "entered": [],
            "left": ["S01"],
            "final": True,
            "event": event + 1_200_000,
            "sent": event + 1_200_000,
        },
    ]


def test_it_is_told_at_every_bar_even_if_it_holds_for_none() -> None:
    world = World(ABOVE)
    for at_s in range(3):
        second(world, at_s, 9.0, 8.0, 7.0)
    assert told(world) == [(0.0, [], [], []), (1.0, [], [], []), (2.0, [], [], [])]


def test_who_enters_and_who_leaves_is_told_bar_by_bar() -> None:
    world = World(ABOVE)
    second(world, 0, 11.0, 9.0, 9.0)
    second(world, 1, 11.0, 11.0, 9.0)
    second(world, 2, 9.0, 11.0, 11.0)
    second(world, 3, 9.0, 9.0, 9.0)
    assert told(world) == [
        (0.0, ["S00"], ["S00"], []),
        (1.0, ["S00", "S01"], ["S01"], []),
        (2.0, ["S01", "S02"], ["S02"], ["S00"]),
        (3.0, [], [], ["S01", "S02"]),
    ]


def test_an_instrument_without_a_trade_in_the_bar_does_not_enter_but_at_its_next_trade() -> None:
    rising = "screens:DEMO@1s:sma(close,2)>=10"
    world = World(rising)
    second(world, 0, 1.0, 12.0)
    second(world, 1, 12.0, 12.0)
    second(world, 2, None, 12.0)  # The average is 12 from here on.
    second(world, 3, None, 12.0)
    second(world, 4, 12.0, 12.0)
    assert [(t, entered) for t, _, entered, _ in told(world, rising)] == [
        (0.0, []),
        (1.0, ["S01"]),
        (2.0, []),
        (3.0, []),
        (4.0, ["S00"]),
    ]


def test_an_instrument_that_is_in_stays_through_bars_without_a_trade_and_may_leave_at_one() -> None:
    traded = "screens:DEMO@1s:volume[1]>0"
    world = World(ABOVE, traded)
    second(world, 0, 11.0)
    second(world, 1, 12.0)
    for at_s in range(2, 5):
        second(world, at_s, None, 1.0)
    assert [row[1] for row in told(world)] == [["S00"]] * 5
    assert [row[1:] for row in told(world, traded)][1:4] == [
        (["S00"], ["S00"], []),
        (["S00"], [], []),
        (["S01"], ["S01"], ["S00"]),
    ]


def test_an_instrument_whose_values_are_unknown_is_not_in_it() -> None:
    world = World(AVERAGE)
    second(world, 0, 10.0, 10.0)
    second(world, 1, 11.0, 9.0)
    assert [row[1] for row in told(world, AVERAGE)] == [[], ["S00"]]


def test_an_instrument_that_is_born_later_enters_when_it_has_values() -> None:
    world = World(AVERAGE, ABOVE)
    second(world, 0, 11.0)
    second(world, 1, 11.0, None, 11.0)
    second(world, 2, 11.0, None, 12.0)
    assert [row[2] for row in told(world)] == [["S00"], ["S02"], []]
    assert [row[2] for row in told(world, AVERAGE)] == [[], [], ["S02"]]


def test_one_that_is_watched_later_begins_with_what_holds_then() -> None:
    early, late = World(ABOVE, AVERAGE), World()
    for world in (early, late):
        second(world, 0, 11.0, 9.0)
        second(world, 1, 12.0, 9.0)
    for name in (ABOVE, AVERAGE):
        assert late.watch(name) == [name]
    for world in (early, late):
        second(world, 2, 13.0, 11.0)
    for name in (ABOVE, AVERAGE):
        assert told(late, name) == told(early, name)[2:]
    assert told(late) == [(2.0, ["S00", "S01"], ["S01"], [])]


def test_it_joins_when_the_bars_that_are_held_have_been_replayed() -> None:
    world = World()
    for at_s in range(30):
        second(world, at_s, 10.0 + at_s % 3)
    world.venue.watch(channels.parse(AVERAGE))
    joined = [world.venue.warm(bars_of(7)) for _ in range(6)]
    assert joined.count([AVERAGE]) == 1
    assert joined.index([AVERAGE]) > 2
    second(world, 30, 20.0)
    assert [row[0] for row in told(world, AVERAGE)] == [30.0]


def test_it_has_no_live_value_nor_a_chart() -> None:
    world = World(ABOVE)
    second(world, 0, 11.0)
    world.trade(1.5, 9.0)
    assert world.live(ABOVE) == {}
    assert not any(world.refresh())
    with pytest.raises(UnknownChannelError):
        world.chart(ABOVE)


def test_unwatched_it_is_silent_and_watched_again_it_goes_on() -> None:
    world = World(ABOVE)
    second(world, 0, 11.0)
    world.unwatch(ABOVE)
    second(world, 1, 9.0, 11.0)
    world.watch(ABOVE)
    second(world, 2, 11.0, 11.0)
    assert told(world) == [(0.0, ["S00"], ["S00"], []), (2.0, ["S00", "S01"], ["S00"], [])]


def test_one_timeframe_says_nothing_of_another() -> None:
    five = ABOVE.replace("1s", "5s")
    world = World(five)
    for at_s, price in enumerate([11.0, 9.0, 9.0, 9.0, 12.0, 9.0]):
        second(world, at_s, price)
    assert told(world, five) == [(0.0, ["S00"], ["S00"], [])]


def test_a_screen_of_a_venue_of_many_is_the_alerts_condition_for_each_of_them() -> None:
    symbols = [f"S{place:02}" for place in range(80)]
    world = World(ABOVE, symbols=symbols)
    for at_s in range(4):
        for place, symbol in enumerate(symbols):
            world.trade(at_s + place / 100, 9.0 + (place * 7 + at_s) % 4, symbol)
        world.wait(at_s + 1)
    before: set[str] = set()
    for at_s, (_, holding, entered, left) in enumerate(told(world)):
        now = {symbol for place, symbol in enumerate(symbols) if 9.0 + (place * 7 + at_s) % 4 > 10}
        assert holding == sorted(now)
        assert (entered, left) == (sorted(now - before), sorted(before - now))
        before = now
