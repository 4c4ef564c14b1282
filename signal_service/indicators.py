"""``signal-service indicators``: prints the catalogue, as it is."""

import argparse
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from signal_service.errors import UsageError
from signal_service.indicator_page import indicator_page
from signal_service.indicator_text import called, description, listing_text
from wire.indicator_listing import (
    IndicatorEntry,
    NamedEntry,
    function_listing,
    indicator_listing,
    series_listing,
)

Entry = TypeVar("Entry", NamedEntry, IndicatorEntry)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "indicators",
        help="print the indicators that expressions may use",
        description="Prints every series, function and indicator: parameters with their defaults, outputs, the bars "
        "before the first value (warm-up) and until a value no longer depends on where history began (settled).",
        epilog="example:\n  signal-service indicators macd\n  signal-service indicators --format json rsi cdldoji\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument(
        "--format", choices=("text", "json", "markdown"), default="text", help="markdown is docs/indicators.md, whole"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.format == "markdown":
        if arguments.names:
            raise UsageError("expected no names with --format markdown: it is the whole page")
        print(indicator_page(), end="")
        return 0
    wanted = [name.lower() for name in arguments.names]
    series, functions, indicators = series_listing(), function_listing(), indicator_listing()
    known = {*map(called, series), *map(called, functions), *map(called, indicators)}
    for name in wanted:
        if name not in known:
            raise UsageError(f"unknown name {name!r}; see signal-service indicators for all of them")
    chosen = _chosen(series, wanted), _chosen(functions, wanted), _chosen(indicators, wanted)
    if arguments.format == "json":
        told = dict(zip(("series", "functions", "indicators"), chosen, strict=True))
        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    elif wanted:
        print("\n".join([*(f"{e.name:28} {e.title}" for e in (*chosen[0], *chosen[1])), *map(description, chosen[2])]))
    else:
        print(listing_text(*chosen))
    return 0


def _chosen(entries: Sequence[Entry], wanted: Sequence[str]) -> list[Entry]:
    """Those that are wanted, in that order; all if none is named."""
    by_name = {called(entry): entry for entry in entries}
    return [by_name[name] for name in wanted or by_name if name in by_name]
