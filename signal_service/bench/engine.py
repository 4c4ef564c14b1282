"""``signal-service bench engine``: every row of the engine's speed table, on this machine, with its baselines."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from types import MappingProxyType
from typing import Final

from runtime.redis_config import RedisConfig, server_url
from signal_service.bench.figures import Figure
from signal_service.bench.reporting import chosen, report
from signal_service.bench.scale import Scale

ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fold": "bar_rows",
        "parse": "bar_rows",
        "burst": "graph_rows",
        "midnight": "graph_rows",
        "encode": "venue_rows",
        "peek": "graph_rows",
        "tick": "live_rows",
        "subscribe": "live_rows",
        "cold": "graph_rows",
        "snapshot": "memory_rows",
        "accuracy": "graph_rows",
        "load": "load",
        "strangers": "memory_rows",
    }
)
"""Each row, and the module of the function that measures it."""

_MEASURE_MEMORY: Final = frozenset({"load", "strangers"})
"""Rows that need a process in which nothing was measured before."""

EXAMPLE: Final = """example:
  signal-service bench engine                                  every row, about three minutes
  signal-service bench engine burst cold --json figures.json
  signal-service bench engine load --minutes 10 --channels 50000 --redis redis://127.0.0.1:6379
"""


def add_to(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the part to the command line."""
    parser = parts.add_parser(
        "engine",
        help="the engine's speed table",
        description="Measures rows of the engine's speed table and prints each figure beside its goal. The rows: "
        f"{', '.join(ROWS)}.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures say little")
    parser.add_argument("--json", metavar="FILE", help="write the report there as JSON, - for standard output alone")
    parser.add_argument("--instruments", type=_count, default=Scale().instruments, metavar="N", help="(default 5000)")
    load = parser.add_argument_group("of the row load")
    load.add_argument("--channels", type=_count, default=Scale().channels, metavar="N", help="wanted (default 10000)")
    load.add_argument("--rate", type=_count, default=Scale().ticks_per_s, metavar="N", help="ticks/s (default 100000)")
    load.add_argument("--minutes", type=float, metavar="N", help="how long it is watched (default 20 s)")
    load.add_argument("--redis", metavar="URL", help="publish there (default: a bus in memory)")
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def _run(arguments: argparse.Namespace) -> int:
    scale = _scale(arguments)
    report(chosen(arguments.rows, ROWS), lambda name: _measured(name, scale), arguments.json, quick=scale.quick)
    return 0


def _scale(arguments: argparse.Namespace) -> Scale:
    if arguments.redis is not None:
        server_url(RedisConfig(url=arguments.redis))
    measured_s = 1.0 if arguments.quick else Scale().measured_s
    return Scale(
        instruments=min(arguments.instruments, 200) if arguments.quick else arguments.instruments,
        quick=arguments.quick,
        channels=min(arguments.channels, 100) if arguments.quick else arguments.channels,
        ticks_per_s=min(arguments.rate, 2_000) if arguments.quick else arguments.rate,
        measured_s=measured_s if arguments.minutes is None else arguments.minutes * 60,
        redis_url=arguments.redis,
    )


def _measured(name: str, scale: Scale) -> Iterator[Figure]:
    """The figures of one row."""
    if name not in _MEASURE_MEMORY:
        yield from measure(name, scale)
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        yield from fresh.submit(measure, name, scale).result()


def measure(name: str, scale: Scale) -> Sequence[Figure]:
    """The figures of one row, in this process."""
    row: Callable[[Scale], Iterable[Figure]] = getattr(import_module(f"signal_service.bench.{ROWS[name]}"), name)
    return tuple(row(scale))
