"""The catalogue as it is told: what `signal-service indicators`, the rpc and the documentation print. Pure; no I/O."""

from typing import Final

from msgspec import Struct

from wire.catalogue import FUNCTIONS, INDICATORS, MIXED_SERIES, PRICES, Function, Indicator, Parameter
from wire.expression_tree import Call, Series, canonical
from wire.program_builder import build_program
from wire.talib_functions import TALIB_FUNCTIONS

CORE: Final = "core"
"""The group of the indicators that are defined here; the others are TA-Lib's."""


class NamedEntry(Struct, frozen=True):
    """A series or a function: `name` as it is written, ``hl2`` or ``cross(a,b)``."""

    name: str
    title: str


class IndicatorEntry(Struct, frozen=True):
    """An indicator with its defaults.

    `name` is its canonical text, ``rsi(close,14)``; `group` is CORE or TA-Lib's; `reads` are the bar's series that it
    needs; `parameters` say what each number is and may be. Without a value are the first `warm_up_bars` of an
    instrument, not settled the first `unstable_bars` (wire.program.NEVER or more: it never is); both are of the
    defaults.
    """

    name: str
    title: str
    group: str
    reads: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    warm_up_bars: int
    unstable_bars: int
    differences: tuple[str, ...]
    source: str


def series_listing() -> tuple[NamedEntry, ...]:
    """Every series: those of the bar, and what is computed from them."""
    own = (NamedEntry(name, title) for name, title in zip(PRICES, _TITLES, strict=True))
    return (*own, *(NamedEntry(each.name, each.title) for each in MIXED_SERIES))


def function_listing() -> tuple[NamedEntry, ...]:
    """Every function."""
    return tuple(NamedEntry(_call_text(function), function.title) for function in FUNCTIONS)


def indicator_listing() -> tuple[IndicatorEntry, ...]:
    """Every indicator, in the catalogue's order: the core ones, then TA-Lib's by group."""
    return tuple(_entry(indicator) for indicator in (*INDICATORS, *TALIB_FUNCTIONS))


def _entry(indicator: Indicator) -> IndicatorEntry:
    series = None if indicator.series is None else Series(indicator.series)
    call = Call(indicator.name, series, tuple(float(parameter.default) for parameter in indicator.parameters))
    program = build_program(call)
    kernels = {operation.kernel for operation in program.operations}
    return IndicatorEntry(
        name=canonical(call),
        title=indicator.title,
        group=indicator.group or CORE,
        reads=tuple(price for price in PRICES if price in kernels),
        parameters=indicator.parameters,
        outputs=indicator.output_names,
        warm_up_bars=program.warm_up_bars,
        unstable_bars=program.unstable_bars,
        differences=indicator.differences,
        source=indicator.source,
    )


def _call_text(function: Function) -> str:
    return f"{function.name}({','.join(function.arguments)})"


_TITLES: Final = ("First price", "Highest price", "Lowest price", "Last price", "Sum of the sizes")
