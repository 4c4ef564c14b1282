"""One cycle after the other: what a feed brings becomes finals and live values of what is watched."""

import json
import math
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import pytest

from engine.budget import Budget, BudgetError
from engine.errors import UnknownChannelError
from engine.shard import More, Shard
from tests.engine.hand_feed import START_NS, HandFeed
from wire import channel as channels
from wire.envelope import Publication
from wire.market import NS_PER_S

BARS = "bars:DEMO:S01@1s"
SMA = "signals:DEMO:S01@1s:sma(close,2)"
MACD = "signals:DEMO:S01@1s:macd(close,2,3,2)"
NOBODY: frozenset[str] = frozenset()
START_MS = START_NS // 1_000_000


class Bench:
    """A shard with one feed that the test plays."""

    def __init__(self, *watched: str) -> None:
        self.feed = HandFeed()
        self.shard = Shard([self.feed])
        for name in watched:
            self.watch(name)

    def watch(self, name: str) -> bool:
        return self.shard.watch(channels.parse(name))

    def cycle(self, *repeated: str, wall_s: float = 0.0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(finals, live values) of one cycle."""
        cycle = self.shard.cycle(round(wall_s * NS_PER_S), frozenset(repeated))
        finals = [publication for _, boundary in cycle.boundaries for publication in boundary.finals]
        return _told(finals), _told(cycle.live)


def _told(publications: Iterable[Publication]) -> list[dict[str, Any]]:
    return [{"channel": p.channel, **json.loads(p.payload)} for p in publications]


def test_a_closed_bar_is_published_with_all_its_fields() -> None:
    bench = Bench(BARS)
    bench.feed.trade(0.1, 10.0, size=2)
    bench.feed.trade(0.2, 12.0, size=1)
    bench.feed.trade(0.9, 11.0, size=0.5)
    bench.feed.trade(1.5, 13.0)
    finals, _ = bench.cycle()
    assert finals == [
        {
            "channel": BARS,
            "t": START_MS,
            "o": 10.0,
            "h": 12.0,
            "l": 10.0,
            "c": 11.0,
            "v": 3.5,
            "n": 3,
            "final": True,
            "event": START_MS * 1000 + 900_000,
            "sent": START_MS * 1000 + 900_000,
        }
    ]


def test_the_forming_bar_is_published_live_and_again_only_when_it_has_changed() -> None:
    bench = Bench(BARS, SMA)
    bench.feed.trade(0.1, 10.0)
    _, live = bench.cycle()
    assert [(p["channel"], p["final"]) for p in live] == [(BARS, False), (SMA, False)]
    bench.feed.move_to(0.25)
    assert bench.cycle() == ([], [])
    bench.feed.trade(0.4, 10.0)
    _, live = bench.cycle()
    assert [(p["channel"], p["n"]) for p in live] == [(BARS, 2)], "the average says what it said"


def test_live_values_come_at_most_every_100_ms_of_the_feeds_clock() -> None:
    bench = Bench(BARS)
    bench.feed.trade(0.10, 10.0)
    assert len(bench.cycle()[1]) == 1
    bench.feed.trade(0.15, 11.0)
    assert bench.cycle()[1] == []
    bench.feed.trade(0.19, 12.0)
    assert bench.cycle()[1] == []
    bench.feed.move_to(0.20)
    _, live = bench.cycle()
    assert [(p["c"], p["n"]) for p in live] == [(12.0, 3)], "the newest, and nothing is forgotten"


def test_a_channel_that_is_asked_for_repeats_its_live_value_byte_for_byte() -> None:
    bench = Bench(BARS, SMA)
    bench.feed.trade(0.1, 10.0)
    before = bench.shard.cycle(0, NOBODY).live
    assert len(before) == 2
    assert bench.shard.cycle(1, frozenset({SMA})).live == (before[1],)
    assert bench.shard.cycle(2, frozenset({BARS, SMA})).live == before


def test_a_channel_that_is_asked_for_gives_the_forming_bar_even_without_a_trade_in_it() -> None:
    bench = Bench(BARS)
    bench.feed.trade(0.1, 10.0)
    bench.cycle()
    bench.feed.move_to(1.9)
    finals, live = bench.cycle()
    assert ([p["t"] for p in finals], live) == ([START_MS], [])
    _, live = bench.cycle(BARS)
    assert [(p["t"], p["c"], p["n"], p["synthetic"]) for p in live] == [(START_MS + 1000, 10.0, 0, True)]


def test_nothing_is_said_of_an_instrument_that_has_never_traded() -> None:
    bench = Bench("bars:DEMO:S02@1s", "signals:DEMO:S02@1s:close", BARS)
    bench.feed.trade(0.1, 10.0)
    bench.feed.trade(1.5, 10.0)
    finals, live = bench.cycle("bars:DEMO:S02@1s", "signals:DEMO:S02@1s:close")
    assert {p["channel"] for p in finals + live} == {BARS}


def test_a_signal_is_null_while_it_warms_up_and_says_when_it_is_not_settled() -> None:
    bench = Bench(SMA, "signals:DEMO:S01@1s:ema(close,2)")
    for second in range(60):
        bench.feed.trade(second + 0.5, 10.0 + second % 3)
    finals, _ = bench.cycle()
    averages = [p for p in finals if p["channel"] == SMA]
    assert [p["v"] for p in averages[:3]] == [None, 10.5, 11.5]
    assert not any("settled" in p for p in averages)
    smoothed = [p for p in finals if p["channel"] != SMA]
    assert smoothed[0]["v"] is None
    assert [p.get("settled", True) for p in smoothed[1:]] == [False] * 38 + [True] * 20


def test_a_live_value_is_settled_when_its_bar_would_be() -> None:
    bench = Bench("signals:DEMO:S01@1s:ema(close,2)")
    told = []
    for second in range(42):
        bench.feed.trade(second + 0.5, 10.0 + second % 3)
        told += [p.get("settled", True) for p in bench.cycle()[1]]
    assert told == [True] + [False] * 38 + [True] * 3, "null says nothing of it, then until the 40th bar"


def test_several_outputs_are_an_object_and_null_until_the_first_has_a_value() -> None:
    bench = Bench(MACD)
    for second in range(8):
        bench.feed.trade(second + 0.5, 10.0 + second)
    finals, _ = bench.cycle()
    assert [p["v"] for p in finals[:2]] == [None, None]
    assert finals[2]["v"] == {"macd": 0.5, "signal": None, "hist": None}
    assert set(finals[3]["v"]) == {"macd", "signal", "hist"}
    assert all(isinstance(value, float) for value in finals[3]["v"].values())


def test_a_flat_bar_says_that_it_is_synthetic() -> None:
    bench = Bench(BARS, SMA)
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(3.5, 11.0)
    finals, _ = bench.cycle()
    assert [p.get("synthetic", False) for p in finals if p["channel"] == BARS] == [False, True, True]
    assert [p.get("synthetic", False) for p in finals if p["channel"] == SMA] == [False, True, True]


def test_shorter_timeframes_come_first_at_one_boundary() -> None:
    bench = Bench("bars:DEMO:S01@5s", BARS)
    for second in range(7):
        bench.feed.trade(second + 0.5, 10.0)
    finals, _ = bench.cycle()
    assert [p["channel"] for p in finals][4:] == [BARS, "bars:DEMO:S01@5s", BARS]


def test_a_signal_that_is_wanted_later_is_warm_from_the_bars_that_are_held() -> None:
    early, late = Bench(SMA, MACD), Bench()
    for bench in (early, late):
        for second in range(20):
            bench.feed.trade(second + 0.5, 10.0 + math.sin(second))
        bench.cycle()
    assert late.watch(SMA)
    assert late.watch(MACD)
    for bench in (early, late):
        bench.feed.trade(20.5, 12.0)
        bench.feed.trade(21.5, 12.5)
    (finals, live), expected = late.cycle(), early.cycle()
    assert finals == expected[0]
    assert sorted(live, key=itemgetter("channel")) == sorted(expected[1], key=itemgetter("channel"))


def test_whether_a_channel_still_warms_up_can_be_asked() -> None:
    bench = Bench(SMA, BARS)
    assert bench.shard.describe(channels.parse(SMA)).warming
    assert not bench.shard.describe(channels.parse(BARS)).warming
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 10.0)
    bench.cycle()
    assert not bench.shard.describe(channels.parse(SMA)).warming
    assert bench.shard.describe(channels.parse("signals:DEMO:S01@1s:sma(close,9)")).warming


def test_an_unwatched_channel_is_silent() -> None:
    bench = Bench(SMA, BARS)
    bench.shard.unwatch(channels.parse(SMA))
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 10.0)
    finals, live = bench.cycle(SMA)
    assert {p["channel"] for p in finals + live} == {BARS}


def test_watching_twice_is_watching_once() -> None:
    bench = Bench(SMA)
    assert not bench.watch(SMA)
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 10.0)
    assert len(bench.cycle()[0]) == 1


@pytest.mark.parametrize(
    "name", ["bars:OTHER:S01@1s", "bars:DEMO:S09@1s", "trades:DEMO:S09", "status:OTHER", "screens:OTHER@1s:close>open"]
)
def test_what_is_not_computed_cannot_be_watched(name: str) -> None:
    with pytest.raises(UnknownChannelError):
        Bench().watch(name)


def test_the_end_of_a_recording_closes_every_bar_that_has_begun_once() -> None:
    bench = Bench(BARS, "bars:DEMO:S01@5s", "bars:DEMO:S01@1d")
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 11.0)
    bench.feed.end()
    finals, _ = bench.cycle()
    told = [(p["channel"].split("@")[1], p["t"] - START_MS, p["c"]) for p in finals]
    assert told == [("1s", 0, 10.0), ("1s", 1000, 11.0), ("5s", 0, 11.0), ("1d", 0, 11.0)]
    assert bench.cycle()[0] == []


def test_a_live_feeds_payloads_say_when_they_were_sent() -> None:
    bench = Bench(BARS)
    bench.feed.recorded = False
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 10.0)
    finals, live = bench.cycle(wall_s=77.0)
    assert [p["sent"] for p in finals + live] == [77_000_000, 77_000_000]
    assert finals[0]["event"] == START_MS * 1000 + 500_000


def test_a_feed_that_is_down_is_a_reason_not_to_be_ready_and_one_that_has_ended_is_none() -> None:
    bench = Bench()
    assert bench.shard.unready() is None
    bench.feed.end()
    assert bench.shard.unready() is None
    bench.feed.down = True
    assert bench.shard.unready() == "the feed of DEMO is down"


def test_after_the_end_a_new_channel_gives_the_last_bar_and_one_that_had_its_final_nothing() -> None:
    bench = Bench(BARS)
    bench.feed.trade(0.5, 10.0)
    bench.feed.trade(1.5, 11.0)
    bench.feed.end()
    bench.cycle()
    bench.watch(SMA)
    finals, live = bench.cycle(BARS, SMA)
    assert finals == []
    assert [(p["channel"], p["t"], p["v"], p["final"]) for p in live] == [(SMA, START_MS + 1000, 10.5, True)]
    again = bench.shard.cycle(5, frozenset({SMA})).live
    assert bench.shard.cycle(9, frozenset({SMA})).live == again
    assert len(again) == 1


def test_what_is_asked_for_while_a_feed_is_behind_is_repeated_when_it_has_caught_up() -> None:
    bench = Bench(BARS)
    bench.feed.trade(0.1, 10.0)
    before = bench.shard.cycle(0, NOBODY).live
    bench.feed.behind = True
    assert bench.shard.cycle(1, frozenset({BARS})).live == ()
    bench.feed.behind = False
    assert bench.shard.cycle(2, NOBODY).live == before
    assert bench.shard.cycle(3, NOBODY).live == ()


# what time does not allow for is left to later steps


def test_a_status_that_is_asked_for_while_a_feed_is_behind_is_told_when_it_has_caught_up() -> None:
    bench = Bench("status:DEMO")
    before = bench.shard.cycle(0, NOBODY).live
    assert [p.channel for p in before] == ["status:DEMO"]
    bench.feed.behind = True
    assert bench.shard.cycle(1, frozenset({"status:DEMO"})).live == ()
    bench.feed.behind = False
    assert bench.shard.cycle(2, NOBODY).live == before
    assert bench.shard.cycle(3, NOBODY).live == ()


TIMEFRAMES = ("1s", "5s", "15s", "30s")


def slow(_slice_ns: int) -> More:
    """Time for one thing in each slice."""
    return lambda: False


class SlowBench(Bench):
    """A shard that never has time for two things of a kind in one step."""

    unfinished = False

    def rest(self) -> list[dict[str, Any]]:
        """The live values of the steps until nothing is left to do."""
        told = []
        while self.unfinished:
            told += self.cycle()[1]
        return told

    def cycle(self, *repeated: str, wall_s: float = 0.0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        cycle = self.shard.cycle(round(wall_s * NS_PER_S), frozenset(repeated), slow)
        self.unfinished = cycle.unfinished
        finals = [publication for _, boundary in cycle.boundaries for publication in boundary.finals]
        return _told(finals), _told(cycle.live)


def test_a_round_of_live_values_goes_on_over_steps_and_tells_each_once() -> None:
    names = [f"signals:DEMO:S01@{timeframe}:close" for timeframe in TIMEFRAMES]
    bench = SlowBench(*names)
    bench.feed.trade(0.5, 10.0)
    told = [sorted(bench.cycle(*names)[1], key=itemgetter("channel"))]
    bench.feed.trade(0.7, 11.0)
    steps = 0
    while bench.unfinished or steps == 0:
        told.append(bench.cycle()[1])
        steps += 1
        assert steps < 20
    assert steps > len(TIMEFRAMES)
    values = [(p["channel"], p["v"]) for step in told for p in step]
    assert [channel for channel, v in values if v == 11.0] == names, "each once, in its turn"
    assert all(len(step) <= 1 for step in told[1:])


def test_finals_are_not_held_up_by_a_round_nor_does_it_go_back_behind_them() -> None:
    names = [f"signals:DEMO:S01@{timeframe}:close" for timeframe in TIMEFRAMES]
    bench = SlowBench(BARS, *names)
    bench.feed.trade(0.5, 10.0)
    assert bench.cycle()[0] == []
    assert bench.unfinished
    bench.feed.trade(5.5, 11.0)
    finals, live = bench.cycle()
    assert [(p["channel"], (p["t"] - START_MS) // 1000) for p in finals if p["channel"] == BARS] == [
        (BARS, second) for second in range(5)
    ]
    newest = {p["channel"]: (p["t"] - START_MS) // 1000 for p in [*live, *bench.rest()]}
    assert newest.pop(BARS, 5) == 5
    assert newest == {names[0]: 5, names[1]: 5, names[2]: 0, names[3]: 0}


def test_the_period_of_refreshing_stretches_with_what_a_round_takes() -> None:
    bench = SlowBench(*(f"signals:DEMO:S01@{timeframe}:close" for timeframe in TIMEFRAMES))
    assert bench.shard.refresh_s == 0.1
    bench.feed.trade(0.1, 10.0)
    for step in range(20):
        bench.cycle()
        bench.feed.trade(0.1 + (step + 1) * 0.05, 10.0 + step)
        if step and not bench.unfinished:
            break
    assert bench.shard.refresh_s >= 0.2
    swift = Bench(*(f"signals:DEMO:S01@{timeframe}:close" for timeframe in TIMEFRAMES))
    for step in range(5):
        swift.feed.trade(0.1 + step * 0.05, 10.0 + step)
        swift.cycle()
    assert swift.shard.refresh_s == 0.1


def test_a_channel_joins_when_its_bars_were_replayed_and_what_was_asked_for_is_told_then() -> None:
    bench, steady = SlowBench(), Bench(SMA)
    for each in (bench, steady):
        for second in range(300):
            each.feed.trade(second + 0.5, 10.0 + math.sin(second))
        each.cycle()
    bench.watch(SMA)
    joined, told = [], []
    for step in range(40):
        cycle = bench.shard.cycle(step, frozenset({SMA} if step == 0 else ()), slow)
        joined.append(cycle.joined)
        told.append([p.channel for p in cycle.live])
        assert cycle.unfinished is (not cycle.joined)
        if cycle.joined:
            break
    assert joined[0] == ()
    assert joined[-1] == (SMA,)
    assert told == [[]] * (len(told) - 1) + [[SMA]]
    for each in (bench, steady):
        each.feed.trade(300.5, 12.0)
        each.feed.trade(301.5, 12.0)
    assert bench.cycle()[0] == steady.cycle()[0]


def test_venues_share_one_budget() -> None:
    shard = Shard([HandFeed(), HandFeed("OTHER")], Budget(20_000))
    shard.watch(channels.parse("signals:DEMO:S01@1s:sma(close,900)"))
    with pytest.raises(BudgetError):
        shard.watch(channels.parse("signals:OTHER:S01@1s:sma(close,900)"))
    assert shard.watch(channels.parse("bars:OTHER:S01@1s"))
    shard.unwatch(channels.parse("signals:DEMO:S01@1s:sma(close,900)"))
    assert shard.watch(channels.parse("signals:OTHER:S01@1s:sma(close,900)"))


def test_alerts_and_screens_have_no_live_values_and_are_not_asked_for() -> None:
    names = ("alerts:DEMO:S01@1s:close>10", "screens:DEMO@1s:close>10")
    bench = Bench(*names)
    bench.feed.trade(0.5, 9.0)
    assert bench.cycle(*names) == ([], [])
    bench.feed.trade(1.5, 11.0)
    finals, live = bench.cycle(*names)
    assert ([p["channel"] for p in finals], live) == ([names[1]], [])
    bench.feed.trade(2.5, 11.0)
    assert sorted(p["channel"] for p in bench.cycle(*names)[0]) == sorted(names)


def test_trades_quotes_and_status_are_told_by_one_step() -> None:
    names = ("trades:DEMO:S01", "quotes:DEMO:S01", "status:DEMO")
    bench = Bench(*names)
    bench.feed.trade(0.5, 10.0)
    bench.feed.quote(0.5, 9.0)
    finals, live = bench.cycle()
    assert (finals, [p["channel"] for p in live]) == ([], list(names))
    assert bench.cycle() == ([], [])
    assert bench.cycle(*names)[1] == live
    for name in names:
        bench.shard.unwatch(channels.parse(name))
    bench.feed.trade(1.5, 10.0)
    assert bench.cycle(*names) == ([], [])
