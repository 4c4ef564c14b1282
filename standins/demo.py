"""The demo: engine, gateway, user service and bus in one process, with a subscriber who may see everything."""

import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry

from engine.app import engine
from engine.feeds.feed import Feed
from gateway.app import gateway
from gateway.config import GatewayConfig, LimitsConfig, ListenConfig, UserServiceConfig
from runtime.clock import Clock
from runtime.redis_config import RedisConfig
from runtime.secret import Secret
from standins.broker import MemoryBroker
from standins.user_service import TokenRecord, UserServiceStandIn
from wire.market import NS_PER_S
from wire.topics import DEFAULT_TOPICS

TOKEN: Final = "demo"  # noqa: S105 - everybody may know it
OPEN_TO_ALL: Final = LimitsConfig(
    connections=0,
    connections_per_address=0,
    handshakes_per_s=0,
    handshakes_per_address_per_s=0,
    connects_per_user_per_s=0,
)
"""Everybody comes from this machine, and everybody is the same subscriber."""
EVERYTHING: Final = TokenRecord(sub="demo", channels=("*",))


class RunningDemo(Struct, frozen=True):
    """A demo that serves: the gateway's port, and `checks` that say why it is not ready."""

    port: int
    checks: Mapping[str, Callable[[], str | None]]


@asynccontextmanager
async def demo(
    feeds: Sequence[Feed], *, host: str, port: int, clock: Clock, registry: CollectorRegistry, version: str
) -> AsyncIterator[RunningDemo]:
    """Serve `feeds` from entering to leaving; entered once the feeds' arrears are worked off."""
    broker = MemoryBroker(topics=DEFAULT_TOPICS, monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S)
    api_key = Secret(secrets.token_urlsafe(32))
    async with (
        UserServiceStandIn({TOKEN: EVERYTHING}, api_key=api_key, clock=clock) as users,
        engine(feeds, broker, topics=DEFAULT_TOPICS, clock=clock, registry=registry) as working,
    ):
        await working.caught_up.wait()
        config = GatewayConfig(
            user_service=UserServiceConfig(api_key=api_key, url=users.url),
            redis=RedisConfig(url="memory://", topics=DEFAULT_TOPICS),
            listen=ListenConfig(host=host, port=port, origins=("*",)),
            limits=OPEN_TO_ALL,
        )
        async with gateway(config, broker, clock=clock, registry=registry, version=version) as serving:
            yield RunningDemo(serving.port, {**working.checks, **serving.checks})
