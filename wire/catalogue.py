"""The catalogue: every series, function and indicator as data, each defined in the expression language. No I/O.

A definition speaks of its series as ``x``, of its parameters and of the names in `where` by name, and of other entries
of the catalogue. Arithmetic on parameters is done when an expression is compiled. Beside those it may use the kernels:

``smooth(x, n, a, bars)``  v + a (x - v), seeded by the mean of the first n; settled after so many bars
``sum(x, n)``  ``highest(x, n)``  ``lowest(x, n)``  over the last n bars
``moments(x, n)``  the population variance over the last n bars
``ratio(a, b, flat)``  a / b, and `flat` where b is 0 or has decayed to next to nothing
``abs(x)``  ``min(a, b)``  ``max(a, b)``  ``sqrt(x)`` (0 for a negative x)

To add an indicator is to add an entry here and its check against an oracle; nothing else names one.
"""

from types import MappingProxyType
from typing import Final

from msgspec import Struct

MAX_WINDOW: Final = 5_000
"""The longest window, and the furthest ``x[k]``, in bars."""

MAX_WARM_UP: Final = 10_000
"""The most bars that an expression may need before its first value: windows over windows add up."""


class Parameter(Struct, frozen=True):
    """A number that an indicator takes: from `low` to `high`, whole if it counts bars."""

    name: str
    default: float
    low: float = 1
    high: float = MAX_WINDOW
    whole: bool = True


class Formula(Struct, frozen=True):
    """A name and its definition: an output, or an intermediate value."""

    name: str
    definition: str


class Definition(Struct, frozen=True):
    """A named series of the bar that is computed from others."""

    name: str
    title: str
    definition: str


class Function(Struct, frozen=True, kw_only=True):
    """A function of expressions; `condition` is true of one that is 1 or 0."""

    name: str
    title: str
    arguments: tuple[str, ...]
    definition: str
    condition: bool = False


class Indicator(Struct, frozen=True, kw_only=True):
    """An indicator. `series` is what it is taken of by default, None if it reads the bar and takes no series.

    Either `definition` is given, or `outputs` when it has several. `differences` says where TA-Lib or TradingView
    answer something else, `source` where the formula comes from.
    """

    name: str
    title: str
    series: str | None = "close"
    parameters: tuple[Parameter, ...] = ()
    definition: str = ""
    where: tuple[Formula, ...] = ()
    outputs: tuple[Formula, ...] = ()
    differences: tuple[str, ...] = ()
    source: str

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs; () for an indicator with one value."""
        return tuple(output.name for output in self.outputs)


PRICES: Final = ("open", "high", "low", "close", "volume")
"""The series that a bar has."""

MIXED_SERIES: Final = (
    Definition("hl2", "Middle of the bar", "(high + low) / 2"),
    Definition("hlc3", "Typical price", "(high + low + close) / 3"),
    Definition("ohlc4", "Average price", "(open + high + low + close) / 4"),
)

FUNCTIONS: Final = (
    Function(name="abs", title="Without its sign", arguments=("x",), definition="abs(x)"),
    Function(name="min", title="The smaller of two", arguments=("a", "b"), definition="min(a, b)"),
    Function(name="max", title="The larger of two", arguments=("a", "b"), definition="max(a, b)"),
    Function(
        name="crossover",
        title="a is above b, and was not one bar ago",
        arguments=("a", "b"),
        definition="a > b and not (a > b)[1]",
        condition=True,
    ),
    Function(
        name="crossunder",
        title="a is below b, and was not one bar ago",
        arguments=("a", "b"),
        definition="a < b and not (a < b)[1]",
        condition=True,
    ),
    Function(
        name="cross",
        title="a has crossed b, upwards or downwards",
        arguments=("a", "b"),
        definition="crossover(a, b) or crossunder(a, b)",
        condition=True,
    ),
)


def _length(default: int) -> Parameter:
    return Parameter("length", default)


_WILDER: Final = "J. W. Wilder, New Concepts in Technical Trading Systems (1978)"
_TEXTBOOK: Final = "textbook"

INDICATORS: Final = (
    Indicator(
        name="sma",
        title="Simple moving average",
        parameters=(_length(20),),
        definition="sum(x, length) / length",
        differences=("TA-Lib's running sum drifts after a fall of many orders of magnitude",),
        source=_TEXTBOOK,
    ),
    Indicator(
        name="ema",
        title="Exponential moving average",
        parameters=(_length(20),),
        definition="smooth(x, length, 2 / (length + 1), 20 * length)",
        source="seeded by the mean of the first length values, as TA-Lib and TradingView do",
    ),
    Indicator(
        name="rma",
        title="Wilder's moving average",
        parameters=(_length(14),),
        definition="smooth(x, length, 1 / length, 45 * length)",
        source=_WILDER,
    ),
    Indicator(
        name="rsi",
        title="Relative strength index",
        parameters=(_length(14),),
        where=(
            Formula("moved", "x - x[1]"),
            Formula("gain", "rma(max(moved, 0), length)"),
            Formula("loss", "rma(max(-moved, 0), length)"),
        ),
        definition="ratio(100 * gain, gain + loss, 50)",
        differences=("no movement at all: 50, where TA-Lib says 0 and TradingView 100",),
        source=_WILDER,
    ),
    Indicator(
        name="macd",
        title="Moving average convergence/divergence",
        parameters=(Parameter("fast", 12), Parameter("slow", 26), Parameter("signal", 9)),
        where=(Formula("line", "ema(x, fast) - ema(x, slow)"), Formula("smoothed", "ema(line, signal)")),
        outputs=(Formula("macd", "line"), Formula("signal", "smoothed"), Formula("hist", "line - smoothed")),
        differences=(
            "the fast average is seeded on its own, as in TradingView; TA-Lib seeds both on one bar",
            "the line has values before the signal, where TA-Lib starts all three at once",
        ),
        source="G. Appel, The Moving Average Convergence-Divergence Trading Method (1979)",
    ),
    Indicator(
        name="bbands",
        title="Bollinger bands",
        parameters=(_length(20), Parameter("mult", 2, 0, 100, whole=False)),
        where=(Formula("mean", "sma(x, length)"), Formula("reach", "mult * stddev(x, length)")),
        outputs=(Formula("upper", "mean + reach"), Formula("middle", "mean"), Formula("lower", "mean - reach")),
        differences=("in a very quiet market (deviation under 1e-8 of the price) TradingView's bands collapse",),
        source="J. Bollinger, Bollinger on Bollinger Bands (2001); population deviation",
    ),
    Indicator(
        name="tr",
        title="True range",
        series=None,
        definition="max(high, close[1]) - min(low, close[1])",
        differences=("TradingView has high - low on the first bar; here and in TA-Lib it starts with the second",),
        source=_WILDER,
    ),
    Indicator(
        name="atr",
        title="Average true range",
        series=None,
        parameters=(_length(14),),
        definition="rma(tr, length)",
        differences=("TradingView starts one bar earlier; under 1e-8 apart once settled",),
        source=_WILDER,
    ),
    Indicator(
        name="highest",
        title="Highest value",
        series="high",
        parameters=(_length(20),),
        definition="highest(x, length)",
        source=_TEXTBOOK,
    ),
    Indicator(
        name="lowest",
        title="Lowest value",
        series="low",
        parameters=(_length(20),),
        definition="lowest(x, length)",
        source=_TEXTBOOK,
    ),
    Indicator(
        name="stddev",
        title="Standard deviation",
        parameters=(_length(20),),
        definition="sqrt(moments(x, length))",
        differences=("TradingView and TA-Lib lose the digits of a very quiet market",),
        source="textbook; of the population",
    ),
    Indicator(
        name="variance",
        title="Variance",
        parameters=(_length(20),),
        definition="moments(x, length)",
        differences=("TradingView and TA-Lib lose the digits of a very quiet market",),
        source="textbook; of the population",
    ),
    Indicator(
        name="change",
        title="Change since so many bars ago",
        parameters=(_length(1),),
        definition="x - x[length]",
        source=_TEXTBOOK,
    ),
    Indicator(
        name="mom",
        title="Momentum",
        parameters=(_length(10),),
        definition="x - x[length]",
        source=_TEXTBOOK,
    ),
)


_INDICATORS: Final = MappingProxyType({entry.name: entry for entry in INDICATORS})
_FUNCTIONS: Final = MappingProxyType({entry.name: entry for entry in FUNCTIONS})
_MIXED_SERIES: Final = MappingProxyType({entry.name: entry for entry in MIXED_SERIES})


def indicator(name: str) -> Indicator | None:
    """The indicator called `name` (lower case), or None."""
    return _INDICATORS.get(name)


def function(name: str) -> Function | None:
    """The function called `name` (lower case), or None."""
    return _FUNCTIONS.get(name)


def mixed_series(name: str) -> Definition | None:
    """The series called `name` (lower case) that is computed from the bar's own, or None."""
    return _MIXED_SERIES.get(name)


def is_series(name: str) -> bool:
    """True if `name` (lower case) is a series of the bar, its own or mixed."""
    return name in PRICES or name in _MIXED_SERIES
