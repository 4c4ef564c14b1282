"""Program: what an expression computes, as operations over kernels, each one once. Pure; no I/O.

Warm-up is read off it: it adds up along the operations, so what is announced is what the graph does.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from wire.catalogue_types import PRICES

EQUAL_WITHIN: Final = 1e-12
"""Numbers closer than this, relative to the larger of them, compare as equal."""

NEXT_TO_NOTHING: Final = 1e-200
"""A divisor of `ratio` under this is none: all that smoothing leaves after thousands of bars without movement."""

NEVER: Final = 1_000_000_000
"""The bars after which a sum of all bars counts as settled: it always depends on where history began."""

SERIES: Final = (*PRICES, "turnover", "count")
"""The series that the bar has, for definitions: turnover is the sum of price x size, count the number of trades."""

EVENTS: Final = ("turned", "held")
"""What alerts and screens make of a condition; no text can call them."""

WINDOWS: Final = (
    "sum", "highest", "lowest", "moments", "weighted", "deviation", "since_highest", "since_lowest",
)  # fmt: skip
"""The kernels over the last n bars: ``kernel(x, n)``, or ``deviation(x, centre, n)``."""


class Recursion(Struct, frozen=True):
    """A kernel whose next value builds on its last: how many inputs, parameters and rows of value it has."""

    inputs: int
    parameters: int = 0
    outputs: int = 1


RECURSIONS: Final[Mapping[str, Recursion]] = MappingProxyType(
    {
        "total": Recursion(1),
        "session": Recursion(1),
        "barssince": Recursion(1),
        "kama": Recursion(3),
        "sar": Recursion(4, 2, 5),
        "supertrend": Recursion(4, 0, 4),
    }
)
"""The kernels called ``kernel(inputs, parameters, bars)``, settled after so many bars."""


class Operation(Struct, frozen=True):
    """One kernel applied to the results of earlier operations.

    `inputs` are their places in the program. `ready` counts the bars that an instrument needs for a value, the bar
    of the value included; `settled` those after which the value no longer depends on where its history began.
    The kernels: one of SERIES by its name, ``number(value)``, ``constant(close; value)`` (a number once the instrument
    has traded), ``ago(x; k)``, ``smooth(x; n, a)``, WINDOWS, RECURSIONS, and the functions of ELEMENTWISE;
    ``talib:NAME(...; parameters)`` is a function of TA-Lib. One with several `outputs` is only read by
    ``output(it; k)``, which picks one.
    """

    kernel: str
    inputs: tuple[int, ...]
    parameters: tuple[float, ...]
    ready: int
    settled: int
    outputs: int = 1


TALIB: Final = "talib:"
"""What the name of a kernel begins with that is a function of TA-Lib."""


class Program(Struct, frozen=True):
    """The operations of an expression, inputs before what uses them.

    `results` are the places of its outputs, which `outputs` names: () for a single, unnamed one.
    """

    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]
    results: tuple[int, ...]

    @property
    def ready(self) -> int:
        """The bars needed for a value of every output, the bar of the value included."""
        return max(self.operations[place].ready for place in self.results)

    @property
    def settled(self) -> int:
        """The bars after which no output depends on where history began, the bar of the value included."""
        return max(self.operations[place].settled for place in self.results)

    @property
    def warm_up_bars(self) -> int:
        """The bars without a value, or without one of every output."""
        return self.ready - 1

    @property
    def unstable_bars(self) -> int:
        """The bars without a settled value: those of the warm-up and those that still show where history began."""
        return self.settled - 1


ELEMENTWISE: Final[Mapping[str, Callable[..., float]]] = MappingProxyType(
    {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b + 0.0,
        "divide": lambda a, b: a / b + 0.0 if b else 0.0,
        "negative": lambda a: 0 - a,
        "abs": abs,
        "sign": lambda a: float((a > 0) - (a < 0)),
        "sqrt": lambda a: sqrt(max(a, 0)),
        "min": min,
        "max": max,
        "ratio": lambda a, b, flat: a / b + 0.0 if abs(b) >= NEXT_TO_NOTHING else flat,
        "above": lambda a, b: a - b > EQUAL_WITHIN * max(abs(a), abs(b)),
        "equal": lambda a, b: abs(a - b) <= EQUAL_WITHIN * max(abs(a), abs(b)),
        "not": lambda a: 1 - a,
    }
)
"""The elementwise kernels, for numbers: the graph has the same ones for columns. x / 0 is 0, and there is no -0."""
