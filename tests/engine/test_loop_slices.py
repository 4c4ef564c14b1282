"""What takes longer than a cycle may is done over several: warming up, refreshing; and what there is no memory for."""

import json

import structlog

from engine.app import EngineOptions
from engine.config import ComputingConfig
from engine.demand import GRACE_S
from engine.loop import DEMAND_PERIOD_S
from engine.publisher import FLUSH_S
from standins.broker import DEMAND_S
from standins.clock import ManualClock
from tests.engine.hand_feed import START_NS
from tests.engine.loop_bench import Bench
from tests.engine.venue_world import World
from wire.market import NS_PER_MS
from wire.position import Offset

BARS = "bars:DEMO:S01@1s"
RSI = "signals:DEMO:S01@1s:rsi(close,14)"
READING_S = 0.0005


class BusyClock(ManualClock):
    """Half a millisecond passes between one look at the clock and the next."""

    def monotonic_ns(self) -> int:
        self.advance(READING_S)
        return super().monotonic_ns()


def price(second: int) -> float:
    return 10.0 + second % 7


async def play(bench: Bench, first: int, stop: int) -> None:
    """A trade in each of these seconds, one by one as they are taken in."""
    for second in range(first, stop):
        bench.feed.trade(second + 0.5, price(second))
        await bench.cycles(1)


async def test_a_channel_with_a_long_past_joins_after_several_cycles_and_is_then_as_if_watched_all_along() -> None:
    bench = Bench(BusyClock())
    async with bench.running():
        await play(bench, 0, 1)
        for second in range(1, 400):
            bench.feed.trade(second + 0.5, price(second))
        await bench.cycles(2)
        assert await bench.newest(RSI) is None
        second = 400
        while RSI not in bench.told and second < 600:
            await play(bench, second, second + 1)
            second += 1
        assert second < 600
        await play(bench, second, second + 5)
        await bench.until_heard(RSI, second + 3)
        row = await bench.newest(RSI)
        held = await bench.broker.read(0, Offset(0), [])
    same = RSI.replace("S01", "S00")
    steady = World(same)
    steady.closes([price(each) for each in range(second + 5)])
    expected = {each["t"]: each["v"] for each in steady.said(same)}
    told = [json.loads(payload) for payload in bench.told[RSI]]
    finals = [each for each in told if each["final"]]
    seconds = [(each["t"] - START_NS // NS_PER_MS) / 1000 for each in finals]
    assert not told[0]["final"], "the live value comes with the joining"
    assert seconds == [float(each) for each in range(int(seconds[0]), second + 4)]
    assert seconds[0] > 401, "a slice of 2 ms has no time for 400 bars"
    assert [each["v"] for each in finals] == [expected[each] for each in seconds]
    assert row is not None
    assert all(each.offset > row.since for each in held.finals if each.publication.channel == RSI)
    assert row.since + len(finals) == row.offset, "it began where it joined"


# no memory

SMALL = EngineOptions(stop_s=10.0, computing=ComputingConfig(memory_mib=1))


def large(number: int) -> str:
    """A channel that takes some hundred kilobytes."""
    return f"signals:DEMO:S01@1s:sma(close,{4800 + number})"


async def fill(bench: Bench) -> list[str]:
    """Want channels until one is refused; those that are computed."""
    names: list[str] = []
    while not (await bench.broker.describe(0, large(len(names)))).temporary:
        names.append(large(len(names)))
        await bench.newest(names[-1])
        assert len(names) < 200
    return names


async def test_what_there_is_no_memory_for_is_refused_for_now_and_the_memory_named() -> None:
    bench = Bench(ManualClock(), SMALL)
    async with bench.running():
        names = await fill(bench)
        computed = bench.computed()
        description = await bench.broker.describe(0, large(150))
        assert (description.temporary, bench.computed()) == (True, computed)
        assert description.refused is not None
        assert "bytes" in description.refused
        assert (await bench.broker.describe(0, names[0])).refused is None
        assert (await bench.broker.describe(0, BARS)).refused is None, "bars cost nothing"
        await bench.cycles(1)
        used = bench.registry.get_sample_value("engine_graph_bytes") or 0
    assert computed == len(names)
    assert (1 << 20) - 100_000 < used <= 1 << 20


async def test_what_was_refused_is_not_computed_though_it_is_wanted() -> None:
    bench = Bench(ManualClock(), SMALL)
    refused = large(150)
    async with bench.running():
        await fill(bench)
        with structlog.testing.capture_logs() as logs:
            assert await bench.newest(refused) is None
            await bench.newest(BARS)
            for second in range(4):
                bench.feed.trade(second + 0.5, 10.0)
            await bench.until_heard(BARS, 2)
        assert await bench.newest(refused) is None
    assert refused not in bench.told
    assert [(line["event"], line["channel"]) for line in logs if line["log_level"] == "warning"] == [
        ("channel.refused", refused)
    ]


async def test_what_was_refused_is_computed_when_others_have_gone() -> None:
    bench = Bench(ManualClock(), SMALL)
    refused = large(150)
    async with bench.running():
        names = await fill(bench)
        await bench.cycles(1)
        reading = bench.bus.asked("demand")
        for _ in range(round((DEMAND_S + GRACE_S) / DEMAND_PERIOD_S) + 3):
            reading += 1
            bench.clock.advance(DEMAND_PERIOD_S + 0.1)
            await bench.broker.renew({0: names[:1]})
            await bench.bus.until_asked("demand", reading)
            await bench.cycles(1)
        assert bench.computed() == 1
        assert (await bench.broker.describe(0, refused)).refused is None
        await bench.newest(refused)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(refused, 0)


# refreshing


async def test_while_a_round_of_live_values_goes_on_finals_are_told_and_the_period_is_measured() -> None:
    bench = Bench(BusyClock())
    names = [f"signals:DEMO:S01@{timeframe}:close" for timeframe in ("1s", "5s", "15s", "30s", "1m", "3m", "5m")]
    async with bench.running():
        for name in [BARS, *names]:
            await bench.newest(name)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(BARS)
        for second in range(1, 6):
            bench.feed.trade(second + 0.5, 10.0 + second)
            await bench.until_heard(BARS, second - 1)
        bench.clock.advance(FLUSH_S)
        for name in names:
            await bench.until_told(name, b'"v":15.0')
        assert (bench.registry.get_sample_value("engine_refresh_seconds") or 0) >= 0.1


async def test_the_period_of_refreshing_is_100_ms_while_there_is_time(clock: ManualClock) -> None:
    bench = Bench(clock)
    async with bench.running():
        await bench.newest(BARS)
        for tenth in range(20):
            bench.feed.trade(tenth / 10 + 0.05, 10.0)
            await bench.cycles(1)
        assert bench.registry.get_sample_value("engine_refresh_seconds") == 0.1
