"""A signal expression as a tree of values, and its canonical text. Pure; no I/O."""

from typing import Final

from msgspec import Struct

from wire.syntax import COMPARISONS

ARITHMETIC: Final = ("+", "-", "*", "/")
LOGIC: Final = ("and", "or")

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _UNARY, _POSTFIX = range(1, 9)


class Number(Struct, frozen=True):
    """A number, finite and not negative (a minus is `Negative`)."""

    value: float


class Series(Struct, frozen=True):
    """A series of the bar: open, high, low, close, volume, hl2, hlc3, ohlc4 or traded."""

    name: str


class Call(Struct, frozen=True):
    """An indicator of the catalogue: its series (None if it takes none) and all its parameters, in order."""

    name: str
    series: "Expression | None"
    parameters: tuple[float, ...]


class Output(Struct, frozen=True):
    """One output of an indicator that has several: ``macd(close,12,26,9).hist``."""

    call: Call
    name: str


class Function(Struct, frozen=True):
    """A function of the catalogue over expressions: ``max(open,close)``."""

    name: str
    arguments: "tuple[Expression, ...]"


class Ago(Struct, frozen=True):
    """``x[bars]``: the value of `x` so many closed bars ago; 1 is the bar before."""

    x: "Expression"
    bars: int


class Negative(Struct, frozen=True):
    """``-x``."""

    x: "Expression"


class Not(Struct, frozen=True):
    """``not x``."""

    x: "Expression"


class Binary(Struct, frozen=True):
    """Arithmetic (``+ - * /``), a comparison (``> < >= <= == !=``) or logic (``and or``)."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Number | Series | Call | Output | Function | Ago | Negative | Not | Binary


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside `expression`, in the order of the text."""
    match expression:
        case Call(series=series):
            return () if series is None else (series,)
        case Output(call=call):
            return (call,)
        case Function(arguments=arguments):
            return arguments
        case Ago(x=x) | Negative(x=x) | Not(x=x):
            return (x,)
        case Binary(left=left, right=right):
            return (left, right)
        case Number() | Series():
            return ()


def canonical(expression: Expression) -> str:
    """The one text of `expression`.

    No spaces but those of the words `and`, `or` and `not`, fewest parentheses, arguments positional and complete,
    the series explicit, numbers at their shortest; nothing is reordered.
    """
    match expression:
        case Number(value=value):
            return number_text(value)
        case Series(name=name):
            return name
        case Call(name=name, parameters=parameters):
            arguments = [canonical(child) for child in children(expression)] + [number_text(p) for p in parameters]
            return f"{name}({','.join(arguments)})" if arguments else name
        case Output(call=call, name=name):
            return f"{canonical(call)}.{name}"
        case Function(name=name, arguments=operands):
            return f"{name}({','.join(canonical(operand) for operand in operands)})"
        case Ago(x=x, bars=bars):
            return f"{_enclosed(x, _POSTFIX)}[{bars}]"
        case Negative(x=x) | Not(x=x):
            sign = "-" if isinstance(expression, Negative) else "not "
            return sign + _enclosed(x, _power(expression))
        case Binary(operator=operator, left=left, right=right):
            power = _power(expression)
            sign = f" {operator} " if operator in LOGIC else operator
            return f"{_enclosed(left, power)}{sign}{_enclosed(right, power + 1)}"


def number_text(value: float) -> str:
    """The shortest text that reads back as `value`: ``14``, ``0.5``, ``1e21``, ``1e-7``."""
    digits, _, exponent = repr(float(value)).partition("e")
    digits = digits.removesuffix(".0")
    return f"{digits}e{int(exponent)}" if exponent else digits


def _enclosed(expression: Expression, floor: int) -> str:
    text = canonical(expression)
    return text if _power(expression) >= floor else f"({text})"


def _power(expression: Expression) -> int:
    """How tightly the outermost operator of `expression` binds."""
    match expression:
        case Binary(operator="or"):
            return _OR
        case Binary(operator="and"):
            return _AND
        case Not():
            return _NOT
        case Binary(operator=operator) if operator in COMPARISONS:
            return _COMPARISON
        case Binary(operator="+" | "-"):
            return _SUM
        case Binary():
            return _PRODUCT
        case Negative():
            return _UNARY
    return _POSTFIX
