"""The catalogue as text for a terminal. Pure; no I/O."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from wire.catalogue import Parameter
from wire.indicator_listing import CORE, IndicatorEntry, NamedEntry
from wire.program import NEVER
from wire.talib_entry import KINDS


def listing_text(
    series: Iterable[NamedEntry], functions: Iterable[NamedEntry], indicators: Iterable[IndicatorEntry]
) -> str:
    """What a user has to know of each, a few lines for an indicator, by group."""
    parts = [*_named("series", series), *_named("functions", functions)]
    for group, members in groupby(indicators, lambda entry: entry.group):
        parts.append(f"{'core indicators' if group == CORE else f'TA-Lib: {group}'}\n")
        parts += [f"{description(entry)}\n" for entry in members]
    return "\n".join(parts).rstrip("\n")


def description(entry: IndicatorEntry) -> str:
    """What a user has to know of one indicator."""
    lines = [f"{entry.name:28} {entry.title}"]
    if entry.parameters:
        lines.append(f"    parameters: {', '.join(map(parameter_text, entry.parameters))}")
    if any(parameter.name.endswith("matype") for parameter in entry.parameters):
        lines.append(f"    kinds of average: {KINDS}")
    if entry.outputs:
        lines.append(f"    outputs: {', '.join(f'.{name}' for name in entry.outputs)}")
    lines.append(f"    reads: {', '.join(entry.reads)}")
    settled = "never settled" if entry.unstable_bars >= NEVER else f"settled after {entry.unstable_bars}"
    lines.append(f"    warm-up: {entry.warm_up_bars} bars without a value, {settled}")
    lines += [f"    differs: {difference}" for difference in entry.differences]
    lines.append(f"    source: {entry.source}")
    return "\n".join(lines)


def called(entry: NamedEntry | IndicatorEntry) -> str:
    """The name alone, without arguments."""
    return entry.name.partition("(")[0]


def parameter_text(parameter: Parameter) -> str:
    """``length=14 (1 to 5000)``."""
    kind = "" if parameter.whole else ", any number"
    return f"{parameter.name}={parameter.default:g} ({parameter.low:g} to {parameter.high:g}{kind})"


def _named(title: str, entries: Iterable[NamedEntry]) -> Iterator[str]:
    lines = [f"{entry.name:28} {entry.title}" for entry in entries]
    if lines:
        yield "\n".join((title, "", *lines, ""))
