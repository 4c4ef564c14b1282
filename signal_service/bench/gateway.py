"""``signal-service bench gateway``: every row of the gateway's speed table, on this machine, with its peers."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Final

import uvloop

from signal_service.bench.deployment import pinned
from signal_service.bench.figures import Figure
from signal_service.bench.gateway_scale import GatewayScale
from signal_service.bench.reporting import chosen, report
from signal_service.errors import CommandError, UsageError

ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "delivery-1000": "gateway_delivery",
        "delivery-5000": "gateway_delivery",
        "delivery-10000": "gateway_delivery",
        "channels": "gateway_delivery",
        "latency": "gateway_latency",
        "stalled": "gateway_latency",
        "memory-1": "gateway_capacity",
        "memory-10": "gateway_capacity",
        "handshakes": "gateway_capacity",
        "processes": "gateway_capacity",
        "unwanted": "gateway_capacity",
    }
)
"""Each row, and the module of the function that measures it."""

EXAMPLE: Final = """example:
  signal-service bench gateway                                  every row, some minutes
  signal-service bench gateway delivery-1000 --centrifugo ~/bin/centrifugo --json figures.json
"""


def add_to(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the part to the command line."""
    parser = parts.add_parser(
        "gateway",
        help="the gateway's speed table",
        description="Measures rows of the gateway's speed table and prints each figure beside its goal: a gateway "
        f"process on one core, the load on another. Needs what tests need. The rows: {', '.join(ROWS)}.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures say little")
    parser.add_argument("--json", metavar="FILE", help="write the report there as JSON, - for standard output alone")
    parser.add_argument("--centrifugo", type=Path, metavar="PATH", help="its program (default: measured without it)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    centrifugo: Path | None = arguments.centrifugo
    if centrifugo is not None and not centrifugo.is_file():
        raise UsageError(f"--centrifugo: expected a program, found none at {centrifugo}")
    names = chosen(arguments.rows, ROWS)
    scale = GatewayScale(quick=arguments.quick, centrifugo=centrifugo)
    report(names, lambda name: measure(name, scale), arguments.json, quick=scale.quick)
    return 0


def measure(name: str, scale: GatewayScale) -> Sequence[Figure]:
    """The figures of one row. Raises CommandError where it cannot be measured."""
    try:
        module = import_module(f"signal_service.bench.{ROWS[name]}")
        failed: type[Exception] = import_module("loadtest.errors").LoadTestError
    except ModuleNotFoundError as error:
        raise CommandError(f"needs what the project's tests need: {error.name} is not installed") from error
    row: Callable[[GatewayScale], Coroutine[None, None, Sequence[Figure]]] = getattr(module, name.replace("-", "_"))
    try:
        with pinned(-1), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(row(scale))
    except failed as error:
        raise CommandError(str(error)) from error
