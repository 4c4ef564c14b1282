"""Corrections, trades, quotes, status, alerts and screens of an engine at work on a bus."""

import json

import pytest

from engine.demand import GRACE_S
from engine.loop import DEMAND_PERIOD_S
from engine.publisher import FLUSH_S
from standins.broker import DEMAND_S
from standins.clock import ManualClock
from tests.engine.loop_bench import Bench
from wire.envelope import Description

BARS = "bars:DEMO:S01@1s"
SMA = "signals:DEMO:S01@1s:sma(close,2)"
ALERT = "alerts:DEMO:S01@1s:close>10"
SCREEN = "screens:DEMO@1s:close>10"
TRADES = "trades:DEMO:S01"
QUOTES = "quotes:DEMO:S01"
STATUS = "status:DEMO"


@pytest.fixture
def bench(clock: ManualClock) -> Bench:
    return Bench(clock)


async def play(bench: Bench, *prices: float, channel: str = BARS) -> None:
    """A trade in each second from the start, until all but the last have closed."""
    for second, price in enumerate(prices):
        bench.feed.trade(second + 0.5, price)
    await bench.until_heard(channel, len(prices) - 2)


# corrections


async def test_a_late_trade_gives_a_final_of_its_bar_and_another_one_another(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await bench.newest(SMA)
        await play(bench, 10.0, 11.0, 12.0)
        bench.feed.trade(0.75, 20.0, received_s=2.6)
        first = json.loads(await bench.until_told(BARS, b'"rev":1'))
        bench.feed.trade(0.8, 5.0, received_s=2.7)
        second = json.loads(await bench.until_told(BARS, b'"rev":2'))
        assert bench.registry.get_sample_value("engine_corrections_total") == 2
        assert bench.registry.get_sample_value("engine_late_ticks_total") == 2
    assert [(each["final"], each["h"], each["l"], each["n"]) for each in (first, second)] == [
        (True, 20.0, 10.0, 2),
        (True, 20.0, 5.0, 3),
    ]
    assert [channel for channel, at in bench.finals if at == 0] == [BARS, SMA, BARS, BARS], "no signal is repainted"


async def test_the_row_keeps_the_newest_bar_and_has_the_corrections_offset(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await play(bench, 10.0, 11.0, 12.0)
        before = await bench.newest(BARS)
        bench.feed.trade(0.75, 20.0, received_s=2.6)
        await bench.until_told(BARS, b'"rev":1')
        older = await bench.newest(BARS)
        bench.feed.trade(1.75, 20.0, received_s=2.7)
        corrected = await bench.until_told(BARS, b'"h":20.0,"l":11.0')
        newest = await bench.newest(BARS)
    assert before is not None
    assert older is not None
    assert newest is not None
    assert older.payload == before.payload, "of the newest bar, which is as it was"
    assert (older.since, older.offset) == (before.since, before.offset + 1)
    assert (newest.offset, newest.payload) == (older.offset + 1, corrected)


async def test_who_recovers_by_its_position_gets_a_correction_once(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await play(bench, 10.0, 11.0, 12.0)
        position = await bench.newest(BARS)
        bench.feed.trade(0.75, 20.0, received_s=2.6)
        await bench.until_told(BARS, b'"rev":1')
        bench.feed.trade(3.5, 13.0)
        await bench.until_heard(BARS, 2)
        assert position is not None
        held = await bench.broker.read(0, position.offset, [])
    missed = [json.loads(each.publication.payload) for each in held.finals]
    assert [(each["c"], each.get("rev", 0)) for each in missed] == [(20.0, 1), (12.0, 0)]


async def test_a_correction_does_not_displace_the_live_value_that_waits(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await play(bench, 10.0, 11.0, 12.0)
        bench.bus.open.clear()
        bench.feed.trade(2.65, 13.0)
        bench.feed.trade(0.75, 20.0, received_s=2.7)
        await bench.cycles(3)
        bench.bus.open.set()
        bench.clock.advance(FLUSH_S)
        await bench.until_told(BARS, b'"rev":1')
        live = json.loads(await bench.until_told(BARS, b'"c":13.0'))
    assert (live["final"], live["n"]) == (False, 2)


async def test_corrections_are_in_the_chart(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        await play(bench, 10.0, 11.0, 12.0)
        bench.feed.trade(0.75, 20.0, received_s=2.6)
        corrected = await bench.until_told(BARS, b'"rev":1')
        chart = await bench.broker.history(0, BARS, 10)
    assert chart.values[0].payload == corrected


# trades, quotes, status


async def tell(bench: Bench, name: str) -> None:
    """Something happens that the channel called `name` tells."""
    match name:
        case "quotes:DEMO:S01":
            bench.feed.quote(0.5, 10.0)
        case "trades:DEMO:S01":
            bench.feed.trade(0.5, 10.0)
    await bench.cycles(2)


@pytest.mark.parametrize("name", [TRADES, QUOTES, STATUS])
async def test_what_says_only_what_is_now_is_told_without_a_row_and_repeated_byte_for_byte(
    bench: Bench, name: str
) -> None:
    async with bench.running():
        await tell(bench, name)
        assert await bench.newest(name) is None
        first = await bench.until_told(name, b"{")
        assert await bench.broker.describe(0, name) == Description(warming=False)
        await bench.until_live(name)
        assert await bench.newest(name) is None, "nothing is ever kept of it"
        assert bench.told[name] == [first] * len(bench.told[name])
        assert len(bench.told[name]) >= 2
    assert bench.finals == []


async def test_the_newest_trade_and_quote_are_told(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(TRADES)
        await bench.newest(QUOTES)
        bench.feed.trade(0.1, 10.0, size=2.0)
        bench.feed.quote(0.2, 9.0)
        trade = json.loads(await bench.until_told(TRADES, b'"p":10.0'))
        bench.clock.advance(FLUSH_S)
        quote = json.loads(await bench.until_told(QUOTES, b'"bid":9.0'))
        bench.feed.trade(0.5, 11.0, symbol="S02")
        bench.feed.trade(0.6, 12.0)
        bench.clock.advance(FLUSH_S)
        await bench.until_told(TRADES, b'"p":12.0')
    assert (trade["q"], quote["ask"], quote["bid_q"], quote["ask_q"]) == (2.0, 10.0, 2.0, 3.0)
    assert not any(b'"p":11.0' in payload for payload in bench.told[TRADES])


async def test_what_a_feed_has_become_is_told(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(STATUS)
        await bench.until_told(STATUS, b'"state":"up"')
        bench.feed.down = True
        await bench.cycles(1)
        bench.clock.advance(FLUSH_S)
        await bench.until_told(STATUS, b'"state":"down"')


@pytest.mark.parametrize("name", [TRADES, QUOTES, STATUS, ALERT, SCREEN])
async def test_of_what_nobody_wants_any_more_nothing_is_told(bench: Bench, name: str) -> None:
    async with bench.running():
        await bench.newest(name)
        await bench.cycles(1)
        assert bench.computed() == 1
        reading = bench.bus.asked("demand")
        for _ in range(round((DEMAND_S + GRACE_S) / DEMAND_PERIOD_S) + 3):
            reading += 1
            bench.clock.advance(DEMAND_PERIOD_S + 0.1)
            await bench.bus.until_asked("demand", reading)
            await bench.cycles(1)
        assert bench.computed() == 0
        bench.told.clear()
        bench.feed.quote(0.1, 10.0)
        for second, price in enumerate([9.0, 11.0, 12.0, 13.0]):
            bench.feed.trade(second + 0.5, price)
        bench.feed.down = True
        await bench.cycles(2)
        bench.clock.advance(FLUSH_S)
        await bench.newest(BARS)
        await bench.until_live(BARS)
    assert name not in bench.told


# alerts and screens


async def test_an_alert_has_a_row_from_the_beginning_and_its_finals_have_offsets(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(ALERT)
        await bench.newest(BARS)
        await play(bench, 9.0, 9.0)
        before = await bench.newest(ALERT)
        bench.feed.trade(2.5, 11.0)
        bench.feed.trade(3.5, 11.0)
        await bench.until_heard(ALERT, 2)
        after = await bench.newest(ALERT)
    assert before is not None
    assert after is not None
    assert (before.offset, before.payload) == (0, None)
    assert after.offset > after.since == before.since
    assert json.loads(after.payload or b"")["v"] == {"close": 11.0}


async def test_a_screen_is_told_of_at_every_boundary(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(SCREEN)
        bench.feed.trade(0.6, 12.0, symbol="S02")
        await play(bench, 9.0, 11.0, 9.0, channel=SCREEN)
    told = [json.loads(payload) for payload in bench.heard_payloads]
    assert [(each["in"], each["entered"], each["left"]) for each in told] == [
        (["S02"], ["S02"], []),
        (["S01", "S02"], ["S01"], []),
    ]


@pytest.mark.parametrize("name", [ALERT, SCREEN, TRADES, QUOTES, STATUS])
async def test_what_says_nothing_of_each_bar_has_no_chart(bench: Bench, name: str) -> None:
    async with bench.running():
        chart = await bench.broker.history(0, name, 10)
    assert chart.refused is not None
    assert chart.values == ()
