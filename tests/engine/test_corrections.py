"""A trade that comes too late for its bar corrects it: the bar is told again, and no signal is repainted."""

import pytest

from tests.engine.venue_world import START_MS, START_NS, World

BARS = "bars:DEMO:S00@1s"
FIVE = "bars:DEMO:S00@5s"
SMA = "signals:DEMO:S00@1s:sma(close,2)"
ABOVE = "alerts:DEMO:S00@1s:close>10"
SCREEN = "screens:DEMO@1s:close>10"


def revised(world: World, name: str = BARS) -> list[tuple[float, int, float, float, float, float, float, int]]:
    """Each correction: of when, the how-manieth, and the bar."""
    return [
        (each["t"], each["rev"], each["o"], each["h"], each["l"], each["c"], each["v"], each["n"])
        for each in world.said(name)
        if "rev" in each
    ]


def test_a_late_trade_gives_its_bar_again_with_all_its_fields() -> None:
    world = World(BARS)
    world.closes([10.0, 11.0])
    (boundary,) = world.trade(0.75, 12.0, size=2.0, received_s=3.0)
    event = START_MS * 1000 + 750_000
    assert world.said(BARS)[2:] == [
        {
            "t": 0.0,
            "o": 10.0,
            "h": 12.0,
            "l": 10.0,
            "c": 12.0,
            "v": 3.0,
            "n": 2,
            "final": True,
            "event": event,
            "sent": event,
            "rev": 1,
        }
    ]
    assert (boundary.timeframe.value, boundary.open_ns) == ("1s", START_NS)
    assert boundary.newest is not None


def test_a_bar_is_corrected_again_and_again() -> None:
    world = World(BARS)
    world.closes([10.0, 11.0])
    world.trade(0.75, 12.0, received_s=3.0)
    world.trade(0.25, 7.0, received_s=3.1)
    world.trade(1.75, 13.0, received_s=3.2)
    assert revised(world) == [
        (0.0, 1, 10.0, 12.0, 10.0, 12.0, 2.0, 2),
        (0.0, 2, 7.0, 12.0, 7.0, 12.0, 3.0, 3),
        (1.0, 1, 11.0, 13.0, 11.0, 13.0, 2.0, 2),
    ]


def test_every_timeframe_that_has_closed_is_corrected_and_a_longer_one_when_it_closes() -> None:
    world = World(BARS, FIVE)
    world.closes([10.0, 11.0])
    world.trade(0.75, 12.0, received_s=3.0)
    assert (len(revised(world)), revised(world, FIVE)) == (1, [])
    world.closes([10.0, 10.0], first_s=4)
    assert [(each["t"], each.get("rev", 0), each["h"], each["n"]) for each in world.said(FIVE)] == [
        (0.0, 0, 11.0, 3),
        (0.0, 1, 12.0, 4),
    ]


def test_signals_alerts_and_screens_stay_what_they_were() -> None:
    corrected, untouched = World(BARS, SMA, ABOVE, SCREEN), World(BARS, SMA, ABOVE, SCREEN)
    for world in (corrected, untouched):
        world.closes([9.0, 9.5, 9.0])
    corrected.trade(1.75, 20.0, received_s=4.0)
    for world in (corrected, untouched):
        world.closes([9.0, 11.0], first_s=4)
    assert revised(corrected) == [(1.0, 1, 9.5, 20.0, 9.5, 20.0, 2.0, 2)]
    for name in (SMA, ABOVE, SCREEN):
        assert corrected.said(name) == untouched.said(name)
        assert corrected.said(name)
    assert [each for each in corrected.said(BARS) if "rev" not in each] == untouched.said(BARS)


def test_the_chart_of_bars_has_the_corrected_one_and_that_of_a_signal_what_was_told() -> None:
    world = World(BARS, SMA)
    world.closes([10.0, 11.0, 12.0])
    told = world.chart(SMA)
    world.trade(1.75, 20.0, received_s=4.0)
    assert [(each["t"], each["c"], each.get("rev", 0)) for each in world.chart(BARS)] == [
        (0.0, 10.0, 0),
        (1.0, 20.0, 1),
        (2.0, 12.0, 0),
    ]
    assert world.chart(SMA)[:3] == told == world.said(SMA)


def test_what_is_known_of_the_newest_bar_comes_with_a_correction() -> None:
    world = World(BARS)
    world.closes([10.0, 11.0])
    (older,) = world.trade(0.75, 12.0, received_s=3.0)
    assert older.newest is not None
    newest = World(BARS)
    newest.closes([10.0, 11.0])
    assert older.newest == (newest.boundaries[-1].finals[0].payload,)
    (own,) = world.trade(1.75, 13.0, received_s=3.1)
    assert own.newest == (own.finals[0].payload,)
    (again,) = world.trade(0.8, 12.0, received_s=3.2)
    assert again.newest == own.newest, "as it was corrected"


def test_the_live_value_stays_that_of_the_forming_bar() -> None:
    world = World(BARS, SMA)
    world.closes([10.0, 11.0])
    world.trade(2.5, 12.0, received_s=3.0)
    before = world.live(BARS, SMA)
    assert before[BARS]["t"] == 2.0
    world.trade(0.75, 20.0, received_s=3.0)
    assert revised(world)
    assert world.live(BARS, SMA) == before


def test_one_nobody_watches_the_bars_of_is_corrected_silently() -> None:
    world = World(SMA)
    world.closes([10.0, 11.0])
    assert world.trade(0.75, 12.0, received_s=3.0) == []
    world.watch(BARS)
    assert [each.get("rev", 0) for each in world.chart(BARS)] == [1, 0]


def test_an_unwatched_instruments_correction_is_not_told_to_another() -> None:
    world = World("bars:DEMO:S01@1s")
    for symbol in ("S00", "S01"):
        world.trade(0.5, 10.0, symbol)
    world.closes([11.0], first_s=1)
    world.trade(0.75, 12.0, received_s=3.0)
    assert revised(world, "bars:DEMO:S01@1s") == []
    world.trade(0.75, 12.0, "S01", received_s=3.1)
    assert [row[:2] for row in revised(world, "bars:DEMO:S01@1s")] == [(0.0, 1)]


def test_corrections_of_one_bar_go_together_and_those_of_the_shorter_bars_first() -> None:
    names = [f"bars:DEMO:{symbol}@{timeframe}" for symbol in ("S00", "S01") for timeframe in ("1s", "5s")]
    world = World(*names)
    for symbol in ("S00", "S01"):
        world.trade(0.5, 10.0, symbol)
    world.closes([11.0], first_s=6)
    world.boundaries.clear()
    world.trade(0.75, 12.0, "S01", received_s=8.0)
    world.trade(0.8, 12.0, received_s=8.0)
    assert [(each.timeframe.value, [final.channel for final in each.finals]) for each in world.boundaries] == [
        ("1s", [names[2]]),
        ("5s", [names[3]]),
        ("1s", [names[0]]),
        ("5s", [names[1]]),
    ]


def test_a_trade_into_a_bar_that_had_none_makes_it_one_that_is_not_synthetic() -> None:
    world = World(BARS)
    world.closes([10.0, None, 11.0])
    world.trade(1.5, 10.5, received_s=4.0)
    assert [(each["t"], each.get("synthetic", False)) for each in world.said(BARS)] == [
        (0.0, False),
        (1.0, True),
        (2.0, False),
        (1.0, False),
    ]


@pytest.mark.parametrize("late_s", [899, 901])
def test_only_bars_of_the_last_quarter_of_an_hour_are_corrected(late_s: int) -> None:
    world = World(BARS)
    world.closes([10.0])
    world.closes([10.0], first_s=late_s)
    world.trade(0.75, 12.0, received_s=late_s + 2)
    assert bool(revised(world)) is (late_s < 900)
    assert world.venue.bars.late == 1


def test_a_correction_survives_a_restart_and_so_does_its_count() -> None:
    world = World(BARS)
    world.closes([10.0, 11.0])
    world.trade(0.75, 12.0, received_s=3.0)
    after = world.restarted(BARS)
    after.trade(0.8, 13.0, received_s=3.1)
    assert revised(after) == [(0.0, 2, 10.0, 13.0, 10.0, 13.0, 3.0, 3)]


def test_where_no_closed_bar_is_held_a_correction_is_all_that_is_known() -> None:
    world = World(BARS)
    world.closes([10.0, 11.0])
    world.venue.bars.bound_history(0)
    (boundary,) = world.trade(0.75, 12.0, received_s=3.0)
    assert boundary.newest == (boundary.finals[0].payload,)


def test_a_late_trade_that_is_an_instruments_first_is_all_that_is_known_of_it() -> None:
    name = "bars:DEMO:S01@1s"
    world = World(name)
    world.closes([10.0, 11.0])
    (boundary,) = world.trade(0.75, 12.0, "S01", received_s=3.0)
    assert boundary.newest == (boundary.finals[0].payload,)
    assert revised(world, name) == [(0.0, 1, 12.0, 12.0, 12.0, 12.0, 1.0, 1)]
