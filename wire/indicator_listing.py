"""The catalogue as it is told: what `signal-service indicators`, the rpc and the documentation print. Pure; no I/O."""

from msgspec import Struct

from wire.catalogue import INDICATORS, Indicator, Parameter
from wire.expression_tree import Call, Series, canonical
from wire.program_builder import build_program


class IndicatorEntry(Struct, frozen=True):
    """An indicator with its defaults.

    `name` is its canonical text, ``rsi(close,14)``; `parameters` say what each number is and may be. Without a value
    are the first `warm_up_bars` of an instrument, not settled the first `unstable_bars`; both are of the defaults.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    warm_up_bars: int
    unstable_bars: int
    differences: tuple[str, ...]
    source: str


def indicator_listing() -> tuple[IndicatorEntry, ...]:
    """Every indicator, in the catalogue's order."""
    return tuple(_entry(indicator) for indicator in INDICATORS)


def _entry(indicator: Indicator) -> IndicatorEntry:
    series = None if indicator.series is None else Series(indicator.series)
    call = Call(indicator.name, series, tuple(float(parameter.default) for parameter in indicator.parameters))
    program = build_program(call)
    return IndicatorEntry(
        name=canonical(call),
        title=indicator.title,
        parameters=indicator.parameters,
        outputs=indicator.output_names,
        warm_up_bars=program.warm_up_bars,
        unstable_bars=program.unstable_bars,
        differences=indicator.differences,
        source=indicator.source,
    )
