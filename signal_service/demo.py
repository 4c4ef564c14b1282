"""``signal-service demo``: everything in one process, for somebody who wants to see it."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from engine.feeds.feed import Feed
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.lifecycle import Stop, run
from runtime.logs import LogConfig, configure_logs
from signal_service.arguments import FEED_HELP, port
from signal_service.feeds import live_feeds
from signal_service.version import VERSION
from standins.demo import TOKEN, demo

EXAMPLE: Final = """example:
  signal-service demo --feed replay:recording.gz,speed=10
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="run everything in one process and see it at once",
        description="Runs ticks, engine, gateway and a user service in one process. Needs nothing but Python; prints "
        "the address, a token and a line to paste.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=port, default=8000, help="the gateway's port (default 8000)")
    parser.add_argument("--admin-port", type=port, default=8001, help="the admin port (default 8001)")
    parser.add_argument("--feed", action="append", metavar="FEED", help=f"{FEED_HELP} (default synthetic)")
    parser.add_argument("--verbose", action="store_true", help="log every event, not only warnings")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    configure_logs(LogConfig(level="info" if arguments.verbose else "warning"))
    feeds = live_feeds(arguments.feed or ["synthetic"])
    return run(lambda stop: _serve(arguments, feeds, stop))


async def _serve(arguments: argparse.Namespace, feeds: Sequence[Feed], stop: Stop) -> None:
    clock, registry = SystemClock(), CollectorRegistry()
    async with (
        demo(
            feeds, host=arguments.host, port=arguments.port, clock=clock, registry=registry, version=VERSION
        ) as running,
        Admin(host=arguments.host, port=arguments.admin_port, registry=registry, checks=running.checks) as admin,
    ):
        print(_greeting(arguments.host, running.port, admin.port, feeds), flush=True)
        await stop.wait()
        print("closing", flush=True)


def _greeting(host: str, gateway_port: int, admin_port: int, feeds: Sequence[Feed]) -> str:
    """What a newcomer has to know, with a line that works when it is pasted into the same directory."""
    url = f"ws://{host}:{gateway_port}/connection/websocket"
    feed = feeds[0]
    instrument = f"{feed.venue}:{feed.instruments[0]}"
    command = [*_program(), "subscribe", f"signals:{instrument}@1s:rsi(14)", f"bars:{instrument}@1s"]
    if gateway_port != 8000 or host != "127.0.0.1":
        command += ["--url", url]
    symbols = sum(len(each.instruments) for each in feeds)
    return "\n".join(
        (
            f"Signal Service {VERSION}: {symbols} instruments of {', '.join(each.venue for each in feeds)}",
            f"  subscribe at  {url}",
            f"  with token    {TOKEN}",
            f"  admin at      http://{host}:{admin_port}/ready and /metrics",
            "Paste this into another terminal:",
            f"  {shlex.join(command)}",
        )
    )


def _program() -> list[str]:
    """The command as it can be typed here: the one that was started, relative to the working directory."""
    program = Path(sys.argv[0])
    if program.name != "signal-service":
        return [sys.executable, "-m", "signal_service"]
    try:
        return [str(program.absolute().relative_to(Path.cwd()))]
    except ValueError:
        return [str(program.absolute())]
