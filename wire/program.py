"""Program: what an expression computes, as operations over kernels, each one once. Pure; no I/O.

Warm-up is read off it: it adds up along the operations, so what is announced is what the graph does.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType
from typing import Final

from msgspec import Struct

EQUAL_WITHIN: Final = 1e-12
"""Numbers closer than this, relative to the larger of them, compare as equal."""

NEXT_TO_NOTHING: Final = 1e-200
"""A divisor of `ratio` under this is none: all that smoothing leaves after thousands of bars without movement."""

WINDOWS: Final = ("sum", "highest", "lowest", "moments")
"""The kernels over the last n bars: ``kernel(x, n)``."""


class Operation(Struct, frozen=True):
    """One kernel applied to the results of earlier operations.

    `inputs` are their places in the program. `ready` counts the bars that an instrument needs for a value, the bar
    of the value included; `settled` those after which the value no longer depends on where its history began.
    The kernels: a price by its name, ``number(value)``, ``constant(close; value)`` (a number once the instrument has
    traded), ``ago(x; k)``, ``smooth(x; n, a)``, WINDOWS, and the elementwise functions of ELEMENTWISE.
    """

    kernel: str
    inputs: tuple[int, ...]
    parameters: tuple[float, ...]
    ready: int
    settled: int


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
