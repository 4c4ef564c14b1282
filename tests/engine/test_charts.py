"""A chart says of the closed bars that are held what was, or would have been, published of them."""

import asyncio
import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.budget import Budget
from engine.charting import Charting
from engine.charts import MAX_ASKED, Charts
from engine.errors import UnknownChannelError
from engine.shard import Shard
from engine.venue import Venue
from standins.clock import ManualClock
from tests.engine.hand_feed import START_NS, HandFeed
from tests.engine.streams import cut, random_stream
from wire import channel as channels
from wire.envelope import Chart, ClosedValue
from wire.market import NS_PER_MS, NS_PER_S

BARS = "bars:DEMO:S01@1s"
SMA = "signals:DEMO:S01@1s:sma(close,2)"
EMA = "signals:DEMO:S01@1s:ema(close,2)"
MACD = "signals:DEMO:S01@1s:macd(close,2,3,2)"
NOBODY: frozenset[str] = frozenset()
START_MS = START_NS // NS_PER_MS
ALL = 1_000

EXPRESSIONS = [
    "close",
    "ema(close,9)",
    "sma(close,20)",
    "macd(close,3,7,4)",
    "bbands(close,20,2)",
    "rsi(close,5)[2]",
    "highest(high,33)-lowest(low,12)",
    "crossover(close,sma(close,5))",
]
"""Together they use every kernel that remembers."""

SEEDS_DO_NOT_SHRINK = settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])


class Bench:
    """A shard with one feed that the test plays, and the charts of it."""

    def __init__(self, *watched: str, clock: ManualClock | None = None) -> None:
        self.feed = HandFeed()
        self.shard = Shard([self.feed])
        self.clock = ManualClock() if clock is None else clock
        self.charts = Charts(self.shard, self.clock)
        for name in watched:
            self.watch(name)

    def watch(self, name: str) -> None:
        self.shard.watch(channels.parse(name))

    def play(self, seconds: Iterable[int]) -> dict[str, list[bytes]]:
        """One trade in each of `seconds`; the finals by channel."""
        for second in seconds:
            self.feed.trade(second + 0.5, 10.0 + math.sin(second))
        finals: dict[str, list[bytes]] = {}
        for _, boundary in self.shard.cycle(0, NOBODY).boundaries:
            for final in boundary.finals:
                finals.setdefault(final.channel, []).append(final.payload)
        return finals

    def charting(self, name: str, limit: int = ALL, wall_s: float = 0.0) -> Charting:
        return self.shard.history(channels.parse(name), limit, round(wall_s * NS_PER_S))

    def chart(self, name: str, limit: int = ALL, wall_s: float = 0.0) -> list[dict[str, Any]]:
        return told(complete(self.charting(name, limit, wall_s)))


def complete(charting: Charting) -> tuple[ClosedValue, ...]:
    while not charting.advance(100):
        pass
    return charting.values


def told(values: Iterable[ClosedValue]) -> list[dict[str, Any]]:
    return [json.loads(value.payload) for value in values]


def payloads(values: Iterable[ClosedValue]) -> list[bytes]:
    return [value.payload for value in values]


# what a chart says


@SEEDS_DO_NOT_SHRINK
@given(st.integers(0, 10_000), st.sampled_from(["1s", "5s", "1m"]), st.integers(1, 60))
def test_the_chart_of_a_channel_watched_from_the_first_bar_is_the_finals_that_were_published(
    seed: int, timeframe: str, limit: int
) -> None:
    ticks = random_stream(seed, length=600, width=3)
    venue = Venue("DEMO", ["S00", "S01", "S02"], grace_ns=NS_PER_S // 4, budget=Budget())
    names = [f"bars:DEMO:S01@{timeframe}", *(f"signals:DEMO:S01@{timeframe}:{text}" for text in EXPRESSIONS)]
    wanted = [channels.parse(name) for name in names]
    for channel in wanted:
        venue.watch(channel)
    venue.warm(lambda: True)
    finals: dict[str, dict[int, bytes]] = {channel.name: {} for channel in wanted}
    random = np.random.default_rng(seed)
    batches = [ticks[part] for part in cut(random, len(ticks), 12)]
    boundaries = [boundary for batch in batches for boundary in venue.fold(batch, sent_us=None)]
    for boundary in [*boundaries, *venue.finish(sent_us=None)]:
        for final in boundary.finals:
            finals[final.channel][json.loads(final.payload)["t"]] = final.payload
    for channel in wanted:
        values = complete(venue.history(channel, 1024, sent_us=None))
        assert payloads(values) == list(finals[channel.name].values()), "as it was corrected last"
        assert [value.t_ms for value in values] == [payload["t"] for payload in told(values)]
        assert complete(venue.history(channel, limit, sent_us=None)) == values[-limit:]


@SEEDS_DO_NOT_SHRINK
@given(st.sampled_from([BARS, SMA, MACD]), st.lists(st.integers(1, 40), max_size=20), st.integers(0, 90))
def test_any_cut_into_slices_gives_the_same_bytes_whatever_closes_meanwhile(
    name: str, slices: list[int], limit: int
) -> None:
    bench = Bench()
    bench.play(range(80))
    whole = complete(bench.charting(name, limit))
    assert len(whole) == min(limit, 79)
    charting = bench.charting(name, limit)
    for place, bars in enumerate(slices):
        charting.advance(bars)
        bench.play([80 + place])
    assert complete(charting) == whole


def test_a_chart_says_what_would_have_been_published_though_nobody_watched() -> None:
    early, late = Bench(BARS, SMA, MACD), Bench()
    finals = early.play(range(60))
    late.play(range(60))
    assert {name: payloads(complete(late.charting(name))) for name in finals} == finals
    late.watch(SMA)
    assert late.play([60, 61]).keys() == {SMA}, "asking for a chart watches nothing"


def test_a_chart_of_a_watched_channel_leaves_its_finals_as_they_are() -> None:
    asked, alone = Bench(SMA, MACD), Bench(SMA, MACD)
    for bench in (asked, alone):
        bench.play(range(50))
    complete(asked.charting(MACD))
    assert asked.play(range(50, 70)) == alone.play(range(50, 70))


def test_a_channel_watched_later_has_published_what_its_chart_says() -> None:
    bench = Bench()
    bench.play(range(30))
    for name in (EMA, MACD):
        bench.watch(name)
    finals = bench.play(range(30, 90))
    for name in (EMA, MACD):
        assert payloads(complete(bench.charting(name)))[-60:] == finals[name]


def test_where_a_watched_channel_has_seen_older_bars_only_what_is_not_settled_differs() -> None:
    bench = Bench(EMA)
    finals = [json.loads(payload) for payload in bench.play(range(1300))[EMA]]
    chart = bench.chart(EMA, limit=2_000)
    assert [p["t"] for p in chart] == [p["t"] for p in finals[-1024:]]
    assert chart[0]["v"] is None
    assert [p.get("settled", True) for p in chart] == [True] + [False] * 38 + [True] * 985, "null says nothing of it"
    assert chart[1]["v"] != finals[-1023]["v"]
    for one, other in zip(chart[39:], finals[-985:], strict=True):
        assert one["v"] == pytest.approx(other["v"], rel=1e-12)


@pytest.mark.parametrize("expression", ["sma(close,20)", "bbands(close,20,2)", "highest(high,33)"])
def test_a_window_has_the_bits_that_were_published_however_long_the_channel_was_watched(expression: str) -> None:
    name = f"signals:DEMO:S01@1s:{expression}"
    bench = Bench(name)
    finals = bench.play(range(1300))[name]
    assert payloads(complete(bench.charting(name, limit=990))) == finals[-990:]


def test_a_chart_begins_with_the_bar_in_which_the_instrument_was_born() -> None:
    bench = Bench()
    bench.play(range(5))
    bench.feed.trade(7.5, 20.0, symbol="S02")
    bench.feed.trade(9.5, 21.0, symbol="S02")
    bench.play([10])
    bars, averages = bench.chart("bars:DEMO:S02@1s"), bench.chart("signals:DEMO:S02@1s:sma(close,3)")
    assert [(p["t"] - START_MS, p["c"]) for p in bars] == [(7000, 20.0), (8000, 20.0), (9000, 21.0)]
    assert [(p["t"] - START_MS, p["v"]) for p in averages] == [(7000, None), (8000, None), (9000, 61 / 3)]
    assert [p["t"] - START_MS for p in bench.chart("bars:DEMO:S02@1s", limit=2)] == [8000, 9000]


def test_there_is_nothing_to_say_of_an_instrument_that_has_never_traded_nor_before_the_first_bar() -> None:
    bench = Bench()
    assert [bench.chart(name) for name in (BARS, SMA)] == [[], []]
    bench.play(range(5))
    assert [bench.chart(name) for name in ("bars:DEMO:S02@1s", "signals:DEMO:S02@1s:close")] == [[], []]


def test_a_bar_without_a_trade_is_in_the_chart_as_a_flat_one() -> None:
    bench = Bench(BARS, SMA)
    finals = bench.play([0, 4, 5])
    for name in (BARS, SMA):
        assert [p.get("synthetic", False) for p in bench.chart(name)] == [False, True, True, True, False]
        assert payloads(complete(bench.charting(name))) == finals[name]


@pytest.mark.parametrize(("limit", "given"), [(-1, 0), (0, 0), (1, 1), (7, 7), (19, 19), (20, 19)])
@pytest.mark.parametrize("name", [BARS, EMA])
def test_a_chart_has_the_newest_bars_oldest_first_and_at_most_so_many(name: str, limit: int, given: int) -> None:
    bench = Bench()
    bench.play(range(20))
    chart = bench.chart(name, limit)
    assert [p["t"] for p in chart] == [START_MS + 1000 * second for second in range(19 - given, 19)]
    assert chart == bench.chart(name)[19 - given :], "the values do not depend on how many are asked for"


def test_the_forming_bar_is_not_in_the_chart_and_the_end_of_a_recording_closes_it() -> None:
    bench = Bench()
    bench.play([0, 1])
    assert len(bench.chart(BARS)) == 1
    bench.feed.end()
    bench.play([])
    assert [p["final"] for p in bench.chart(BARS)] == [True, True]


def test_a_live_feeds_chart_was_sent_when_it_was_asked_for_and_a_recorded_ones_at_its_newest_ticks_time() -> None:
    bench = Bench()
    bench.play([0, 1, 2])
    for name in (BARS, SMA):
        bench.feed.recorded = True
        assert [p["sent"] - START_MS * 1000 for p in bench.chart(name, wall_s=77)] == [500_000, 1_500_000]
        bench.feed.recorded = False
        assert [p["sent"] for p in bench.chart(name, wall_s=77)] == [77_000_000, 77_000_000]
        assert [p["event"] - START_MS * 1000 for p in bench.chart(name)] == [500_000, 1_500_000]


@pytest.mark.parametrize("name", ["bars:OTHER:S01@1s", "bars:DEMO:S09@1s", "trades:DEMO:S01", "status:DEMO"])
def test_what_is_not_computed_has_no_chart(name: str) -> None:
    with pytest.raises(UnknownChannelError):
        Bench().charting(name)


# charts between the cycles of a loop


class BusyClock(ManualClock):
    """Half a millisecond passes between one look at the clock and the next."""

    def monotonic_ns(self) -> int:
        self.advance(0.0005)
        return super().monotonic_ns()


async def turns_of_the_loop(charts: Charts, name: str) -> tuple[Chart, int]:
    """A chart, and how often others had their turn while it was computed."""
    task = asyncio.create_task(charts.chart(name, ALL))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    return await task, turns


async def test_a_chart_is_complete_and_speaks_of_the_channel_however_it_is_spelled() -> None:
    bench = Bench()
    bench.play(range(50))
    chart = await bench.charts.chart("signals:DEMO:S01@1s:SMA( 2 )", ALL)
    assert chart == Chart(complete(bench.charting(SMA, wall_s=bench.clock.wall_ns() / NS_PER_S)))
    assert len(chart.values) == 49


async def test_others_have_a_turn_after_every_2_ms_of_a_chart() -> None:
    bench = Bench(clock=BusyClock())
    bench.play(range(401))
    chart, turns = await turns_of_the_loop(bench.charts, SMA)
    assert len(chart.values) == 400
    assert turns >= 100, "four bars are 2 ms"
    swift = Charts(bench.shard, ManualClock())
    assert (await turns_of_the_loop(swift, SMA))[1] < 5, "a slice goes on while there is time"


async def test_a_live_feeds_chart_is_sent_by_the_wall_clock() -> None:
    bench = Bench()
    bench.feed.recorded = False
    bench.play(range(3))
    bench.clock.set_wall_ns(99 * NS_PER_S)
    chart = await bench.charts.chart(BARS, 1)
    assert [p["sent"] for p in told(chart.values)] == [99_000_000]


async def test_charts_are_computed_one_after_the_other_in_the_order_they_were_asked_for() -> None:
    bench = Bench(clock=BusyClock())
    bench.play(range(101))
    done: list[str] = []

    async def ask(name: str) -> None:
        await bench.charts.chart(name, ALL)
        done.append(name)

    async with asyncio.TaskGroup() as group:
        for name in (MACD, BARS, SMA):
            group.create_task(ask(name))
    assert done == [MACD, BARS, SMA]


async def test_a_chart_that_waited_has_the_bars_that_are_held_when_its_turn_comes() -> None:
    bench = Bench(clock=BusyClock())
    bench.play(range(101))
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bench.charts.chart(SMA, ALL))
        second = group.create_task(bench.charts.chart(SMA, ALL))
        await asyncio.sleep(0)
        bench.play([101, 102])
    assert [len(task.result().values) for task in (first, second)] == [100, 102]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nonsense", "expected KIND:VENUE"),
        ("signals:DEMO:S01@1s:sma(", "expected"),
        ("bars:OTHER:S01@1s", "no feed of venue OTHER"),
        ("bars:DEMO:S09@1s", "expected a channel of DEMO's instruments"),
        ("alerts:DEMO:S01@1s:close>open", "expected a channel of bars or signals"),
    ],
)
async def test_a_channel_without_a_chart_is_refused_and_the_reason_told(name: str, reason: str) -> None:
    chart = await Bench().charts.chart(name, ALL)
    assert chart.values == ()
    assert chart.refused is not None
    assert reason in chart.refused


async def test_more_charts_than_can_be_answered_in_time_are_refused_until_others_are_done() -> None:
    bench = Bench(clock=BusyClock())
    bench.play(range(20))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(bench.charts.chart(BARS, 1)) for _ in range(MAX_ASKED + 2)]
    refused = [task.result().refused for task in asked]
    assert refused == [None] * MAX_ASKED + ["too many charts are asked for at once"] * 2
    assert (await bench.charts.chart(BARS, 1)).refused is None


async def test_who_asks_no_longer_leaves_its_turn_to_the_next() -> None:
    bench = Bench(clock=BusyClock())
    bench.play(range(101))
    asked = [asyncio.create_task(bench.charts.chart(SMA, ALL)) for _ in range(MAX_ASKED)]
    await asyncio.sleep(0)
    for task in asked[:-1]:
        task.cancel()
    assert len((await asked[-1]).values) == 100
    with pytest.raises(asyncio.CancelledError):
        await asked[0]
    again = [asyncio.create_task(bench.charts.chart(BARS, 1)) for _ in range(MAX_ASKED)]
    assert [(await task).refused for task in again] == [None] * MAX_ASKED
