"""Text to expression: what the names of a syntax tree mean by the catalogue, and the limits. Pure; no I/O."""

from functools import lru_cache
from typing import Final

from wire import catalogue
from wire.catalogue import MAX_WARM_UP, Indicator, Parameter
from wire.expression_tree import (
    ARITHMETIC,
    LOGIC,
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
    number_text,
)
from wire.program_builder import build_program
from wire.syntax import (
    MAX_TEXT,
    Argument,
    BinarySyntax,
    CallSyntax,
    IndexSyntax,
    MemberSyntax,
    NameSyntax,
    NumberSyntax,
    Syntax,
    UnarySyntax,
    fault,
    parse_syntax,
)

MAX_DEPTH: Final = 32
"""The most levels of operands within operands."""

MAX_SIZE: Final = 100
"""The most operands and operators, parameters not counted."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """The expression that `text` spells. Raises ExpressionError for a text that is none, or one over a limit.

    The newest few thousand texts are remembered: a common expression is parsed once.
    """
    expression = _expression(parse_syntax(text), 1)
    _check_limits(expression)
    return expression


def outputs(expression: Expression) -> tuple[str, ...]:
    """The names of the values of `expression`: () for a single value, that of a condition included."""
    if isinstance(expression, Call):
        indicator = catalogue.indicator(expression.name)
        return () if indicator is None else indicator.output_names
    return ()


def is_condition(expression: Expression) -> bool:
    """True if the values are truths: of comparisons, logic and crossings."""
    while isinstance(expression, Ago):
        expression = expression.x
    if isinstance(expression, Function):
        function = catalogue.function(expression.name)
        return function is not None and function.condition
    return isinstance(expression, Not) or (isinstance(expression, Binary) and expression.operator not in ARITHMETIC)


def _check_limits(expression: Expression) -> None:
    """These are bounds on the expression, not on its text: all spellings of it pass, or none."""
    size, depth, level = 0, 0, [expression]
    while level:
        size, depth = size + len(level), depth + 1
        level = [child for parent in level for child in children(parent)]
    if depth > MAX_DEPTH:
        raise fault(f"an expression of {depth} levels", 0, f"at most {MAX_DEPTH}")
    if size > MAX_SIZE:
        raise fault(f"an expression of {size} parts", 0, f"at most {MAX_SIZE}")
    length = len(canonical(expression))
    if length > MAX_TEXT:
        raise fault(f"an expression of {length} bytes in canonical form", 0, f"at most {MAX_TEXT}")
    bars = build_program(expression).warm_up_bars
    if bars > MAX_WARM_UP:
        raise fault(f"an expression that needs {bars} bars before its first value", 0, f"at most {MAX_WARM_UP}")


def _expression(syntax: Syntax, level: int) -> Expression:
    """What `syntax` means; `level` counts how deep it lies, so that no input recurses further than the limit."""
    if level > MAX_DEPTH + 1:
        raise fault("nested too deep", syntax.at, f"at most {MAX_DEPTH} levels")
    match syntax:
        case NumberSyntax(value=value):
            return Number(value)
        case NameSyntax(name=name, at=at):
            return Series(name) if catalogue.is_series(name) else _named(name, (), at, level)
        case CallSyntax(name=name, arguments=arguments, at=at):
            if catalogue.is_series(name):
                raise fault(f'"{name}" called', at, f"no arguments: {name} is a series")
            return _named(name, arguments, at, level)
        case IndexSyntax(x=x, index=index):
            return Ago(_single(x, level + 1), int(_parameter(index, Parameter("bars ago", 1))))
        case MemberSyntax():
            return _output(syntax, level)
        case UnarySyntax(operator=operator, x=x):
            return Not(_condition(x, "not", level + 1)) if operator == "not" else Negative(_value(x, level + 1))
        case BinarySyntax(operator=operator, left=left, right=right):
            if operator in LOGIC:
                return Binary(operator, _condition(left, operator, level + 1), _condition(right, operator, level + 1))
            return Binary(operator, _value(left, level + 1), _value(right, level + 1))


def _single(syntax: Syntax, level: int) -> Expression:
    """An operand with one value, a number or a truth."""
    expression = _expression(syntax, level)
    if isinstance(expression, Call) and (names := outputs(expression)):
        wanted = " or ".join(f"{expression.name}.{name}" for name in names)
        raise fault(f'"{expression.name}" with all its outputs', syntax.at, f"one of them: {wanted}")
    return expression


def _value(syntax: Syntax, level: int) -> Expression:
    """An operand that is a number."""
    expression = _single(syntax, level)
    if is_condition(expression):
        raise fault("a condition", _start(syntax), "a number: conditions are joined by and, or and not")
    return expression


def _condition(syntax: Syntax, taker: str, level: int) -> Expression:
    """An operand of `taker` that is a truth."""
    expression = _single(syntax, level)
    if not is_condition(expression):
        raise fault("a number", _start(syntax), f'a condition for "{taker}", such as close > open')
    return expression


def _start(syntax: Syntax) -> int:
    """Where the text of `syntax` begins, parentheses apart."""
    while True:
        match syntax:
            case BinarySyntax(left=inner) | IndexSyntax(x=inner) | MemberSyntax(x=inner):
                syntax = inner
            case _:
                return syntax.at


def _output(syntax: MemberSyntax, level: int) -> Output:
    call = _expression(syntax.x, level + 1)
    names = outputs(call)
    if not isinstance(call, Call) or not names:
        raise fault(f'".{syntax.name}" after a single value', syntax.at, "an indicator with several outputs before it")
    if syntax.name not in names:
        raise fault(f'unknown output "{syntax.name}"', syntax.at, " or ".join(names))
    return Output(call, syntax.name)


def _named(name: str, arguments: tuple[Argument, ...], at: int, level: int) -> Expression:
    indicator = catalogue.indicator(name)
    if indicator is not None:
        return _call(indicator, arguments, level)
    function = catalogue.function(name)
    if function is None:
        raise fault(f'unknown name "{name}"', at, "a series, an indicator or a number")
    wanted = ", ".join(function.arguments)
    if len(arguments) != len(function.arguments):
        raise fault(f'"{name}" with {len(arguments)} arguments', at, f"{name}({wanted})")
    for argument in arguments:
        if argument.name is not None:
            raise fault(f'"{argument.name}="', argument.at, f"{name}({wanted}) without names")
    if function.of_condition:
        return Function(name, tuple(_condition(argument.value, name, level + 1) for argument in arguments))
    return Function(name, tuple(_value(argument.value, level + 1) for argument in arguments))


def _call(indicator: Indicator, arguments: tuple[Argument, ...], level: int) -> Call:
    """The indicator with all its arguments: a first one that is not a number is the series."""
    series: Expression | None = None if indicator.series is None else Series(indicator.series)
    if arguments and arguments[0].name is None and _literal(arguments[0].value) is None:
        if indicator.series is None:
            raise fault(f'a series for "{indicator.name}"', _start(arguments[0].value), _signature(indicator))
        series = _value(arguments[0].value, level + 1)
        arguments = arguments[1:]
    given: dict[str, float] = {}
    for place, argument in enumerate(arguments):
        parameter = _taker(indicator, arguments, place)
        if parameter.name in given:
            raise fault(f"{parameter.name} given twice", argument.at, "it once")
        given[parameter.name] = _parameter(argument.value, parameter)
    return Call(indicator.name, series, tuple(float(given.get(p.name, p.default)) for p in indicator.parameters))


def _taker(indicator: Indicator, arguments: tuple[Argument, ...], place: int) -> Parameter:
    """The parameter that the argument at `place` is for, by its name or its place."""
    argument, parameters = arguments[place], indicator.parameters
    if argument.name is None:
        if place and arguments[place - 1].name is not None:
            raise fault("a positional argument after a named one", _start(argument.value), _signature(indicator))
        if place >= len(parameters):
            raise fault("an argument too many", _start(argument.value), _signature(indicator))
        return parameters[place]
    for parameter in parameters:
        if parameter.name == argument.name:
            return parameter
    raise fault(f'unknown parameter "{argument.name}"', argument.at, _signature(indicator))


def _signature(indicator: Indicator) -> str:
    names = ([] if indicator.series is None else ["series"]) + [parameter.name for parameter in indicator.parameters]
    return f"{indicator.name}({', '.join(names)})" if names else indicator.name


def _literal(syntax: Syntax) -> float | None:
    """The value of a number, with a minus or without; None for any other expression."""
    match syntax:
        case NumberSyntax(value=value):
            return value
        case UnarySyntax(operator="-", x=NumberSyntax(value=value)):
            return -value
    return None


def _parameter(syntax: Syntax, parameter: Parameter) -> float:
    kind = "a whole number" if parameter.whole else "a number"
    expected = f"{kind} from {number_text(parameter.low)} to {number_text(parameter.high)}"
    value = _literal(syntax)
    if value is None:
        raise fault(f"no plain number for {parameter.name}", _start(syntax), expected)
    if not parameter.low <= value <= parameter.high or (parameter.whole and not value.is_integer()):
        raise fault(f"{parameter.name} is {number_text(value)}", _start(syntax), expected)
    return value + 0.0  # -0 is 0
