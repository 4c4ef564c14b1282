"""``signal-service engine``: one engine process."""

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from engine.app import EngineOptions, engine, redis_bus
from engine.bus import Bus
from engine.config import EngineConfig
from engine.feeds.feed import Feed
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.lifecycle import Stop, run
from runtime.logs import configure_logs
from runtime.redis_config import MEMORY, RedisConfig
from signal_service.feeds import live_feeds
from standins.broker import MemoryBroker
from wire.market import NS_PER_S

EXAMPLE: Final = """example:
  signal-service engine --config engine.toml

engine.toml:
  [redis]
  url = "redis://127.0.0.1:6379"
  [[feeds]]
  feed = "synthetic:instruments=20,rate=200"
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "engine",
        help="run an engine",
        description="Runs an engine: feeds in, bars and signals out to Redis. It computes what subscribers of any "
        "gateway want; a second engine on the same Redis waits until this one is gone.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML; SIGNAL_<TABLE>_<KEY> over it")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration is valid")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(EngineConfig, environment=os.environ, path=arguments.config)
    bus = _bus(config.redis)
    feeds = live_feeds([each.feed for each in config.feeds])
    if arguments.check:
        print("the configuration is valid")
        return 0
    configure_logs()
    return run(lambda stop: _work(config, bus, feeds, stop))


def _bus(config: RedisConfig) -> AbstractAsyncContextManager[Bus]:
    """The bus that a configuration names; its process's own for ``memory://``. Raises ConfigError."""
    if config.url == MEMORY:
        return nullcontext(MemoryBroker(topics=config.topics, monotonic_s=lambda: time.monotonic_ns() / NS_PER_S))
    return redis_bus(config)


async def _work(
    config: EngineConfig, opening: AbstractAsyncContextManager[Bus], feeds: Sequence[Feed], stop: Stop
) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    options = EngineOptions(computing=config.computing, snapshots=config.snapshots)
    async with (
        opening as bus,
        engine(feeds, bus, topics=config.redis.topics, clock=clock, registry=registry, options=options) as running,
        Admin(host=config.admin.host, port=config.admin.port, registry=registry, checks=running.checks) as admin,
    ):
        print(f"admin at http://{config.admin.host}:{admin.port}", flush=True)
        await stop.wait()
