"""``signal-service indicators``: prints the catalogue, as it is."""

import argparse

from signal_service.errors import UsageError
from wire import expression
from wire.catalogue import INDICATORS, Indicator
from wire.program_builder import build_program


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
    wanted = {name.lower() for name in arguments.names}
    known = {entry.name for entry in INDICATORS}
    if unknown := sorted(wanted - known):
        raise UsageError(f"unknown indicator {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    for entry in INDICATORS:
        if not wanted or entry.name in wanted:
            print(describe(entry))
    return 0


def describe(entry: Indicator) -> str:
    """What a user has to know about one indicator, in a few lines of text."""
    program = build_program(expression.parse(entry.name))
    lines = [f"{_form(entry):42} {entry.title}"]
    if entry.outputs:
        lines.append(f"    outputs: {', '.join(f'.{name}' for name in entry.output_names)}")
    lines.append(f"    warm-up: {program.warm_up_bars} bars without a value, {program.unstable_bars} until settled")
    lines += [f"    differs: {difference}" for difference in entry.differences]
    lines.append(f"    source: {entry.source}")
    return "\n".join(lines)


def _form(entry: Indicator) -> str:
    """How it is called, with what is filled in when left out: ``rsi(close, length=14)``."""
    arguments = [] if entry.series is None else [entry.series]
    arguments += [f"{parameter.name}={parameter.default:g}" for parameter in entry.parameters]
    return f"{entry.name}({', '.join(arguments)})" if arguments else entry.name
