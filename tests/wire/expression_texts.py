"""Expressions, and ways to spell them, for hypothesis."""

from hypothesis import strategies as st

from wire import catalogue
from wire.catalogue import MAX_WARM_UP, MAX_WINDOW, Indicator, Parameter
from wire.expression import (
    MAX_DEPTH,
    MAX_SIZE,
    MAX_TEXT,
    Ago,
    Binary,
    Call,
    Expression,
    Function,
    Negative,
    Not,
    Number,
    Output,
    Series,
    canonical,
    children,
)
from wire.program_builder import build_program
from wire.talib_functions import TALIB_FUNCTIONS

SERIES = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "traded")
ENTRIES = (*catalogue.INDICATORS, *TALIB_FUNCTIONS)


def _within_limits(expression: Expression) -> bool:
    def depth(e: Expression) -> int:
        return 1 + max((depth(child) for child in children(e)), default=0)

    def size(e: Expression) -> int:
        return 1 + sum(size(child) for child in children(e))

    return (
        depth(expression) <= MAX_DEPTH
        and size(expression) <= MAX_SIZE
        and len(canonical(expression)) <= MAX_TEXT
        and build_program(expression).warm_up_bars <= MAX_WARM_UP
    )


def _is_number(expression: Expression) -> bool:
    """True for what would be read as a parameter, not as the series."""
    return isinstance(expression, Number) or (isinstance(expression, Negative) and isinstance(expression.x, Number))


def _argument(parameter: Parameter) -> st.SearchStrategy[float]:
    if parameter.whole:
        chosen = st.integers(int(parameter.low), min(int(parameter.high), 60)).map(float)
    else:
        chosen = st.floats(max(parameter.low, 0.01), parameter.high)
    return st.just(float(parameter.default)) | chosen


@st.composite
def _calls(draw: st.DrawFn, indicators: list[Indicator], series: st.SearchStrategy[Expression]) -> Call:
    indicator = draw(st.sampled_from(indicators))
    x = None
    if indicator.series is not None:
        x = draw(st.just(Series(indicator.series)) | series.filter(lambda e: not _is_number(e)))
    return Call(indicator.name, x, tuple(draw(_argument(parameter)) for parameter in indicator.parameters))


@st.composite
def _single_outputs(draw: st.DrawFn, series: st.SearchStrategy[Expression]) -> Output:
    call = draw(_calls([entry for entry in ENTRIES if entry.output_names], series))
    indicator = catalogue.indicator(call.name)
    assert indicator is not None
    return Output(call, draw(st.sampled_from(indicator.output_names)))


_numbers = st.builds(Number, st.integers(0, 10**6).map(float) | st.floats(1e-6, 1e9))
_leaves: st.SearchStrategy[Expression] = _numbers | st.builds(Series, st.sampled_from(SERIES))
_bars = st.integers(1, 40) | st.just(MAX_WINDOW)


def _larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    singles = [entry for entry in ENTRIES if not entry.output_names]
    return st.one_of(
        _calls(singles, inner),
        _single_outputs(inner),
        st.builds(Ago, inner, _bars),
        st.builds(Negative, inner),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/"]), inner, inner),
        st.builds(Function, st.just("abs"), st.tuples(inner)),
        st.builds(Function, st.sampled_from(["min", "max"]), st.tuples(inner, inner)),
    )


values: st.SearchStrategy[Expression] = st.deferred(lambda: _values | st.builds(_barssince, conditions))

_values: st.SearchStrategy[Expression] = st.recursive(_leaves, _larger, max_leaves=5)
_comparisons = st.builds(Binary, st.sampled_from([">", "<", ">=", "<=", "==", "!="]), _values, _values)
_crossings = st.builds(Function, st.sampled_from(["cross", "crossover", "crossunder"]), st.tuples(_values, _values))


def _barssince(condition: Expression) -> Expression:
    return Function("barssince", (condition,))


conditions: st.SearchStrategy[Expression] = st.recursive(
    _comparisons | _crossings,
    lambda inner: st.one_of(
        st.builds(Binary, st.sampled_from(["and", "or"]), inner, inner),
        st.builds(Not, inner),
        st.builds(Ago, inner, _bars),
        st.builds(Binary, st.sampled_from([">", "<="]), st.builds(_barssince, inner), _values),
    ),
    max_leaves=4,
)

_several = _calls([entry for entry in ENTRIES if entry.output_names], values)

expressions = (values | conditions | _several).filter(_within_limits)
"""Expressions within the limits: numbers, truths, and indicators with all their outputs."""


@st.composite
def spellings(draw: st.DrawFn, expression: Expression) -> str:
    """A text of `expression`: spaces, case, parentheses, defaults and names as it comes."""
    words = _Speller(draw).words(expression)
    text = draw(_spaces)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        text += draw(st.sampled_from([word, word.upper(), word.capitalize()]))
        text += draw(_spaces) or (" " if word[-1].isalnum() and following[:1].isalnum() else "")
    return text


_spaces = st.sampled_from(["", "", "", " ", "  "])


class _Speller:
    """The words of an expression. Every operand that is more than a word is in parentheses, and some others."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def words(self, expression: Expression) -> list[str]:
        match expression:
            case Number(value=value):
                return [self._number(value)]
            case Series(name=name):
                return [name]
            case Call():
                return self._call(expression)
            case Output(call=call, name=name):
                return [*self._call(call), ".", name]
            case Function(name=name, arguments=arguments):
                return [name, "(", *self._joined([self.words(argument) for argument in arguments]), ")"]
            case Ago(x=x, bars=bars):
                return [*self._operand(x), "[", self._number(float(bars)), "]"]
            case Negative(x=x) | Not(x=x):
                return ["-" if isinstance(expression, Negative) else "not", *self._operand(x)]
            case Binary(operator=operator, left=left, right=right):
                return [*self._operand(left), operator, *self._operand(right)]

    def _operand(self, expression: Expression) -> list[str]:
        words = self.words(expression)
        plain = isinstance(expression, Number | Series | Call | Output | Function)
        return words if plain and self._draw(st.booleans()) else ["(", *words, ")"]

    def _call(self, call: Call) -> list[str]:
        indicator = catalogue.indicator(call.name)
        assert indicator is not None
        arguments: list[list[str]] = []
        if call.series is not None:
            default = call.series == Series(str(indicator.series))
            if not (default and self._draw(st.booleans())):
                arguments.append(self.words(call.series))
        named = self._draw(st.booleans())
        for parameter, value in zip(indicator.parameters, call.parameters, strict=True):
            if value == parameter.default and self._draw(st.booleans()):
                named = True  # left out: those after it can only be named
                continue
            named = named or self._draw(st.booleans())
            number = self._number(value)
            arguments.append([parameter.name, "=", number] if named else [number])
        if not arguments and self._draw(st.booleans()):
            return [call.name]
        return [call.name, "(", *self._joined(arguments), ")"]

    def _joined(self, arguments: list[list[str]]) -> list[str]:
        return [word for place, argument in enumerate(arguments) for word in ([",", *argument] if place else argument)]

    def _number(self, value: float) -> str:
        spelled = [repr(value), f"{value:e}", f"{value:.17g}"]
        if value.is_integer():
            spelled += [f"{value:.0f}", f"{value:.2f}", f"{value:.0f}."]
        if 0 < value < 1:
            spelled.append(repr(value).removeprefix("0"))
        return self._draw(st.sampled_from([text for text in spelled if float(text) == value]))
