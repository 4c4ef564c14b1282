"""Builds and joins the parts of a gateway; the only place that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry

from gateway.broker import Broker
from gateway.broker_redis import RedisBroker
from gateway.clients import Clients
from gateway.config import GatewayConfig
from gateway.connection import Parts
from gateway.directory import Directory
from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.relay import Relay
from gateway.round import Round
from gateway.server import serve
from gateway.user_service import UserService
from gateway.websocket import text_frame
from runtime.clock import Clock
from runtime.redis_config import RedisConfig, server_url
from wire import codec_json
from wire.market import NS_PER_S

PROBE_PERIOD_S: Final = 5.0

log = structlog.get_logger("gateway")


class RunningGateway(Struct, frozen=True):
    """A gateway that serves: the port it is bound to, and `checks` that say why it is not ready."""

    port: int
    checks: Mapping[str, Callable[[], str | None]]


def redis_broker(config: RedisConfig) -> RedisBroker:
    """The bus that `config` names; to be entered before it is used. Raises ConfigError."""
    return RedisBroker(server_url(config), topics=config.topics, prefix=config.prefix)


@asynccontextmanager
async def gateway(
    config: GatewayConfig, broker: Broker, *, clock: Clock, registry: CollectorRegistry, version: str
) -> AsyncIterator[RunningGateway]:
    """Serve from entering to leaving; on leaving, every client is closed with 3001.

    Raises ListenError when the address cannot be bound.
    """
    metrics = GatewayMetrics(registry)
    hub = Hub(lambda spelling, payload, offset: text_frame(codec_json.encode_publication(spelling, payload, offset)))
    rounds = Round(hub, metrics)
    metrics.channels.set_function(lambda: len(hub))
    users = UserService(
        config.user_service.url,
        api_key=config.user_service.api_key,
        clock=clock,
        timeout_s=config.user_service.timeout_s,
        probe_s=PROBE_PERIOD_S,
    )
    async with users, asyncio.TaskGroup() as tasks:
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
            clients=Clients(metrics),
            metrics=metrics,
            users=users,
            directory=Directory(broker, lambda: clock.monotonic_ns() / NS_PER_S),
            clock=clock,
            tasks=tasks,
            topics=config.redis.topics,
        )
        running = tasks.create_task(relay.run(), name="gateway.relay")
        checks = {"bus": lambda: relay.unready, "user_service": lambda: users.unavailable}
        async with broker.listen(relay):
            async with serve(config.listen, config.timing, config.outbox, parts, version) as port:
                log.info("gateway.started", host=config.listen.host, port=port)
                yield RunningGateway(port, checks)
            running.cancel()
            relay.stop()
    log.info("gateway.stopped")
