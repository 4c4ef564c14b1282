"""A gateway to test against: real sockets, a real user service; the test plays the engine on a bus in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect

from gateway.app import RunningGateway, gateway
from gateway.config import (
    DrainConfig,
    GatewayConfig,
    LimitsConfig,
    ListenConfig,
    OutboxConfig,
    TimingConfig,
    UserServiceConfig,
)
from runtime.clock import SystemClock
from runtime.redis_config import MEMORY, RedisConfig
from runtime.secret import Secret
from standins.broker import MemoryBroker
from standins.user_service import Limits, TokenRecord, UserServiceStandIn
from tests.gateway.certificates import Identity
from tests.waiting import until
from wire import channel as channels
from wire.envelope import VERSION, Batch, Chart, Description, Envelope, NewestFinal, Ownership, Publication
from wire.position import Offset
from wire.topics import topic_of

TOPICS = 4
KEY = Secret("a key between services")
TOKENS = {
    "all": TokenRecord(sub="1", channels=("*",)),
    "few": TokenRecord(sub="2", channels=("*",), limits=Limits(subscriptions=2)),
    "bars": TokenRecord(sub="3", channels=("bars:DEMO:*", "signals:DEMO:S01@1m:rsi(close,14)")),
    "none": TokenRecord(sub="4"),
    "slow": TokenRecord(sub="6", channels=("*",), limits=Limits(live_rate=10)),
    "venue": TokenRecord(sub="5", channels=("status:DEMO", "screens:DEMO@*")),
}
BARS = "bars:DEMO:S01@1m"
RSI = "signals:DEMO:S01@1m:rsi(14)"
RSI_CANONICAL = "signals:DEMO:S01@1m:rsi(close,14)"


class PlayedEngine:
    """Owns all topics and publishes what the test says."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._own: dict[int, Ownership] = {}
        self._since: dict[str, Offset] = {}
        self._live: dict[str, object] = {}
        self.charts: dict[str, Chart] = {}
        self.wanted_channels: list[str] = []
        self.description = Description(warming=True)

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        self.wanted_channels += channels

    def describe(self, topic: int, channel: str) -> Description:
        return self.description

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        chart = self.charts.get(channel, Chart((), refused="unknown channel"))
        return Chart(chart.values[-limit:], chart.refused)

    async def start(self) -> None:
        for topic in range(TOPICS):
            acquired = await self._broker.acquire(topic, "played")
            assert acquired is not None
            self._own[topic] = acquired.ownership
        await self._broker.announce({"DEMO": ["S01", "S02", "S03"]})

    async def compute(self, channel: str) -> None:
        topic = topic_of(channels.parse(channel), TOPICS)
        self._since[channel] = Offset(self._own[topic].next_offset - 1)
        await self._send(
            topic, Batch(self._own[topic], (), rows={channel: NewestFinal(self._since[channel], Offset(0), None)})
        )

    async def begin_epoch(self, channel: str) -> None:
        topic = topic_of(channels.parse(channel), TOPICS)
        acquired = await self._broker.acquire(topic, "played", known=self._own[topic], fresh=True)
        assert acquired is not None
        self._own[topic] = acquired.ownership

    async def publish(self, channel: str, data: object, *, final: bool) -> None:
        topic = topic_of(channels.parse(channel), TOPICS)
        own = self._own[topic]
        publication = (Publication(channel, json.dumps(data).encode()),)
        if not final:
            self._live[channel] = data
        finals, live = (publication, ()) if final else ((), publication)
        envelope = Envelope(VERSION, own.epoch, own.number + 1, own.next_offset, finals, live)
        since = self._since.setdefault(channel, Offset(own.next_offset - 1))
        rows = {channel: NewestFinal(since, envelope.top, publication[0].payload)} if final else {}
        await self._send(topic, Batch(own, (envelope,), rows=rows))

    async def repeat(self, channel: str) -> None:
        """Say the channel's live value again, once somebody who may not have it has read the channel."""
        await until(lambda: channel in self.wanted_channels)
        self.wanted_channels.clear()
        await self.publish(channel, self._live[channel], final=False)

    async def _send(self, topic: int, batch: Batch) -> None:
        self._own[topic] = (await self._broker.publish({topic: batch}))[topic]

    def position(self, channel: str) -> tuple[str, int]:
        own = self._own[topic_of(channels.parse(channel), TOPICS)]
        return own.epoch, own.next_offset - 1


@dataclass
class Service:
    """What a test may touch."""

    port: int
    broker: MemoryBroker
    engine: PlayedEngine
    users: UserServiceStandIn
    registry: CollectorRegistry
    checks: Mapping[str, Callable[[], str | None]]
    serving: RunningGateway
    tls: Identity | None = None

    @property
    def url(self) -> str:
        return f"{'ws' if self.tls is None else 'wss'}://127.0.0.1:{self.port}/connection/websocket"

    def sample(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        return self.registry.get_sample_value(name, dict(labels or {}))

    @asynccontextmanager
    async def raw(self, **options: Any) -> AsyncIterator["Peer"]:
        """A client without a protocol of its own: frames as they are."""
        if self.tls is not None:
            options.setdefault("ssl", self.tls.client)
        async with connect(self.url, **options) as socket:
            yield Peer(socket)

    @asynccontextmanager
    async def connected(self, token: str = "all") -> AsyncIterator["Peer"]:
        async with self.raw() as peer:
            await peer.send({"id": 1, "connect": {"token": token}})
            assert "connect" in await peer.receive()
            yield peer


class Peer:
    """One raw client."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *commands: object) -> None:
        await self.socket.send("\n".join(json.dumps(command) for command in commands))

    async def receive(self) -> dict[str, Any]:
        """The next message; pings are answered and passed over."""
        while True:
            async with asyncio.timeout(10):
                message = json.loads(await self.socket.recv())
            if message:
                assert isinstance(message, dict)
                return message
            await self.socket.send("{}")

    async def ask(self, command: object) -> dict[str, Any]:
        await self.send(command)
        return await self.receive()

    async def closed(self) -> tuple[int | None, str | None]:
        """How the gateway closed it."""
        async with asyncio.timeout(10):
            await self.socket.wait_closed()
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def running(
    *,
    timing: TimingConfig | None = None,
    outbox: OutboxConfig | None = None,
    timeout_s: float = 1.0,
    origins: tuple[str, ...] = ("*",),
    limits: LimitsConfig | None = None,
    drain: DrainConfig | None = None,
    tls: Identity | None = None,
    listen: ListenConfig | None = None,
    redis_url: str = MEMORY,
) -> AsyncIterator[Service]:
    """A gateway that serves, with an engine that the test plays; users are counted at `redis_url`."""
    clock, registry = SystemClock(), CollectorRegistry()
    broker = MemoryBroker(topics=TOPICS, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
    async with UserServiceStandIn(TOKENS, api_key=KEY) as users:
        config = GatewayConfig(
            user_service=UserServiceConfig(api_key=KEY, url=users.url, timeout_s=timeout_s),
            redis=RedisConfig(url=redis_url, topics=TOPICS),
            listen=listen or ListenConfig(port=0, origins=origins),
            timing=timing or TimingConfig(),
            outbox=outbox or OutboxConfig(),
            limits=limits or LimitsConfig(),
            drain=drain or DrainConfig(),
            tls=None if tls is None else tls.config,
        )
        engine = PlayedEngine(broker)
        async with (
            broker.serve(engine, range(TOPICS)),
            gateway(config, broker, clock=clock, registry=registry, version="test") as serving,
        ):
            await engine.start()
            yield Service(serving.port, broker, engine, users, registry, serving.checks, serving, tls)
