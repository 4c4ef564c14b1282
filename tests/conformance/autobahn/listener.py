"""A whole gateway whose connections echo: what reads sockets is the product's own, only the commands are left out.

Nothing but a test can make one: no configuration of a gateway names it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import CollectorRegistry
from websockets.frames import Frame, Opcode

from gateway.app import gateway
from gateway.config import NO_LIMITS, GatewayConfig, ListenConfig, OutboxConfig, TimingConfig, UserServiceConfig
from gateway.connection import Connection, Parts
from gateway.executor import Executor
from gateway.form import JSON, PROTOBUF
from gateway.session import Session
from gateway.websocket import WebSocket
from runtime.clock import SystemClock
from runtime.redis_config import RedisConfig
from runtime.secret import Secret
from standins.broker import MemoryBroker

MAX_ECHO_BYTES: Final = 4 * 1024 * 1024
"""Some of the suite's messages are longer than the 64 KiB that the product takes."""
FOR_EVER_S: Final = 3600


class EchoSocket(WebSocket):
    """Takes text and binary, of whatever size the suite sends; a message has its opcode before it."""

    def __init__(self) -> None:
        super().__init__(None, MAX_ECHO_BYTES)

    def _join(self, frame: Frame) -> bytes | None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self.form = JSON if frame.opcode is Opcode.TEXT else PROTOBUF
        message = super()._join(frame)
        return None if message is None else bytes((self.form.opcode,)) + message


class EchoExecutor(Executor):
    """Sends every message back as it came."""

    def receive(self, message: bytes) -> None:
        """Send it back."""
        self._client.send(Frame(Opcode(message[0]), message[1:]).serialize(mask=False))


class EchoConnection(Connection):
    """A connection in which nobody has to connect."""

    def __init__(self, config: GatewayConfig, parts: Parts, address: str | None) -> None:
        session = Session("echo", version="test", ping_s=FOR_EVER_S, default_subscriptions=1)
        super().__init__(EchoSocket(), session, parts, config.timing, FOR_EVER_S, config.outbox)
        self._executor = EchoExecutor(session, parts, self)
        self.address = address


def echoes(config: GatewayConfig, parts: Parts, version: str) -> Callable[[str | None], asyncio.Protocol]:
    """Make a connection that echoes out of every socket."""
    return lambda address: EchoConnection(config, parts, address)


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """Echo from entering to leaving, on the port that this yields."""
    clock = SystemClock()
    config = GatewayConfig(
        user_service=UserServiceConfig(api_key=Secret("never asked")),
        redis=RedisConfig(url="memory://", topics=1),
        listen=ListenConfig(port=0, origins=("*",)),
        timing=TimingConfig(connect_s=FOR_EVER_S),
        outbox=OutboxConfig(queue_bytes=4 * MAX_ECHO_BYTES),
        limits=NO_LIMITS,
    )
    broker = MemoryBroker(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
    registry = CollectorRegistry()
    async with gateway(config, broker, clock=clock, registry=registry, version="test", connect=echoes) as serving:
        yield serving.port
