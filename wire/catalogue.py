"""The catalogue: every series, function and indicator as data, each defined in the expression language. No I/O.

A definition speaks of its series as ``x``, of its parameters and of the names in `where` by name, and of other entries
of the catalogue. Arithmetic on parameters is done when an expression is compiled. Beside those it may use the kernels:

``smooth(x, n, a, bars)``  v + a (x - v), seeded by the mean of the first n; settled after so many bars
``sum(x, n)``  ``highest(x, n)``  ``lowest(x, n)``  over the last n bars
``moments(x, n)``  the population variance over the last n bars
``weighted(x, n)``  the sum of the last n bars, the oldest taken once, the newest n times
``deviation(x, centre, n)``  the mean of abs(x - centre) over the last n bars
``since_highest(x, n)``  ``since_lowest(x, n)``  how many bars ago it was, of equal ones the newest
``total(x, bars)``  ``session(x, bars)``  the sum of all bars, and of those of this session
``barssince(truth, bars)``  bars since it was 1
``kama(x, weight, before, bars)``  v + weight (x - v), where the first v follows on `before`
``sar(high, low, high[1], low[1], acceleration, maximum, bars)``  ``supertrend(upper, lower, close, close[1], bars)``
``output(it, k)``  one row of those that have several
``ratio(a, b, flat)``  a / b, and `flat` where b is 0 or has decayed to next to nothing
``abs(x)``  ``sign(x)``  ``min(a, b)``  ``max(a, b)``  ``sqrt(x)`` (0 for a negative x)

`bars` are those after which the value is settled, ``never`` more than there will be. ``turnover`` is the bar's sum of
price x size. A parameter that is to be whole is cut down to one.

To add an indicator is to add an entry to one of the tables and its check against an oracle; nothing else names one.
"""

from types import MappingProxyType
from typing import Final

from wire.catalogue_types import MAX_WINDOW, PRICES, Definition, Formula, Function, Indicator, Parameter
from wire.indicators_averages import AVERAGES
from wire.indicators_oscillators import OSCILLATORS
from wire.indicators_trends import TRENDS
from wire.indicators_volatility import VOLATILITY
from wire.indicators_volume import VOLUME
from wire.talib_functions import TALIB_FUNCTIONS

__all__ = [
    "FUNCTIONS",
    "INDICATORS",
    "MAX_WARM_UP",
    "MAX_WINDOW",
    "MIXED_SERIES",
    "PRICES",
    "Definition",
    "Formula",
    "Function",
    "Indicator",
    "Parameter",
    "function",
    "indicator",
    "is_series",
    "mixed_series",
]

MAX_WARM_UP: Final = 10_000
"""The most bars that an expression may need before its first value: windows over windows add up."""


_TRADED: Final = "ratio(turnover, volume, close)"

MIXED_SERIES: Final = (
    Definition("hl2", "Middle of the bar", "(high + low) / 2"),
    Definition("hlc3", "Typical price", "(high + low + close) / 3"),
    Definition("ohlc4", "Average price", "(open + high + low + close) / 4"),
    Definition("traded", "Average price of the bar's trades, the close if there are none", _TRADED),
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
    Function(
        name="barssince",
        title="Bars since the condition was true, 0 on such a bar",
        arguments=("condition",),
        definition="barssince(condition, 0)",
        of_condition=True,
    ),
)


INDICATORS: Final = (*AVERAGES, *OSCILLATORS, *VOLATILITY, *TRENDS, *VOLUME)
"""The core set. What else TA-Lib has, under its own names, is in TALIB_FUNCTIONS."""

_INDICATORS: Final = MappingProxyType({entry.name: entry for entry in (*TALIB_FUNCTIONS, *INDICATORS)})
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
