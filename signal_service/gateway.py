"""``signal-service gateway``: one gateway process."""

import argparse
import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.app import gateway, redis_broker
from gateway.broker import Bus
from gateway.config import GatewayConfig
from gateway.tls import load_context
from gateway.websocket import PATH
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.errors import ConfigError, ServiceError
from runtime.heap import tend
from runtime.lifecycle import Stop, StopCause, on_hangup, run
from runtime.logs import configure_logs
from runtime.redis_config import MEMORY, RedisConfig
from signal_service.version import VERSION
from standins.broker import MemoryBroker
from wire.market import NS_PER_S

PRODUCTION: Final = "production"
"""What ENVIRONMENT says where strangers come."""
EXAMPLE: Final = """example:
  INTERNAL_API_KEY=secret signal-service gateway --config gateway.toml

gateway.toml:
  [redis]
  url = "redis://127.0.0.1:6379"
  [user_service]
  url = "http://127.0.0.1:8100"
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "gateway",
        help="run a gateway",
        description="Runs a gateway: subscribers over WebSocket on one side, Redis on the other. Any number of them "
        "serve side by side; a client goes on at another where it was.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML; SIGNAL_<TABLE>_<KEY> is over it")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration is valid")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(
        GatewayConfig,
        environment=os.environ,
        path=arguments.config,
        aliases={"INTERNAL_API_KEY": "user_service.api_key"},
    )
    _check(config, os.environ)
    broker = _broker(config.redis)
    if arguments.check:
        print("the configuration is valid")
        return 0
    configure_logs()
    return run(lambda stop: _serve(config, broker, stop))


def _check(config: GatewayConfig, environment: Mapping[str, str]) -> None:
    """Check what a configuration rests on. Raises ConfigError."""
    if "*" in config.listen.origins and environment.get("ENVIRONMENT", "").strip().lower() == PRODUCTION:
        raise ConfigError(
            f"listen.origins: expected the pages that may connect where ENVIRONMENT is {PRODUCTION}, found '*'"
        )
    if config.tls is not None:
        load_context(config.tls)


def _broker(config: RedisConfig) -> AbstractAsyncContextManager[Bus]:
    """The bus that a configuration names; its process's own for ``memory://``. Raises ConfigError."""
    if config.url == MEMORY:
        return nullcontext(MemoryBroker(topics=config.topics, monotonic_s=lambda: time.monotonic_ns() / NS_PER_S))
    return redis_broker(config)


async def _serve(config: GatewayConfig, opening: AbstractAsyncContextManager[Bus], stop: Stop) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    grace = asyncio.timeout(None)
    try:
        async with (
            grace,
            asyncio.TaskGroup() as tasks,
            opening as broker,
            gateway(config, broker, clock=clock, registry=registry, version=VERSION) as running,
            Admin(
                host=config.admin.host,
                port=config.admin.port,
                registry=registry,
                checks=running.checks,
                routes=running.routes,
            ) as admin,
        ):
            scheme = "ws" if config.tls is None else "wss"
            print(f"gateway at {scheme}://{config.listen.host}:{running.port}{PATH}")
            print(f"admin at http://{config.admin.host}:{admin.port}", flush=True)
            with on_hangup(running.reload):
                tending = tasks.create_task(tend(running.census), name="gateway.heap")
                cause = await stop.wait()
                tending.cancel()
                if cause is StopCause.TERMINATED:
                    grace.reschedule(asyncio.get_running_loop().time() + config.drain.grace_s)
                    await running.drain(stop.hurried)
    except TimeoutError as error:
        if not grace.expired():
            raise
        reason = f"gateway: expected to have left within drain.grace_s = {config.drain.grace_s:g}, found it leaving"
        raise ServiceError(reason) from error
