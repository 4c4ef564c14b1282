"""An engine that a test plays: a feed by hand, a bus in memory, a clock that stands still."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
from prometheus_client import CollectorRegistry

from engine.app import DEFAULTS, EngineOptions, RunningEngine, engine
from engine.loop import CYCLE_S
from engine.publisher import FLUSH_S
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from tests.engine.faulty_bus import FaultyBus
from tests.engine.hand_feed import START_NS, HandFeed
from wire.envelope import Envelope, NewestFinal, Publication


class Bench:
    """An engine on one topic, and what a gateway hears of it."""

    def __init__(self, clock: ManualClock, options: EngineOptions = DEFAULTS) -> None:
        self.clock = clock
        self.options = options
        self.feed = HandFeed()
        self.broker = MemoryBroker(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
        self.bus = FaultyBus(self.broker)
        self.registry = CollectorRegistry()
        self.finals: list[tuple[str, int]] = []
        self.heard_payloads: list[bytes] = []
        """Of finals."""
        self.told: dict[str, list[bytes]] = {}
        """Everything of a channel, live and final."""
        self.live: list[str] = []
        self.live_seconds: list[int] = []
        self._news = asyncio.Event()

    def heard(self, topic: int, envelope: Envelope) -> None:
        for publication in envelope.finals:
            self.finals.append((publication.channel, _second(publication)))
            self.heard_payloads.append(publication.payload)
        for publication in (*envelope.finals, *envelope.live):
            self.told.setdefault(publication.channel, []).append(publication.payload)
        self.live += [publication.channel for publication in envelope.live]
        self.live_seconds += [_second(publication) for publication in envelope.live if b'"t":' in publication.payload]
        self._news.set()

    def attached(self, topic: int) -> None:
        """Nothing is missed here."""

    def engine(self, stop_s: float = 10.0) -> AbstractAsyncContextManager[RunningEngine]:
        options = msgspec.structs.replace(self.options, stop_s=stop_s)
        return engine([self.feed], self.bus, topics=1, clock=self.clock, registry=self.registry, options=options)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RunningEngine]:
        """From when all is acquired and resumed."""
        async with (
            self.broker.listen(self),
            self.engine() as running,
        ):
            async with asyncio.timeout(10):
                await running.caught_up.wait()
            yield running

    async def until_heard(self, channel: str, second: int) -> None:
        """Wait for one final."""
        async with asyncio.timeout(10):
            while (channel, second) not in self.finals:
                self._news.clear()
                await self._news.wait()

    async def until_live(self, channel: str) -> None:
        """Wait for the next live value of a channel; they are sent at most so often."""
        self.live.clear()
        self.clock.advance(FLUSH_S)
        async with asyncio.timeout(10):
            while channel not in self.live:
                self._news.clear()
                await self._news.wait()

    async def until_told(self, channel: str, part: bytes) -> bytes:
        """Wait until something with this `part` was told of a channel, live or final; that."""
        async with asyncio.timeout(10):
            while not (found := [each for each in self.told.get(channel, ()) if part in each]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def newest(self, channel: str) -> NewestFinal | None:
        """What the bus holds of a channel; reading makes it wanted."""
        return (await self.broker.read(0, None, [channel])).newest.get(channel)

    def restart(self) -> None:
        """The next engine has a feed of its own that begins anew."""
        self.feed = HandFeed()
        self.registry = CollectorRegistry()

    async def cycles(self, count: int) -> None:
        """Wait until so many more cycles have run."""
        wanted = (self.registry.get_sample_value("engine_cycle_seconds_count") or 0) + count
        async with asyncio.timeout(10):
            while (self.registry.get_sample_value("engine_cycle_seconds_count") or 0) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(CYCLE_S)

    def computed(self) -> float | None:
        return self.registry.get_sample_value("engine_channels")


def _second(publication: Publication) -> int:
    """When its bar began, in seconds after the feed."""
    time_ms: int = json.loads(publication.payload)["t"]
    return (time_ms - START_NS // 1_000_000) // 1000
