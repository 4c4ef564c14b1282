"""How entries of TA-Lib's functions are written down: their parameters, their averages and what they read. No I/O."""

from typing import Final, TypedDict, Unpack

from msgspec.structs import replace

from wire.catalogue_types import Indicator, Parameter

SOURCE: Final = "TA-Lib"

KINDS: Final = "0 sma, 1 ema, 2 wma, 3 dema, 4 tema, 5 trima, 6 kama, 7 mama, 8 t3"
"""What the number of a kind of average (`matype`) means, as in TA-Lib."""

KAMA_UNSTABLE: Final = 5_000
"""Its slowest weight is (2/31)²: what is left of the seed after so many bars without a trend is 1e-9."""

MAMA_UNSTABLE: Final = 2_600
"""At its default limits: 1,000 for the cycle (see HILBERT_UNSTABLE) and 80 / 0.05 for the slower average."""

HILBERT_UNSTABLE: Final = "1000"
"""Bars in which Hilbert transforms of moving markets meet; 350 were measured for 1e-9."""

HILBERT_DIFFERENCE: Final = "after bars without any movement it may never meet what a longer history gives"

OHLC: Final = ("open", "high", "low", "close")
HLC: Final = ("high", "low", "close")
HIGH_LOW: Final = ("high", "low")
OF_SERIES: Final = ("x",)


class More(TypedDict, total=False):
    """What not every entry has; see Indicator."""

    unstable: str
    output_list: tuple[str, ...]
    differences: tuple[str, ...]


def entry(
    function: str,
    title: str,
    inputs: tuple[str, ...],
    parameters: tuple[Parameter, ...] = (),
    lookback: str = "0",
    **more: Unpack[More],
) -> Indicator:
    """The entry of TA-Lib's `function`, under its name in lower case; OF_SERIES takes a series, the close if none."""
    return Indicator(
        name=function.lower(),
        title=title,
        series="close" if "x" in inputs else None,
        parameters=parameters,
        source=SOURCE,
        function=function,
        inputs=inputs,
        lookback=lookback,
        **more,
    )


def grouped(group: str, *entries: Indicator) -> tuple[Indicator, ...]:
    """The entries, in a family of TA-Lib."""
    return tuple(replace(member, group=group) for member in entries)


def whole(name: str, default: int, low: int = 2) -> Parameter:
    """A number of bars."""
    return Parameter(name, default, low)


def length(default: int, low: int = 2) -> tuple[Parameter, ...]:
    """The one parameter of most functions."""
    return (whole("length", default, low),)


def real(name: str, default: float, low: float, high: float) -> Parameter:
    """A number that need not be whole."""
    return Parameter(name, default, low, high, whole=False)


def kind(name: str, default: int) -> Parameter:
    """A kind of average, one of KINDS."""
    return Parameter(name, default, 0, 8)


def plain_kind(name: str) -> Parameter:
    """A kind of average, one of the first six: where there are three, a lookback has no room for the others."""
    return Parameter(name, 0, 0, 5)


def average_lookback(n: str, matype: str) -> str:
    """The bars before the first value of an average of that kind over n bars."""
    stages = f"1 + ({matype} == 3) + 2 * ({matype} == 4) + 5 * ({matype} == 8)"
    others = f"({matype} == 6) + ({matype} == 7) * (33 - {n})"
    return f"({n} > 1) * (({n} - 1) * ({stages}) + {others})"


def average_unstable(n: str, matype: str) -> str:
    """The bars after those that still show where history began."""
    multiple = f"20 * ({matype} == 1) + 40 * ({matype} == 3) + 60 * ({matype} == 4) + 60 * ({matype} == 8)"
    return f"({n} > 1) * ({n} * ({multiple}) + {KAMA_UNSTABLE} * ({matype} == 6) + {MAMA_UNSTABLE} * ({matype} == 7))"


def plain_lookback(n: str) -> str:
    """The same for a plain kind."""
    return f"({n} - 1) * (1 + ({n}_matype == 3) + 2 * ({n}_matype == 4))"


def plain_unstable(n: str) -> str:
    """The same for a plain kind."""
    return f"{n} * (20*({n}_matype==1) + 40*({n}_matype==3) + 60*({n}_matype==4))"
