"""Builds and joins the parts of a gateway; the only place that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry

from gateway.admin import DISCONNECT_PATH, Disconnect
from gateway.admission import Admission
from gateway.broker import Bus
from gateway.broker_redis import RedisBroker
from gateway.clients import Clients
from gateway.command_rates import connection_rates
from gateway.config import GatewayConfig
from gateway.connection import Parts
from gateway.directory import Directory
from gateway.holders import Holders
from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.relay import Relay
from gateway.revoker import Revoker
from gateway.round import Round
from gateway.server import Server, connections
from gateway.user_limits import LocalUserLimits, UserLimits, UserPlan
from gateway.user_limits_redis import RedisUserLimits
from gateway.user_service import UserService
from runtime.clock import Clock
from runtime.heap import Census
from runtime.http_server import Answer
from runtime.redis_config import MEMORY, RedisConfig, server_url
from wire.market import NS_PER_S

PROBE_PERIOD_S: Final = 5.0
Connect = Callable[[GatewayConfig, Parts, str], Callable[[str | None], asyncio.Protocol]]

log = structlog.get_logger("gateway")


class RunningGateway(Struct, frozen=True):
    """A gateway that serves: the port it is bound to, and `checks` that say why it is not ready."""

    port: int
    checks: Mapping[str, Callable[[], str | None]]
    drain: Callable[[asyncio.Event], Awaitable[None]]
    """Lead the clients away one by one, before leaving; in haste once the event is set. See DrainConfig."""
    reload: Callable[[], None]
    """Read the certificate again, for those who come from now on; without effect where there is none."""
    routes: Mapping[str, Answer]
    """What operators may ask for on the admin port, by path."""
    census: Callable[[], Census]
    """How many connections there are, and how many have gone."""


def _count(clients: Clients) -> Census:
    return Census(len(clients), clients.departed)


def redis_broker(config: RedisConfig) -> RedisBroker:
    """The bus that `config` names; to be entered before it is used. Raises ConfigError."""
    return RedisBroker(server_url(config), topics=config.topics, prefix=config.prefix)


@asynccontextmanager
async def gateway(
    config: GatewayConfig,
    broker: Bus,
    *,
    clock: Clock,
    registry: CollectorRegistry,
    version: str,
    connect: Connect = connections,
) -> AsyncIterator[RunningGateway]:
    """Serve from entering to leaving; on leaving, every client is closed with 3001.

    `connect` makes what makes connections; another one than the product's is a test's.
    Raises ListenError when the address cannot be bound, and ConfigError when the certificate cannot be used.
    """
    metrics = GatewayMetrics(registry)
    hub = Hub()
    rounds = Round(hub, metrics)
    clients, holders = Clients(metrics), Holders()
    metrics.channels.set_function(lambda: len(hub))
    users = UserService(
        config.user_service.url,
        api_key=config.user_service.api_key,
        clock=clock,
        timeout_s=config.user_service.timeout_s,
        probe_s=PROBE_PERIOD_S,
    )
    async with users, _user_limits(config, clock, metrics) as user_limits, asyncio.TaskGroup() as tasks:
        relay = Relay(
            broker,
            hub,
            topics=config.redis.topics,
            schedule_round=rounds.schedule,
            metrics=metrics,
            tasks=tasks,
        )
        metrics.subscriptions.set_function(lambda: relay.subscriptions)
        parts = Parts(
            relay=relay,
            round=rounds,
            clients=clients,
            admission=Admission(config.limits),
            rates=connection_rates(config.limits),
            metrics=metrics,
            users=users,
            holders=holders,
            user_limits=user_limits,
            directory=Directory(broker, lambda: clock.monotonic_ns() / NS_PER_S),
            clock=clock,
            tasks=tasks,
            topics=config.redis.topics,
        )
        revoker = Revoker(broker, users, holders, metrics)
        disconnect = Disconnect(config.user_service.api_key, revoker, holders)
        running = tasks.create_task(relay.run(), name="gateway.relay")
        revoking = tasks.create_task(revoker.run(), name="gateway.revoker")
        checks: dict[str, Callable[[], str | None]] = {
            "bus": lambda: relay.unready,
            "user_service": lambda: users.unavailable,
        }
        async with broker.listen(relay):
            async with Server(config, parts, connect(config, parts, version)) as server:
                log.info("gateway.started", host=config.listen.host, port=server.port)
                checks["listen"] = lambda: server.leaving
                census = partial(_count, clients)
                routes = {DISCONNECT_PATH: disconnect.answer}
                yield RunningGateway(server.port, checks, server.drain, server.reload, routes, census)
            running.cancel()
            revoking.cancel()
            relay.stop()
    log.info("gateway.stopped")


@asynccontextmanager
async def _user_limits(config: GatewayConfig, clock: Clock, metrics: GatewayMetrics) -> AsyncIterator[UserLimits]:
    """Where the connections of users are counted: among all gateways of one bus."""
    local = LocalUserLimits(UserPlan(config.limits), clock)
    if config.redis.url == MEMORY:
        yield local
        return
    url, prefix = server_url(config.redis), config.redis.prefix
    async with RedisUserLimits(url, prefix=prefix, local=local, metrics=metrics) as limits:
        yield limits
