"""The engine at work on a bus: what somebody wants is computed and published, for as long as it is wanted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from engine.app import engine
from engine.demand import GRACE_S
from engine.loop import DEMAND_PERIOD_S
from standins.broker import DEMAND_S, MemoryBroker
from standins.clock import ManualClock
from tests.engine.hand_feed import START_NS, HandFeed
from wire.envelope import Description, Envelope, NewestFinal
from wire.position import Offset

BARS = "bars:DEMO:S01@1s"
RSI = "signals:DEMO:S01@1s:rsi(close,2)"


class Bench:
    """An engine on one topic, and what a gateway hears of it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.feed = HandFeed()
        self.broker = MemoryBroker(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
        self.registry = CollectorRegistry()
        self.finals: list[tuple[str, int]] = []
        self.live: list[str] = []
        self._news = asyncio.Event()

    def heard(self, topic: int, envelope: Envelope) -> None:
        for publication in envelope.finals:
            second = (json.loads(publication.payload)["t"] - START_NS // 1_000_000) // 1000
            self.finals.append((publication.channel, second))
        self.live += [publication.channel for publication in envelope.live]
        self._news.set()

    def cut(self, topic: int) -> None:
        raise AssertionError("nothing is cut here")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self.broker.listen(self):
            async with engine([self.feed], self.broker, topics=1, clock=self.clock, registry=self.registry):
                yield

    async def until_heard(self, channel: str, second: int) -> None:
        """Wait for one final."""
        async with asyncio.timeout(10):
            while (channel, second) not in self.finals:
                self._news.clear()
                await self._news.wait()

    async def until_live(self, channel: str) -> None:
        """Wait for the next live value of a channel."""
        self.live.clear()
        async with asyncio.timeout(10):
            while channel not in self.live:
                self._news.clear()
                await self._news.wait()

    async def newest(self, channel: str) -> NewestFinal | None:
        """What the bus holds of a channel; reading makes it wanted."""
        return (await self.broker.read(0, None, [channel])).newest.get(channel)

    def computed(self) -> float | None:
        return self.registry.get_sample_value("engine_channels")


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
    assert (newest.since, newest.offset) == (0, 1)


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
            await bench.broker.renew(0, [BARS])
            bench.feed.trade(second + 0.5, 10.0)
            await bench.until_heard(BARS, second - 1)
        assert bench.computed() == 1
        held = await bench.broker.read(0, Offset(0), [])
        assert (await bench.broker.read(0, None, [RSI])).newest == {}
    computed = [s for channel, s in bench.finals if channel == RSI]
    assert computed == list(range(len(computed)))
    assert 60 <= len(computed) < len([s for channel, s in bench.finals if channel == BARS])
    assert held.top == len(bench.finals)


async def test_demand_of_before_the_engine_came_up_is_met(bench: Bench) -> None:
    await bench.broker.read(0, None, [BARS])
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        bench.feed.trade(1.5, 10.0)
        await bench.until_heard(BARS, 0)


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
