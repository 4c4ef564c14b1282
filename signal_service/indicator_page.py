"""The catalogue as a page: docs/indicators.md. Pure; no I/O."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, groupby
from typing import Final

from signal_service.indicator_text import called, parameter_text
from wire import catalogue
from wire.catalogue import Formula, Indicator
from wire.indicator_listing import (
    CORE,
    IndicatorEntry,
    function_listing,
    indicator_listing,
    series_listing,
)
from wire.program import NEVER
from wire.talib_entry import KINDS
from wire.talib_functions import LEFT_OUT

COMMAND: Final = "signal-service indicators --format markdown > docs/indicators.md"

_INTRODUCTION: Final = """\
What the EXPRESSION of a `signals`, `alerts` or `screens` channel may use; the channels are in
[protocol.md](protocol.md). Also printed by `signal-service indicators [NAME...]`, as text, as JSON, or as this page.

- **Arguments** stand by place or by name, and what is left out has its default: `rsi`, `rsi(14)`, `rsi(close, 14)` and
  `rsi(length=14)` are one. A first argument that is no number is the series that an indicator is taken of:
  `ema(rsi(14), 9)`. Tables show each indicator with all its defaults.
- **Outputs** are taken by name, `macd.hist`. A channel of the bare indicator gives them all.
- **Warm-up** is how many bars of an instrument pass before the first value; **settled**, how many before a value no
  longer depends on where history began. Until then it is published with `settled: false`. Both are of the defaults.
- `x / 0` is 0. A bar without a trade is flat at the last close, with volume 0.
- Operators: `+ - * /`, `> < >= <= == !=`, `and or not`, and `x[3]` for the value three bars ago.
"""

_DETAILS: Final = """\
Where `computed as` is given it is the whole of it: `x` is the series, the other names are parameters, lines above, and
other indicators. The few functions that are not in the tables are told at the top of `wire/catalogue.py`.
"""

_TALIB: Final = f"""\
All else that [TA-Lib](https://ta-lib.org) 0.8 has, under its names in lower case, computed by TA-Lib itself, one handle
for each instrument that somebody watches: the same bits as its batch functions over all of an instrument's bars. After
a restart handles are opened again from the newest bars, 10,000 at most: within 1e-9 of what they were, if settled. An
infinite value is none. A name that the core set has too is the core set's.

- A kind of average (`matype`) is a number: {KINDS}.
- Candlestick patterns are 100 where one is seen, -100 where it is a bearish one, some 200, and else 0:
  `cdlengulfing > 0` is a condition.
"""

_TALIB_HEAD: Final = ("function", "what", "parameters", "reads", "outputs", "warm-up", "settled")


def indicator_page() -> str:
    """The whole page."""
    entries = indicator_listing()
    core = [entry for entry in entries if entry.group == CORE]
    talib = [entry for entry in entries if entry.group != CORE]
    parts = [
        f"<!-- Made by `{COMMAND}`; changes belong into the catalogue, wire/catalogue.py. -->",
        "# Indicators",
        _INTRODUCTION.rstrip(),
        "## Series",
        _table(("series", "what"), ((f"`{each.name}`", each.title) for each in series_listing())),
        "## Functions",
        _table(("function", "what"), ((f"`{each.name}`", each.title) for each in function_listing())),
        "## Core indicators",
        _table(("indicator", "what", "outputs", "warm-up", "settled"), map(_core_row, core)),
        "## Core indicators, one by one",
        _DETAILS.rstrip(),
        *(part for entry in core for part in _details(entry)),
        "## TA-Lib's functions",
        _TALIB.rstrip(),
        *(part for group, members in groupby(talib, lambda entry: entry.group) for part in _group(group, members)),
        "### Left out",
        _table(("function", "why"), ((f"`{name}`", reason) for name, reason in LEFT_OUT.items())),
    ]
    return "\n\n".join(parts) + "\n"


def _core_row(entry: IndicatorEntry) -> tuple[str, ...]:
    link = f"[`{entry.name}`](#{called(entry)})"
    return link, entry.title, _outputs(entry), str(entry.warm_up_bars), _settled(entry)


def _details(entry: IndicatorEntry) -> Iterator[str]:
    """The part about one core indicator."""
    yield f"### {called(entry)}"
    yield f"{entry.title}: `{entry.name}`. Reads {', '.join(entry.reads)}."
    if entry.parameters:
        yield "\n".join(f"- `{parameter.name}`: {_range(parameter_text(parameter))}" for parameter in entry.parameters)
    if entry.outputs:
        yield f"Outputs: {_outputs(entry)}."
    yield f"Warm-up {entry.warm_up_bars} bars, settled after: {_settled(entry)}."
    indicator = catalogue.indicator(called(entry))
    if indicator is not None:
        yield "Computed as\n\n```\n" + "\n".join(_formulas(indicator)) + "\n```"
    if entry.differences:
        yield "Differs:\n\n" + "\n".join(f"- {difference}" for difference in entry.differences)
    yield f"Source: {entry.source}"


def _formulas(indicator: Indicator) -> Iterator[str]:
    outputs = indicator.outputs or (Formula(indicator.name, indicator.definition),)
    for formula in (*indicator.where, *outputs):
        yield f"{formula.name} = {formula.definition}"


def _group(group: str, entries: Iterable[IndicatorEntry]) -> Iterator[str]:
    """The part about one group of TA-Lib."""
    members = list(entries)
    yield f"### {group}"
    rows = [_talib_row(entry) for entry in members]
    told = [any(column) for column in zip(*rows, strict=True)]
    yield _table(list(compress(_TALIB_HEAD, told)), (list(compress(row, told)) for row in rows))
    texts = dict.fromkeys(text for entry in members for text in entry.differences)
    if texts:
        yield "\n".join(
            f"- {_names(entry for entry in members if text in entry.differences)}: {text}" for text in texts
        )


def _talib_row(entry: IndicatorEntry) -> tuple[str, ...]:
    parameters = "<br>".join(f"`{p.name}` {_range(parameter_text(p))}" for p in entry.parameters)
    reads = "a series" if _takes_series(entry) else ", ".join(entry.reads)
    bars = str(entry.warm_up_bars), _settled(entry)
    return f"`{entry.name}`", entry.title, parameters, reads, _outputs(entry), *bars


def _names(entries: Iterable[IndicatorEntry]) -> str:
    return ", ".join(f"`{called(entry)}`" for entry in entries)


def _takes_series(entry: IndicatorEntry) -> bool:
    indicator = catalogue.indicator(called(entry))
    return indicator is not None and indicator.series is not None


def _settled(entry: IndicatorEntry) -> str:
    return "never" if entry.unstable_bars >= NEVER else str(entry.unstable_bars)


def _range(text: str) -> str:
    """``14 (1 to 5000)`` of ``length=14 (1 to 5000)``."""
    return text.partition("=")[2]


def _outputs(entry: IndicatorEntry) -> str:
    return " ".join(f"`.{name}`" for name in entry.outputs)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
