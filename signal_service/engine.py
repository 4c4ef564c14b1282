"""``signal-service engine``: one engine process."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from engine.app import engine
from engine.config import EngineConfig
from engine.feeds.feed import Feed
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.lifecycle import Stop, run
from runtime.logs import configure_logs
from signal_service.arguments import memory_only
from signal_service.feeds import live_feeds
from standins.broker import MemoryBroker
from wire.market import NS_PER_S

EXAMPLE: Final = """example:
  signal-service engine --config engine.toml

engine.toml:
  [redis]
  url = "memory://"
  [[feeds]]
  feed = "synthetic:instruments=20,rate=200"
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "engine",
        help="run an engine",
        description="Runs an engine. In this version its bus is of this process alone (memory://), so nobody hears "
        "it: it serves to try feeds and configuration; `demo` has a gateway as well.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML; SIGNAL_<TABLE>_<KEY> over it")
    parser.add_argument("--check", action="store_true", help="only say whether the configuration is valid")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    config = load_config(EngineConfig, environment=os.environ, path=arguments.config)
    memory_only(config.redis.url)
    feeds = live_feeds([each.feed for each in config.feeds])
    if arguments.check:
        print("the configuration is valid")
        return 0
    configure_logs()
    return run(lambda stop: _work(config, feeds, stop))


async def _work(config: EngineConfig, feeds: Sequence[Feed], stop: Stop) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    broker = MemoryBroker(topics=config.redis.topics, monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S)
    async with engine(feeds, broker, topics=config.redis.topics, clock=clock, registry=registry) as running:
        checks = running.checks
        async with Admin(host=config.admin.host, port=config.admin.port, registry=registry, checks=checks) as admin:
            print(f"admin at http://{config.admin.host}:{admin.port}", flush=True)
            await stop.wait()
