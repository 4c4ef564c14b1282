"""``signal-service indicators``: prints the catalogue, as it is."""

import argparse

from signal_service.errors import UsageError
from wire.indicator_listing import IndicatorEntry, indicator_listing


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "indicators",
        help="print the indicators that expressions may use",
        description="Prints every indicator: its parameters with their defaults, its outputs, the bars that it needs "
        "before its first value (warm-up) and until that value no longer depends on where history began (settled).",
        epilog="example:\n  signal-service indicators macd\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    entries = {_called(entry): entry for entry in indicator_listing()}
    wanted = [name.lower() for name in arguments.names] or list(entries)
    for name in wanted:
        if name not in entries:
            raise UsageError(f"unknown indicator {name!r}; expected one of {', '.join(entries)}")
    for name in wanted:
        print(_description(entries[name]))
    return 0


def _called(entry: IndicatorEntry) -> str:
    return entry.name.partition("(")[0]


def _description(entry: IndicatorEntry) -> str:
    """What a user has to know about one indicator, in a few lines of text."""
    lines = [f"{entry.name:28} {entry.title}"]
    if entry.parameters:
        parameters = (f"{p.name}={p.default:g} ({p.low:g} to {p.high:g})" for p in entry.parameters)
        lines.append(f"    parameters: {', '.join(parameters)}")
    if entry.outputs:
        lines.append(f"    outputs: {', '.join(f'.{name}' for name in entry.outputs)}")
    lines.append(f"    warm-up: {entry.warm_up_bars} bars without a value, {entry.unstable_bars} until it is settled")
    lines += [f"    differs: {difference}" for difference in entry.differences]
    lines.append(f"    source: {entry.source}")
    return "\n".join(lines)
