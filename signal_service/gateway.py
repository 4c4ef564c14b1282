"""``signal-service gateway``: one gateway process."""

import argparse
import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.app import gateway
from gateway.config import GatewayConfig
from gateway.websocket import PATH
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.config import load_config
from runtime.lifecycle import Stop, run
from runtime.logs import configure_logs
from signal_service.arguments import memory_only
from signal_service.version import VERSION
from standins.broker import MemoryBroker
from wire.market import NS_PER_S

EXAMPLE: Final = """example:
  INTERNAL_API_KEY=secret signal-service gateway --config gateway.toml

gateway.toml:
  [redis]
  url = "memory://"
  [user_service]
  url = "http://127.0.0.1:8100"
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "gateway",
        help="run a gateway",
        description="Runs a gateway. In this version its bus is of this process alone (memory://), so it knows no "
        "instruments: it serves to try the protocol; `demo` has an engine as well.",
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
    memory_only(config.redis.url)
    if arguments.check:
        print("the configuration is valid")
        return 0
    configure_logs()
    return run(lambda stop: _serve(config, stop))


async def _serve(config: GatewayConfig, stop: Stop) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    broker = MemoryBroker(topics=config.redis.topics, monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S)
    async with gateway(config, broker, clock=clock, registry=registry, version=VERSION) as running:
        checks = running.checks
        async with Admin(host=config.admin.host, port=config.admin.port, registry=registry, checks=checks) as admin:
            print(f"admin at http://{config.admin.host}:{admin.port}")
            print(f"gateway at ws://{config.listen.host}:{running.port}{PATH}", flush=True)
            await stop.wait()
