"""The engine at work on a bus: what somebody wants is computed and published, for as long as it is wanted."""

import json

import pytest
import structlog

from engine.demand import GRACE_S
from engine.loop import DEMAND_PERIOD_S
from engine.publisher import FLUSH_S
from standins.broker import DEMAND_S
from standins.clock import ManualClock
from tests.engine.hand_feed import START_NS
from tests.engine.loop_bench import Bench
from wire.envelope import Description
from wire.market import NS_PER_S
from wire.position import Offset

BARS = "bars:DEMO:S01@1s"
RSI = "signals:DEMO:S01@1s:rsi(close,2)"


@pytest.fixture
def bench(clock: ManualClock) -> Bench:
    return Bench(clock)


async def test_the_instruments_are_named_before_anything_else(bench: Bench) -> None:
    async with bench.running():
        assert await bench.broker.instruments("DEMO") == frozenset({"S01", "S02"})
        assert not await bench.broker.unowned()
    assert await bench.broker.unowned()


async def test_a_channel_that_is_read_is_computed_and_its_live_value_comes_at_once(bench: Bench) -> None:
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        assert await bench.newest(BARS) is None
        await bench.until_live(BARS)
        await bench.newest(BARS)
        await bench.until_live(BARS)
        bench.feed.trade(1.5, 11.0)
        await bench.until_heard(BARS, 0)
        newest = await bench.newest(BARS)
    assert newest is not None
    assert (newest.since, newest.offset) == (1, 2)


async def test_a_channel_can_be_described_before_its_first_cycle(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        for second in range(5):
            bench.feed.trade(second + 0.5, 10.0 + second)
        await bench.until_heard(BARS, 3)
        assert await bench.broker.describe(0, RSI) == Description(warming=False)
        assert await bench.broker.describe(0, "signals:DEMO:S01@1s:sma(close,99)") == Description(warming=True)
        assert await bench.broker.describe(0, "bars:OTHER:S01@1s") == Description(warming=True)


async def test_a_channel_that_nobody_wants_any_more_is_dropped_after_a_while(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await bench.newest(RSI)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(RSI)
        assert bench.computed() == 2
        waited = 0.0
        second = 0
        while waited < DEMAND_S + GRACE_S + 2 * DEMAND_PERIOD_S:
            bench.clock.advance(1)
            waited += 1
            second += 1
            await bench.broker.renew({0: [BARS]})
            bench.feed.trade(second + 0.5, 10.0)
            await bench.until_heard(BARS, second - 1)
        assert bench.computed() == 1
        held = await bench.broker.read(0, Offset(0), [])
        assert (await bench.broker.read(0, None, [RSI])).newest == {}
    computed = [s for channel, s in bench.finals if channel == RSI]
    assert computed == list(range(len(computed)))
    assert 60 <= len(computed) < len([s for channel, s in bench.finals if channel == BARS])
    assert len(held.finals) == len(bench.finals)


async def test_demand_of_before_the_engine_came_up_is_met(bench: Bench) -> None:
    await bench.broker.read(0, None, [BARS])
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)


async def test_names_that_no_channel_has_are_passed_over(bench: Bench) -> None:
    async with bench.running():
        await bench.broker.renew({0: ["bars:DEMO:S01@7s", "status:OTHER", "signals:DEMO:S01@1s:rsi(14)", "", BARS]})
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(BARS)
        assert bench.computed() == 1


async def test_what_is_wanted_of_topics_of_others_is_not_computed(bench: Bench) -> None:
    async with bench.running():
        assert bench.bus.owner is not None
        bench.bus.owner.wanted(7, [BARS])
        bench.bus.owner.describe(7, BARS)
        assert (await bench.bus.owner.history(7, BARS, 10)).refused is not None
        await bench.newest(RSI)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(RSI)
        assert bench.computed() == 1


async def test_the_past_of_a_channel_can_be_asked_for(bench: Bench) -> None:
    async with bench.running():
        for second in range(4):
            bench.feed.trade(second + 0.5, 10.0 + second)
        await bench.newest(BARS)
        await bench.until_heard(BARS, 2)
        chart = await bench.broker.history(0, BARS, 2)
        assert [(each.t_ms - START_NS // 1_000_000) // 1000 for each in chart.values] == [1, 2]


async def test_demand_that_cannot_be_read_changes_nothing_and_holds_up_no_cycle(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(BARS)
        bench.bus.deaf = True
        asked, ticks = bench.bus.asked("demand"), bench.registry.get_sample_value("engine_ticks_total") or 0
        bench.clock.advance(DEMAND_PERIOD_S)
        await bench.bus.until_asked("demand", asked + 1)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)
        bench.bus.deaf = False
        assert bench.registry.get_sample_value("engine_ticks_total") == ticks + 1
        bench.bus.away = "connection refused"
        for _ in range(round((DEMAND_S + GRACE_S) / DEMAND_PERIOD_S) + 1):
            asked = bench.bus.asked("demand")
            bench.clock.advance(DEMAND_PERIOD_S + 0.1)
            await bench.bus.until_asked("demand", asked + 1)
        assert bench.computed() == 1
        bench.bus.away = None


async def test_demand_is_read_every_five_seconds(bench: Bench) -> None:
    async with bench.running():
        await bench.cycles(3)
        assert bench.bus.asked("demand") == 1
        bench.clock.advance(DEMAND_PERIOD_S + 0.1)
        await bench.bus.until_asked("demand", 2)
        await bench.cycles(3)
        assert bench.bus.asked("demand") == 2


async def test_a_channel_that_was_only_described_is_dropped_after_a_while(bench: Bench) -> None:
    async with bench.running():
        assert bench.bus.owner is not None
        bench.bus.owner.describe(0, RSI)
        assert bench.computed() == 1
        for reading in range(2, round(GRACE_S / DEMAND_PERIOD_S) + 4):
            await bench.cycles(1)
            bench.clock.advance(DEMAND_PERIOD_S + 0.1)
            await bench.bus.until_asked("demand", reading)
        await bench.cycles(1)
        assert bench.computed() == 0


async def test_what_another_engine_computed_and_nobody_wants_is_dropped(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)
    bench.clock.advance(DEMAND_S + 1)
    bench.restart()
    async with bench.running():
        bench.feed.trade(5.5, 10.0)
    assert await bench.newest(BARS) is None


async def test_nothing_is_computed_before_all_topics_are_owned(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)
    row = await bench.newest(BARS)
    bench.restart()
    bench.bus.barred = {0}
    bench.feed.trade(0.5, 10.0)
    async with bench.broker.listen(bench), bench.engine() as running:
        await bench.bus.until_asked("acquire", 2)
        assert bench.bus.asked("demand") == 1, "by the engine before"
        bench.bus.barred = set()
        bench.clock.advance(1)
        await running.caught_up.wait()
        bench.feed.trade(1.5, 10.0)
        bench.feed.trade(2.5, 10.0)
        await bench.until_heard(BARS, 1)
        again = await bench.newest(BARS)
    assert row is not None
    assert again is not None
    assert (again.since, again.offset) == (row.since, row.offset + 1)


async def test_another_engine_goes_on_where_one_has_ended(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(BARS)
        bench.feed.trade(3.5, 10.0)
        await bench.until_heard(BARS, 2)
    row = await bench.newest(BARS)
    bench.restart()
    async with bench.running():
        for second in (0.5, 3.5, 4.5):
            bench.feed.trade(second, 10.0)
        await bench.until_heard(BARS, 3)
        again = await bench.newest(BARS)
    assert [second for _, second in bench.finals] == [0, 1, 2, 3]
    assert row is not None
    assert again is not None
    assert again.since == row.since


async def test_what_no_engine_has_computed_is_told(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)
    bench.restart()
    bench.heard_payloads.clear()
    async with bench.running():
        bench.feed.trade(3.5, 10.0)
        bench.feed.trade(4.5, 10.0)
        await bench.until_heard(BARS, 3)
    start = START_NS // 1_000_000
    told = [json.loads(payload) for payload in bench.heard_payloads[:2]]
    empty = dict.fromkeys("ohlcvn")
    assert told == [
        {"t": t, **empty, "final": True, "event": (t + 1000) * 1000, "sent": (t + 1000) * 1000, "gap": True}
        for t in (start + 1000, start + 2000)
    ]
    assert [second for _, second in bench.finals] == [0, 1, 2, 3]


async def test_a_bar_that_began_before_the_first_engine_ended_is_missed_too(bench: Bench) -> None:
    minutes = "signals:DEMO:S01@1m:sma(close,2)"
    async with bench.running():
        await bench.newest(minutes)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.newest(BARS)
        await bench.until_live(minutes)
    bench.restart()
    bench.heard_payloads.clear()
    async with bench.running():
        bench.feed.trade(125.5, 10.0)
        bench.feed.trade(185.5, 10.0)
        await bench.until_heard(minutes, 120)
    told = [json.loads(p) for p in bench.heard_payloads if b'"o"' not in p]
    assert [(p["t"] - START_NS // 1_000_000, p.get("gap", False), p["v"]) for p in told] == [
        (0, True, None),
        (60_000, True, None),
        (120_000, False, None),
    ]


async def test_an_engine_does_not_go_back_to_live_values_of_bars_that_were_closed(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(3.5, 10.0)
        await bench.until_heard(BARS, 2)
    bench.restart()
    async with bench.running():
        bench.live_seconds.clear()
        for second in (0.5, 1.5, 2.5, 3.4):
            bench.clock.advance(FLUSH_S)
            bench.feed.trade(second, 11.0)
            await bench.cycles(2)
        bench.feed.trade(4.5, 11.0)
        await bench.until_heard(BARS, 3)
    assert bench.live_seconds
    assert min(bench.live_seconds) == 3


# the bus away


async def test_an_engine_whose_bus_is_away_says_so_and_begins_when_it_is_back(bench: Bench) -> None:
    await bench.broker.read(0, None, [BARS])
    bench.bus.away = "connection refused"
    async with (
        bench.broker.listen(bench),
        bench.engine() as running,
    ):
        await bench.bus.until_asked("announce", 1)
        assert running.checks["bus"]() == "connection refused"
        assert running.checks["topics"]() == "not all topics are owned"
        assert not running.caught_up.is_set()
        bench.bus.away = None
        bench.clock.advance(1)
        await running.caught_up.wait()
        assert {name: check() for name, check in running.checks.items()} == dict.fromkeys(running.checks)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)


async def test_demand_is_read_before_the_first_tick(bench: Bench) -> None:
    await bench.broker.read(0, None, [BARS])
    bench.bus.deaf = True
    bench.feed.trade(0.5, 10.0)
    async with (
        bench.broker.listen(bench),
        bench.engine() as running,
    ):
        await bench.bus.until_asked("demand", 3)
        assert not bench.registry.get_sample_value("engine_ticks_total")
        bench.bus.deaf = False
        await running.caught_up.wait()
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)


async def test_an_engine_stops_in_time_though_the_bus_is_away(bench: Bench) -> None:
    with structlog.testing.capture_logs() as logs:
        async with bench.engine(stop_s=0.01) as running:
            await running.caught_up.wait()
            await bench.newest(BARS)
            bench.feed.trade(0.5, 10.0)
            await bench.cycles(2)
            bench.bus.open.clear()
            bench.feed.trade(1.5, 10.0)
            await bench.cycles(2)
    stopped = next(line for line in logs if line["event"] == "engine.stopped")
    assert stopped["unsent_bytes"] > 0


async def test_what_was_folded_is_counted(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        for second in range(4):
            bench.feed.trade(second + 0.5, 10.0)
        await bench.until_heard(BARS, 2)
        value = bench.registry.get_sample_value
        assert value("engine_ticks_total") == 4
        assert (value("engine_boundaries_total") or 0) >= 3
        assert value("engine_feeds_up") == 1
        told = ("unknown_messages", "duplicate_ticks", "feed_gaps", "refused_ticks")
        assert [value(f"engine_{name}_total") for name in told] == [3, 2, 1, 4]
        assert (value("engine_publications_total") or 0) >= 3


async def test_an_engine_that_leaves_has_published_everything(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        await bench.until_live(BARS)
        bench.feed.trade(5.5, 11.0)
        bench.feed.end()
        await bench.until_heard(BARS, 5)
    assert [second for _, second in bench.finals] == [0, 1, 2, 3, 4, 5]


# arrears


async def test_an_engine_that_leaves_has_told_how_far_it_came(bench: Bench) -> None:
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(5.5, 11.0)
        await bench.cycles(2)
    acquired = await bench.broker.acquire(0, "the next")
    assert acquired is not None
    seconds = {name: (open_ms * 1_000_000 - START_NS) // NS_PER_S for name, open_ms in acquired.closed.items()}
    assert seconds["DEMO@1s"] == 4
    assert seconds["DEMO@5s"] == 0
    assert seconds["DEMO@1m"] == -60


async def test_what_is_newly_wanted_begins_when_the_feeds_have_caught_up(bench: Bench) -> None:
    bench.feed.behind = True
    await bench.broker.read(0, None, [BARS])
    async with (
        bench.broker.listen(bench),
        bench.engine() as running,
    ):
        for second in range(5):
            bench.feed.trade(second + 0.5, 10.0)
        await bench.cycles(2)
        await bench.newest(RSI)
        assert running.checks["arrears"]() == "the feeds have not caught up yet"
        bench.feed.behind = False
        await running.caught_up.wait()
        assert running.checks["arrears"]() is None
        await bench.cycles(1)
        bench.feed.trade(5.5, 10.0)
        await bench.until_heard(BARS, 4)
        await bench.until_heard(RSI, 4)
    assert [second for channel, second in bench.finals if channel == BARS] == [4]


async def test_what_the_engine_before_computed_goes_on_through_the_arrears(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)
    bench.restart()
    bench.feed.behind = True
    async with (
        bench.broker.listen(bench),
        bench.engine() as running,
    ):
        for second in range(5):
            bench.feed.trade(second + 0.5, 10.0)
        await bench.until_heard(BARS, 3)
        assert not running.caught_up.is_set()
    assert [second for channel, second in bench.finals if channel == BARS] == [0, 1, 2, 3]
