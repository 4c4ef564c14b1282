"""Elementwise functions of columns, and the leaves: what needs no history. Pure; no I/O."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from wire.program import EQUAL_WITHIN, NEXT_TO_NOTHING

Step = Callable[..., Column]
"""``step(instant, *inputs)``, as Node has it."""


def price(name: str) -> Step:
    """A series that the bar has, one of wire.program.SERIES."""
    read = attrgetter(name)
    return lambda instant: instant.pick(read(instant.columns))


def number(value: float) -> Step:
    """A number, as an operand of elementwise functions: an array of shape ()."""
    column = np.array(value)
    return lambda _instant: column


def constant(value: float) -> Step:
    """A number wherever there is a price."""
    return lambda _instant, close: np.where(np.isnan(close), np.nan, value)


def output(place: int) -> Step:
    """One of several outputs."""
    return lambda _instant, outputs: outputs[place]


def elementwise(kernel: str) -> Step:
    """The function of FUNCTIONS called `kernel`, over the inputs at the same bar."""
    function = FUNCTIONS[kernel]

    def step(_instant: Instant, *inputs: Column) -> Column:
        return function(*inputs)

    return step


def multiply(a: Column, b: Column) -> Column:
    """A product; never -0, which would print, and which max and min order as they please."""
    return _without_minus(np.multiply(a, b))


def divide(a: Column, b: Column) -> Column:
    """A quotient; 0 where b is 0."""
    if b.ndim == 0 and b != 0:
        return _without_minus(np.divide(a, b))
    return _quotient(a, b, np.equal(b, 0.0), 0.0)


def ratio(a: Column, b: Column, flat: Column) -> Column:
    """A quotient; `flat` where b is nothing, or next to it."""
    return _quotient(a, b, np.less(np.abs(b), NEXT_TO_NOTHING), flat)


def _quotient(a: Column, b: Column, nothing: NDArray[np.bool_], flat: Column | float) -> Column:
    quotient = np.asarray(np.divide(a, b))
    if nothing.any():
        np.copyto(quotient, np.add(np.multiply(a, 0.0), flat), where=nothing)  # NaN where a is
    return _without_minus(quotient)


def _without_minus(column: Column) -> Column:
    """Makes every -0 a 0, in place."""
    column = np.asarray(column)
    column += 0.0
    return column


def above(a: Column, b: Column) -> Column:
    """1 where a > b by more than the tolerance, else 0."""
    return _truth(np.greater, a, b, np.subtract(a, b))


def equal(a: Column, b: Column) -> Column:
    """1 where a and b are within the tolerance, else 0."""
    return _truth(np.less_equal, a, b, np.abs(np.subtract(a, b)))


def _truth(compare: np.ufunc, a: Column, b: Column, difference: Column) -> Column:
    tolerance = np.asarray(np.maximum(np.abs(a), np.abs(b)))
    tolerance *= EQUAL_WITHIN
    truth: Column = np.asarray(compare(difference, tolerance)).astype(np.float64)
    np.copyto(truth, np.nan, where=np.isnan(difference))
    return truth


FUNCTIONS: Final[Mapping[str, Callable[..., Column]]] = MappingProxyType(
    {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": multiply,
        "divide": divide,
        "negative": lambda a: np.subtract(0.0, a),
        "abs": np.abs,
        "sign": np.sign,
        "sqrt": lambda a: np.sqrt(np.maximum(a, 0.0)),
        "min": np.minimum,
        "max": np.maximum,
        "ratio": ratio,
        "above": above,
        "equal": equal,
        "not": lambda a: np.subtract(1.0, a),
    }
)
"""The elementwise kernels of wire.program, for columns. A truth is 1, 0 or NaN; NaN goes through all of them.

To be called with numpy's floating-point warnings off.
"""
