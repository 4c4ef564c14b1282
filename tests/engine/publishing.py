"""A publisher at work on the bus in memory, which can fail, and what is heard of the first of its topics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from engine.metrics import EngineMetrics
from engine.publisher import BUFFER_BYTES, Publisher
from engine.resumption import Closing
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from tests.engine.faulty_bus import FaultyBus
from wire.envelope import Envelope, NewestFinal, Publication

BOUNDARY = "DEMO@1s"
INSTRUMENTS = {"DEMO": ("S01",)}


class Ear:
    """Notes what a gateway would hear of topic 0."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._news = asyncio.Event()

    def attached(self, topic: int) -> None:
        """Nothing is missed here."""

    def heard(self, topic: int, envelope: Envelope) -> None:
        if topic == 0:
            self.envelopes.append(envelope)
            self._news.set()

    @property
    def finals(self) -> list[tuple[str, bytes]]:
        return [(p.channel, p.payload) for envelope in self.envelopes for p in envelope.finals]

    async def more_than(self, count: int) -> int:
        """Wait for more envelopes than so many, heartbeats among them; how many there are."""
        async with asyncio.timeout(10):
            while len(self.envelopes) <= count:
                self._news.clear()
                await self._news.wait()
        return len(self.envelopes)

    async def some(self, count: int) -> list[Envelope]:
        """Wait for so many envelopes that are no heartbeats."""
        async with asyncio.timeout(10):
            while len(found := [e for e in self.envelopes if e.finals or e.live]) < count:
                self._news.clear()
                await self._news.wait()
        return found


class Bench:
    """A publisher of a few topics. On topic 0 the channels a and b are computed, on topic 1 the channel c."""

    def __init__(self, clock: ManualClock, *, topics: int = 2, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.clock = clock
        self.broker = MemoryBroker(topics=topics, monotonic_s=self.now_s)
        self.bus = FaultyBus(self.broker)
        self.ear = Ear()
        self._topics = range(topics)
        self._buffer_bytes = buffer_bytes
        self.another()

    def another(self) -> Publisher:
        """Another engine's; the bench goes on with it."""
        self.registry = CollectorRegistry()
        self.publisher = Publisher(
            self.bus,
            self._topics,
            INSTRUMENTS,
            self.now_s,
            EngineMetrics(self.registry),
            buffer_bytes=self._buffer_bytes,
        )
        return self.publisher

    def now_s(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    def count(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"engine_{name}")

    @asynccontextmanager
    async def running(self, *, wanted: str = "abc") -> AsyncIterator[None]:
        """From when all is acquired, and what is wanted is started, until all that waits is in."""
        async with self.broker.listen(self.ear), asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            await self.publisher.acquired.wait()
            for channel in wanted:
                self.publisher.start(int(channel == "c"), channel, BOUNDARY)
            self.publisher.settle()
            await self.settled()
            yield
            self.publisher.stop()

    async def settled(self) -> None:
        """Wait until the rows of what was started are there."""
        async with asyncio.timeout(10):
            while not await self.row("a"):
                await self.bus.news()

    async def row(self, channel: str, topic: int = 0) -> NewestFinal | None:
        return (await self.bus.broker.read(topic, None, [channel])).newest.get(channel)

    def close(self, second: int, *channels: str, size: int = 1) -> None:
        """A boundary, with a final of each channel that tells the second, in so many bytes."""
        payload = b"%0*d" % (size, second)
        finals = [(int(channel == "c"), Publication(channel, payload)) for channel in channels]
        self.publisher.close(Closing(BOUNDARY, second * 1000, 1000, None), finals)

    def offer(self, channel: str, payload: bytes, second: int = 1_000_000) -> None:
        """A live value of the bar that begins at that second."""
        self.publisher.offer(int(channel == "c"), [Publication(channel, payload)], BOUNDARY, second * 1000)
