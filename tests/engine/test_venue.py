"""A venue: what is watched, what joins when, and what each kind of channel says."""

import json

import numpy as np
import pytest

from engine.budget import Budget, BudgetError
from engine.errors import UnknownChannelError
from engine.ticks import TickBatch
from tests.engine.venue_world import START_NS, World, bars_of, published, spoken
from wire import channel as channels
from wire.market import NS_PER_S, Instrument, Tick, Timeframe

BARS = "bars:DEMO:S00@1s"
SMA = "signals:DEMO:S00@1s:sma(close,2)"
EMA = "signals:DEMO:S00@1s:ema(close,9)"
RSI = "signals:DEMO:S00@1s:rsi(close,14)"
TRADES = "trades:DEMO:S00"
QUOTES = "quotes:DEMO:S00"
ALERT = "alerts:DEMO:S00@1s:close>sma(close,2)"
SCREEN = "screens:DEMO@1s:close>open"
EVERY_KIND = (BARS, SMA, TRADES, QUOTES, ALERT, SCREEN)


def joined(world: World) -> list[list[str]]:
    """What joins in each of some short slices of warming."""
    return [world.venue.warm(bars_of(7)) for _ in range(12)]


# what is wanted


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_channel_is_named_once_when_it_is_told_from_now_on(name: str) -> None:
    world = World()
    assert world.watch(name) == [name]
    assert world.watch(name) == []
    assert not world.venue.watch(channels.parse(name))


@pytest.mark.parametrize("name", EVERY_KIND)
def test_a_channel_that_is_dropped_before_it_joined_is_never_named(name: str) -> None:
    world = World()
    world.venue.watch(channels.parse(name))
    world.unwatch(name)
    assert world.venue.warm(bars_of(1)) == []
    assert world.watch(name) == [name]


@pytest.mark.parametrize("text", ["ema(close,3)", "sma(close,2)"])
def test_nothing_is_held_of_a_channel_that_is_dropped_while_it_waits(text: str) -> None:
    world = World()
    for second in range(20):
        world.trade(second + 0.5, 10.0 + second)
    names = [f"signals:DEMO:{symbol}@1s:{text}" for symbol in ("S00", "S01")]
    names.append(f"alerts:DEMO:S00@1s:close>{text}")
    for name in names:
        world.venue.watch(channels.parse(name))
    frame = world.venue._frames[Timeframe.S1]
    assert frame._waiters
    for name in names:
        world.unwatch(name)
    assert not frame._waiters
    assert not frame._waiting
    assert world.venue.warm(bars_of(1)) == []


@pytest.mark.parametrize(
    "name", ["bars:OTHER:S00@1s", "bars:DEMO:S09@1s", "trades:DEMO:S09", "screens:OTHER@1s:close>open"]
)
def test_a_channel_of_others_is_refused_and_changes_nothing(name: str) -> None:
    world = World()
    with pytest.raises(UnknownChannelError):
        world.watch(name)
    assert world.venue.warm(bars_of(1)) == []


def test_what_is_not_watched_may_be_unwatched() -> None:
    world = World(SMA)
    for name in EVERY_KIND:
        world.unwatch(name)
    world.unwatch(SMA)
    world.closes([10.0, 11.0])
    assert world.said(SMA) == []


def test_bars_are_told_at_once_and_a_signal_when_the_bars_that_are_held_were_replayed() -> None:
    world = World()
    world.closes([10.0 + second % 7 for second in range(40)])
    for name in (BARS, RSI):
        world.venue.watch(channels.parse(name))
    told = joined(world)
    assert told[0] == [BARS]
    assert told.index([RSI]) >= 4, "a slice has time for seven bars"
    assert [each for each in told if each] == [[BARS], [RSI]]


def test_no_final_of_a_channel_comes_before_it_has_joined_and_all_come_after() -> None:
    world, early = World(), World(RSI)
    prices = [10.0 + second % 7 for second in range(60)]
    early.closes(prices)
    world.closes(prices[:40])
    world.venue.watch(channels.parse(RSI))
    since = None
    for second in range(40, 60):
        if RSI in world.venue.warm(bars_of(5)):
            since = float(second)
        world.closes([prices[second]], first_s=second)
    assert since is not None
    assert since > 40
    assert world.said(RSI) == [each for each in early.said(RSI) if each["t"] >= since]
    assert world.said(RSI)


def test_there_is_no_live_value_before_it_has_joined_and_one_that_is_right_with_the_joining() -> None:
    world, early = World(), World(RSI)
    for each in (world, early):
        each.closes([10.0 + second % 7 for second in range(40)])
        each.trade(40.5, 20.0)
    world.venue.watch(channels.parse(RSI))
    while RSI not in world.venue.warm(bars_of(5)):
        assert world.live(RSI) == {}
        assert not any(world.refresh())
    assert world.live(RSI) == early.live(RSI) != {}


def test_whether_a_channel_still_warms_up_is_a_question_of_its_instruments_bars() -> None:
    world = World(SMA)
    sma = channels.parse(SMA)
    assert world.venue.warms(sma)
    world.closes([10.0])
    assert not world.venue.warms(sma), "the bar that forms has a value"
    assert not world.venue.warms(channels.parse(SMA.replace("sma(close,2)", "wma(close,2)"))), "were it watched"
    assert world.venue.warms(channels.parse(SMA.replace("S00", "S01")))
    assert not world.venue.warms(channels.parse(BARS))
    assert not world.venue.warms(channels.parse(TRADES))
    with pytest.raises(UnknownChannelError):
        world.venue.warms(channels.parse("bars:OTHER:S00@1s"))


def test_without_memory_a_channel_is_refused_and_may_be_watched_when_others_have_gone() -> None:
    budget = Budget(30_000)
    world = World(budget=budget)
    names = [f"signals:DEMO:S00@1s:sma(close,{length})" for length in range(10, 100, 10)]
    refused = []
    for name in names:
        try:
            world.watch(name)
        except BudgetError:
            refused.append(name)
    assert refused
    assert len(refused) < len(names)
    world.closes([10.0] * 100)
    assert {name for name in names if not world.said(name)} == set(refused)
    for name in set(names) - set(refused):
        world.unwatch(name)
    assert world.watch(refused[0]) == [refused[0]]


# what it says


def test_finals_of_one_boundary_come_together_shortest_timeframe_first() -> None:
    world = World(BARS, SMA, ALERT, SCREEN, "bars:DEMO:S00@5s")
    world.closes([10.0, 9.0, 11.0, 10.0, 10.0])
    at_five = [each for each in world.boundaries if each.open_ns + each.timeframe.ns == START_NS + 5 * NS_PER_S]
    assert [each.timeframe.value for each in at_five] == ["1s", "5s"]
    assert {final.channel for final in world.boundaries[2].finals} == {BARS, SMA, ALERT, SCREEN}
    assert all(each.newest is None for each in world.boundaries)


def test_every_timeframe_closes_whether_anybody_watches_it() -> None:
    world = World()
    world.closes([10.0] * 5)
    assert [each.timeframe.value for each in world.boundaries] == ["1s"] * 5 + ["5s"]
    assert published(world.boundaries) == {}


def test_nothing_is_repeated_of_what_has_no_live_value() -> None:
    world = World(ALERT, SCREEN)
    world.closes([10.0, 9.0, 11.0])
    world.trade(3.5, 12.0)
    assert world.live(ALERT, SCREEN, "nonsense") == {}


def test_a_live_value_that_is_asked_for_is_byte_for_byte_the_one_before_while_nothing_has_changed() -> None:
    world = World(BARS, SMA, TRADES)
    world.closes([10.0, 11.0])
    world.trade(2.5, 12.0)
    before = world.venue.repeat((BARS, SMA, TRADES), sent_us=5)
    assert world.venue.repeat((BARS, SMA, TRADES), sent_us=9) == before
    world.trade(2.6, 12.0)
    after = {p.channel: p.payload for p in world.venue.repeat((BARS, SMA, TRADES), sent_us=9)}
    changed = {p.channel for p in before if after[p.channel] != p.payload}
    assert changed == {BARS, TRADES}, "the average is what it was"


def test_a_live_value_says_no_more_that_it_has_no_trade_when_one_has_come() -> None:
    world = World(SMA)
    world.closes([10.0, 10.0])
    assert world.live(SMA)[SMA]["synthetic"]
    world.trade(2.5, 10.0)
    (told,) = [p for part in world.refresh() for p in part]
    assert (told.channel, spoken(told.payload).get("synthetic", False)) == (SMA, False)
    assert "synthetic" not in world.live(SMA)[SMA]


def test_a_refresh_tells_what_has_changed_and_nothing_else() -> None:
    other = SMA.replace("S00", "S01")
    world = World(BARS, SMA, other)
    world.trade(0.5, 10.0)
    world.trade(0.6, 10.0, "S01")
    first = [p.channel for part in world.refresh() for p in part]
    assert sorted(first) == sorted([BARS, SMA, other])
    world.trade(0.7, 11.0, "S01")
    world.wait(0)
    second = [p for part in world.refresh() for p in part]
    assert second == [], "its average still has no value"
    world.closes([12.0], "S01", first_s=1)
    world.trade(2.1, 13.0, "S01")
    third = [p.channel for part in world.refresh() for p in part]
    assert third == [other]


def test_a_refresh_stamps_each_part_when_it_is_made() -> None:
    stamps = iter(range(100))
    world = World(TRADES, SMA)
    world.trade(0.5, 10.0)
    told = [json.loads(p.payload)["sent"] for part in world.refresh(lambda: next(stamps)) for p in part]
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] > 0


def test_bars_that_close_in_the_middle_of_a_refresh_are_not_gone_back_behind() -> None:
    many = [f"S{place:03}" for place in range(5)]
    names = [f"signals:DEMO:{symbol}@{timeframe}:close" for timeframe in ("1s", "5s") for symbol in many]
    world = World(*names, symbols=many)
    for symbol in many:
        world.trade(0.5, 10.0, symbol)
    parts = world.refresh()
    assert next(parts) == []
    told = {p.channel: spoken(p.payload) for p in next(parts)}
    assert {each["t"] for each in told.values()} == {0.0}
    for symbol in many:
        world.trade(6.5, 11.0, symbol)
    rest = [spoken(p.payload) for part in parts for p in part]
    assert {each["t"] for each in rest} == {5.0}


# holes


def test_bars_say_that_trades_are_missing_while_the_feed_is_down_and_until_it_is_whole_again() -> None:
    world = World(BARS, SMA)
    world.closes([10.0, 10.0])
    world.venue.interrupt(interrupted=True)
    world.closes([10.0, None], first_s=2)
    world.venue.interrupt(interrupted=False)
    world.closes([10.0] * 4, first_s=4)
    for name in (BARS, SMA):
        gaps = {each["t"] for each in world.said(name) if each.get("gap", False)}
        assert {2.0, 3.0} <= gaps
        assert not gaps & {0.0, 1.0, 6.0, 7.0}


def test_backfilled_trades_correct_the_bars_and_signals_go_on_from_the_mended_ones() -> None:
    mended, whole = World(BARS, SMA), World(BARS, SMA)
    whole.closes([10.0, 11.0, 14.0, 11.0])
    mended.closes([10.0, 11.0])
    mended.venue.interrupt(interrupted=True)
    mended.closes([None], first_s=2)
    mended.venue.interrupt(interrupted=False)
    mended.closes([11.0], first_s=3)
    before = mended.said(SMA)
    missing = _ticks(2.5, 14.0)
    hole = (START_NS + 2 * NS_PER_S, START_NS + 3 * NS_PER_S)
    corrected = mended._take(mended.venue.backfill(missing, hole, np.array([0]), sent_us=None))
    assert [(each["t"], each["c"], each["rev"]) for each in map(spoken, published(corrected)[BARS])] == [(2.0, 14.0, 1)]
    assert mended.said(SMA) == before, "what was told stays"
    assert mended.venue.warm(lambda: True) == []
    for world in (mended, whole):
        world.closes([11.0], first_s=4)
    assert mended.said(SMA)[-1]["v"] == whole.said(SMA)[-1]["v"]
    assert [each["v"] for each in mended.chart(SMA)] == [each["v"] for each in whole.chart(SMA)]


def _ticks(at_s: float, price: float) -> TickBatch:
    at_ns = START_NS + round(at_s * NS_PER_S)
    return TickBatch.of([Tick(Instrument("DEMO", "S00"), price, 1.0, at_ns, at_ns)], {"S00": 0})
