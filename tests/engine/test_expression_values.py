"""What a graph gives for an expression, against a plain evaluation of its tree, bar by bar."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.market_columns import Market, computed, random_market
from wire.expression import (
    Ago,
    Binary,
    Call,
    Expression,
    ExpressionError,
    Function,
    Negative,
    Not,
    Number,
    Series,
    canonical,
    parse,
)

BARS: Final = 40
MARKET: Final = random_market(seed=31, bars=BARS)

Values = list[float]
"""One for each bar; NaN is none."""


def _close(a: float, b: float) -> float:
    return 1e-12 * max(abs(a), abs(b))


BINARY: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b != 0 else 0 * a,
    ">": lambda a, b: a - b > _close(a, b),
    "<": lambda a, b: b - a > _close(a, b),
    ">=": lambda a, b: b - a <= _close(a, b),
    "<=": lambda a, b: a - b <= _close(a, b),
    "==": lambda a, b: abs(a - b) <= _close(a, b),
    "!=": lambda a, b: abs(a - b) > _close(a, b),
    "and": min,
    "or": max,
}


def _evaluated(expression: Expression, market: Market) -> Values:
    """By the book: a list for each part of the expression."""

    def of(part: Expression) -> Values:
        return _evaluated(part, market)

    match expression:
        case Number(value=value):
            return [value] * BARS
        case Series(name=name):
            return [float(value) for value in getattr(market, name)[:, 0]]
        case Ago(x=x, bars=bars):
            return ([math.nan] * bars + of(x))[:BARS]
        case Negative(x=x):
            return _each(lambda a: -a, of(x))
        case Not(x=x):
            return _each(lambda a: 1 - a, of(x))
        case Binary(operator=operator, left=left, right=right):
            return _each(BINARY[operator], of(left), of(right))
        case Function(name=name, arguments=arguments):
            return _function(name, [of(part) for part in arguments])
        case Call(name=name, series=x, parameters=(n,)):
            assert x is not None
            return _call(name, of(x), int(n))
    raise AssertionError(expression)


def _function(name: str, arguments: list[Values]) -> Values:
    match name:
        case "barssince":
            return _since(arguments[0])
        case "crossover" | "crossunder" | "cross":
            return _crossed(name, *arguments)
    plain: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
    return _each(plain[name], *arguments)


def _call(name: str, x: Values, n: int) -> Values:
    if name == "change":
        return _each(lambda a, b: a - b, x, ([math.nan] * n + x)[:BARS])
    of_window = max if name == "highest" else min
    windows = [x[max(place + 1 - n, 0) : place + 1] for place in range(BARS)]
    return [of_window(w) if len(w) == n and not any(map(math.isnan, w)) else math.nan for w in windows]


def _each(function: Callable[..., float], *columns: Values) -> Values:
    return [math.nan if any(map(math.isnan, row)) else float(function(*row)) for row in zip(*columns, strict=True)]


def _crossed(name: str, a: Values, b: Values) -> Values:
    if name == "cross":
        return _each(max, _crossed("crossover", a, b), _crossed("crossunder", a, b))
    above = _each(BINARY[">" if name == "crossover" else "<"], a, b)
    return _each(lambda now, before: min(now, 1 - before), above, [math.nan, *above[:-1]])


def _since(truths: Values) -> Values:
    counts: Values = []
    for truth in truths:
        counts.append(0.0 if truth == 1 else counts[-1] + 1 if counts else math.nan)
    return counts


_series = st.sampled_from(["open", "high", "low", "close", "volume"]).map(Series)
_numbers = st.sampled_from([0.0, 1.0, 2.5, 100.0]).map(Number)
_small = st.integers(1, 5)


def _more(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    series = inner.filter(lambda e: not isinstance(e, Number) and not (isinstance(e, Negative)))
    return st.one_of(
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/"]), inner, inner),
        st.builds(Negative, inner),
        st.builds(Ago, inner, _small),
        st.builds(Function, st.just("abs"), st.tuples(inner)),
        st.builds(Function, st.sampled_from(["min", "max"]), st.tuples(inner, inner)),
        st.builds(Call, st.sampled_from(["highest", "lowest", "change"]), series, st.tuples(_small.map(float))),
    )


_values: st.SearchStrategy[Expression] = st.recursive(_series | _numbers, _more, max_leaves=6)


def _more_conditions(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    since = st.builds(Function, st.just("barssince"), st.tuples(inner))
    return st.one_of(
        st.builds(Binary, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(Not, inner),
        st.builds(Ago, inner, _small),
        st.builds(Binary, st.sampled_from([">", "<="]), since, _values),
    )


_conditions: st.SearchStrategy[Expression] = st.recursive(
    st.builds(Binary, st.sampled_from([">", "<", ">=", "<=", "==", "!="]), _values, _values)
    | st.builds(Function, st.sampled_from(["cross", "crossover", "crossunder"]), st.tuples(_values, _values)),
    _more_conditions,
    max_leaves=4,
)


@settings(max_examples=60)
@given(st.lists(_values | _conditions, min_size=1, max_size=8))
def test_the_value_of_an_expression_is_what_its_parts_say_bar_by_bar(expressions: list[Expression]) -> None:
    texts = []
    for expression in expressions:
        try:
            texts.append(canonical(parse(canonical(expression))))
        except ExpressionError:  # a constant out of range, or too large
            continue
    for text, values in zip(texts, computed(texts, MARKET), strict=True):
        expected = np.array(_evaluated(parse(text), MARKET))
        assert np.array_equal(values[0, :, 0], expected, equal_nan=True), text
