"""The two halves of one bus, in memory or over a real Redis server, and how a test makes its time pass."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis

from engine.bus import Bus
from engine.publisher_redis import RedisBus
from gateway.broker import Bus as GatewaysBus
from gateway.broker_redis import RedisBroker
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from standins.redis import RedisServer
from wire.envelope import VERSION, Acquired, Batch, Chart, ClosedValue, Description, Envelope, Ownership, Publication
from wire.topics import Keys

TOPICS = 4
RSI = "signals:DEMO:S01@1m:rsi(close,14)"
BARS = "bars:DEMO:S01@1m"

_PASS = """
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms > 0 then
    redis.call('PEXPIRE', KEYS[1], left_ms - ARGV[1])
end
for _, channel in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    redis.call('ZINCRBY', KEYS[2], -ARGV[1], channel)
end
"""


class News:
    """Something that a test waits for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._event.clear()
            await self._event.wait()


class Owner(News):
    """An engine as the bus sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.rung: list[tuple[int, tuple[str, ...]]] = []
        self.chart = Chart((ClosedValue(60_000, b'{"v":1}'), ClosedValue(120_000, b'{"v":null}')))
        self.broken = False
        self.description: Description | None = None
        """What it says of every channel; None: by topic, which it names."""

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        self.rung.append((topic, tuple(channels)))
        self.tell()

    def describe(self, topic: int, channel: str) -> Description:
        if self.broken:
            raise RuntimeError("out of order")
        if self.description is not None:
            return self.description
        return Description(warming=topic == 3, refused=None if topic == 3 else f"{channel} on topic {topic}")

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        await asyncio.sleep(0)
        if self.broken:
            raise RuntimeError("out of order")
        return Chart(self.chart.values[-limit:], refused=None if topic == 3 else f"{channel} on topic {topic}")


class Ear(News):
    """A gateway as the bus sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.attachments: list[int] = []
        self.envelopes: list[tuple[int, Envelope]] = []

    def attached(self, topic: int) -> None:
        self.attachments.append(topic)
        self.tell()

    def heard(self, topic: int, envelope: Envelope) -> None:
        self.envelopes.append((topic, envelope))
        self.tell()

    async def after(self, count: int) -> list[tuple[int, Envelope]]:
        await self.until(lambda: len(self.envelopes) >= count)
        return self.envelopes


class Pair:
    """A bus that one engine and one gateway meet on."""

    def __init__(
        self,
        bus: Bus,
        broker: GatewaysBus,
        *,
        passes: Callable[[float], Awaitable[None]],
        serving: Callable[[Owner], AbstractAsyncContextManager[None]],
    ) -> None:
        self.bus = bus
        self.broker = broker
        self.passes = passes
        """Let so many seconds pass on the bus."""
        self.serving = serving
        """Have an owner serve all topics, and hear from entering on."""

    @asynccontextmanager
    async def listening(self, *ears: Ear) -> AsyncIterator[None]:
        """`ears` hear all topics."""
        if not ears:
            yield
            return
        async with self.broker.listen(ears[0]):
            await ears[0].until(lambda: len(ears[0].attachments) == TOPICS)
            async with self.listening(*ears[1:]):
                yield

    async def acquire(self, topic: int = 3, identity: str = "engine-1") -> Ownership:
        return (await self.take(topic, identity)).ownership

    async def take(self, topic: int = 3, identity: str = "engine-1") -> Acquired:
        acquired = await self.bus.acquire(topic, identity)
        assert acquired is not None
        return acquired

    async def publish(self, batch: Batch, topic: int = 3) -> Ownership:
        return (await self.bus.publish({topic: batch}))[topic]


def batch(
    own: Ownership, finals: Sequence[Publication] = (), live: Sequence[Publication] = (), **more: object
) -> Batch:
    envelope = Envelope(VERSION, own.epoch, own.number + 1, own.next_offset, tuple(finals), tuple(live))
    return Batch(own, (envelope,), **more)  # type: ignore[arg-type]


def final(n: int, channel: str = RSI) -> Publication:
    return Publication(channel, b'{"v":%d}' % n)


@asynccontextmanager
async def in_memory() -> AsyncIterator[Pair]:
    clock = ManualClock()
    broker = MemoryBroker(topics=TOPICS, monotonic_s=lambda: clock.monotonic_ns() / 1e9)

    async def passes(seconds: float) -> None:
        clock.advance(seconds)

    yield Pair(broker, broker, passes=passes, serving=lambda owner: broker.serve(owner, range(TOPICS)))


@asynccontextmanager
async def over_redis() -> AsyncIterator[Pair]:
    keys = Keys()
    async with (
        RedisServer() as server,
        Redis.from_url(server.url, protocol=2) as redis,
        RedisBus(server.url) as bus,
        RedisBroker(server.url, topics=TOPICS) as broker,
    ):

        async def passes(seconds: float) -> None:
            for topic in range(TOPICS):
                await redis.eval(_PASS, 2, keys.lease(topic), keys.demand(topic), str(int(seconds * 1000)))

        @asynccontextmanager
        async def serving(owner: Owner) -> AsyncIterator[None]:
            # Whoever begins to be heard is told of what is wanted already: that tells us.
            for topic in range(TOPICS):
                await redis.zadd(keys.demand(topic), {"a mark": math.inf})
            async with bus.serve(owner, range(TOPICS)):
                await owner.until(lambda: {topic for topic, _ in owner.rung} == set(range(TOPICS)))
                for topic in range(TOPICS):
                    await redis.zrem(keys.demand(topic), "a mark")
                owner.rung.clear()
                yield

        yield Pair(bus, broker, passes=passes, serving=serving)
