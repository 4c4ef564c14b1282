"""Expression to program: the catalogue's definitions written out, equal operations made one. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Final, NamedTuple

from wire import catalogue
from wire.catalogue import Formula, Indicator
from wire.expression_tree import Ago, Binary, Call, Expression, Function, Negative, Not, Number, Output, Series
from wire.program import ELEMENTWISE, WINDOWS, Operation, Program
from wire.syntax import (
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


class _Term(NamedTuple):
    """The result of an operation."""

    place: int


_Operand = float | _Term


def build_program(expression: Expression) -> Program:
    """The program of `expression`. Raises ExpressionError if a constant part of it is not finite."""
    builder = _Builder()
    outputs: tuple[str, ...] = ()
    if isinstance(expression, Call):
        entry = _indicator(expression.name)
        outputs = entry.output_names
        values = builder.outputs(entry, builder.series(expression), expression.parameters)
    else:
        values = [builder.value(expression)]
    return _pruned(builder.operations, outputs, [builder.term(value).place for value in values])


def _pruned(operations: Sequence[Operation], outputs: tuple[str, ...], results: Sequence[int]) -> Program:
    """Without the operations that no result needs."""
    needed = set(results)
    for place in range(len(operations) - 1, -1, -1):
        if place in needed:
            needed.update(operations[place].inputs)
    places = {old: new for new, old in enumerate(sorted(needed))}
    kept = tuple(
        Operation(o.kernel, tuple(places[i] for i in o.inputs), o.parameters, o.ready, o.settled)
        for o in (operations[old] for old in places)
    )
    return Program(kept, outputs, tuple(places[place] for place in results))


class _Builder:
    """Collects operations; equal ones are one."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._places: dict[tuple[str, tuple[int, ...], tuple[float, ...]], int] = {}

    def value(self, expression: Expression) -> _Operand:
        """The single value of `expression`: a number if no part of it depends on the bar."""
        match expression:
            case Number(value=value):
                return value
            case Series(name=name):
                return self._name(name, {})
            case Call(name=name, parameters=parameters):
                return self.outputs(_indicator(name), self.series(expression), parameters)[0]
            case Output(call=call, name=name):
                entry = _indicator(call.name)
                return self.outputs(entry, self.series(call), call.parameters)[entry.output_names.index(name)]
            case Function(name=name, arguments=arguments):
                return self._function(name, [self.value(argument) for argument in arguments])
            case Ago(x=x, bars=bars):
                return self._ago(self.value(x), bars)
            case Negative(x=x) | Not(x=x):
                return self._apply("negative" if isinstance(expression, Negative) else "not", self.value(x))
            case Binary(operator=operator, left=left, right=right):
                return self._binary(operator, self.value(left), self.value(right))

    def series(self, call: Call) -> _Operand | None:
        """What `call` is taken of; None for an indicator that takes no series."""
        return None if call.series is None else self.value(call.series)

    def outputs(self, entry: Indicator, x: _Operand | None, parameters: Sequence[float]) -> list[_Operand]:
        """The outputs of an indicator, in order; one if it has a single value."""
        names: dict[str, _Operand] = {p.name: float(v) for p, v in zip(entry.parameters, parameters, strict=True)}
        if x is not None:
            names["x"] = self.term(x)
        for formula in entry.where:
            names[formula.name] = self._formula(formula.definition, names)
        formulas = entry.outputs or (Formula("", entry.definition),)
        return [self._formula(formula.definition, names) for formula in formulas]

    def term(self, operand: _Operand) -> _Term:
        """`operand` as a column: a number becomes one that holds wherever there is a price."""
        if isinstance(operand, _Term):
            return operand
        return self._add("constant", (self._add("close"),), (operand,))

    def _add(
        self,
        kernel: str,
        inputs: Sequence[_Term] = (),
        parameters: tuple[float, ...] = (),
        bars: tuple[int, int] = (0, 0),
    ) -> _Term:
        """`bars` are what the operation adds to the bars that its inputs need to be ready and to be settled."""
        key = (kernel, tuple(term.place for term in inputs), parameters)
        place = self._places.setdefault(key, len(self.operations))
        if place == len(self.operations):
            ready = max((self.operations[term.place].ready for term in inputs), default=1) + bars[0]
            settled = max((self.operations[term.place].settled for term in inputs), default=1) + bars[1]
            self.operations.append(Operation(*key, ready, settled))
        return _Term(place)

    def _apply(self, kernel: str, *operands: _Operand) -> _Operand:
        numbers = [operand for operand in operands if isinstance(operand, float)]
        if len(numbers) == len(operands):
            value = float(ELEMENTWISE[kernel](*numbers))
            if not isfinite(value):
                raise fault("a constant out of the range of numbers", 0, "finite numbers")
            return value
        return self._add(kernel, [o if isinstance(o, _Term) else self._add("number", (), (o,)) for o in operands])

    def _ago(self, x: _Operand, bars: int) -> _Term:
        return self._add("ago", (self.term(x),), (float(bars),), (bars, bars))

    def _binary(self, operator: str, a: _Operand, b: _Operand) -> _Operand:
        match operator:
            case "<":
                return self._apply("above", b, a)
            case ">=":
                return self._apply("not", self._apply("above", b, a))
            case "<=":
                return self._apply("not", self._apply("above", a, b))
            case "!=":
                return self._apply("not", self._apply("equal", a, b))
        return self._apply(_KERNEL_OF[operator], a, b)

    def _function(self, name: str, arguments: Sequence[_Operand]) -> _Operand:
        entry = catalogue.function(name)
        if entry is None:
            raise fault(f'unknown name "{name}"', 0, "a function of the catalogue")
        return self._formula(entry.definition, dict(zip(entry.arguments, arguments, strict=True)))

    def _formula(self, definition: str, names: Mapping[str, _Operand]) -> _Operand:
        return self._evaluate(_definition_syntax(definition), names)

    def _evaluate(self, syntax: Syntax, names: Mapping[str, _Operand]) -> _Operand:
        """A part of a definition, in which `names` are known beside the catalogue's."""
        match syntax:
            case NumberSyntax(value=value):
                return value
            case NameSyntax(name=name):
                return self._name(name, names)
            case CallSyntax(name=name, arguments=arguments):
                return self._call(name, [self._evaluate(argument.value, names) for argument in arguments])
            case IndexSyntax(x=x, index=index):
                return self._ago(self._evaluate(x, names), _whole(self._evaluate(index, names)))
            case MemberSyntax(x=CallSyntax(name=name, arguments=arguments), name=output):
                values = [self._evaluate(argument.value, names) for argument in arguments]
                return self._indicator(name, values)[_indicator(name).output_names.index(output)]
            case UnarySyntax(operator=operator, x=x):
                return self._apply("negative" if operator == "-" else "not", self._evaluate(x, names))
            case BinarySyntax(operator=operator, left=left, right=right):
                return self._binary(operator, self._evaluate(left, names), self._evaluate(right, names))
        raise fault("an output of no call", syntax.at, "indicator(...).output")

    def _name(self, name: str, names: Mapping[str, _Operand]) -> _Operand:
        if name in names:
            return names[name]
        if name in catalogue.PRICES:
            return self._add(name)
        mixed = catalogue.mixed_series(name)
        if mixed is not None:
            return self._formula(mixed.definition, {})
        return self._indicator(name, [])[0]

    def _call(self, name: str, arguments: Sequence[_Operand]) -> _Operand:
        if name == "smooth":
            x, n, a, bars = arguments
            return self._smooth(x, _whole(n), _number(a), _whole(bars))
        if name in WINDOWS:
            x, n = arguments
            return self._window(name, x, _whole(n))
        if name in ELEMENTWISE:
            return self._apply(name, *arguments)
        if catalogue.function(name) is not None:
            return self._function(name, arguments)
        return self._indicator(name, arguments)[0]

    def _indicator(self, name: str, arguments: Sequence[_Operand]) -> list[_Operand]:
        """In a definition too a first argument is the series unless it is a number."""
        entry = _indicator(name)
        x: _Operand | None = None
        if entry.series is not None:
            given = bool(arguments) and isinstance(arguments[0], _Term)
            x, arguments = (arguments[0], arguments[1:]) if given else (self._name(entry.series, {}), arguments)
        defaults = [parameter.default for parameter in entry.parameters[len(arguments) :]]
        return self.outputs(entry, x, [_number(argument) for argument in arguments] + defaults)

    def _smooth(self, x: _Operand, n: int, a: float, bars: int) -> _Operand:
        if n == 1:
            return x
        return self._add("smooth", (self.term(x),), (float(n), a), (n - 1, max(n, bars) - 1))

    def _window(self, kernel: str, x: _Operand, n: int) -> _Operand:
        if n == 1:
            return self._apply("subtract", x, x) if kernel == "moments" else x
        return self._add(kernel, (self.term(x),), (float(n),), (n - 1, n - 1))


def _indicator(name: str) -> Indicator:
    entry = catalogue.indicator(name)
    if entry is None:
        raise fault(f'unknown name "{name}"', 0, "an indicator of the catalogue")
    return entry


@lru_cache(maxsize=1024)
def _definition_syntax(definition: str) -> Syntax:
    return parse_syntax(definition)


def _number(operand: _Operand) -> float:
    if isinstance(operand, _Term):
        raise fault("a series", 0, "a number: a definition passes a series where a kernel takes a parameter")
    return operand


def _whole(operand: _Operand) -> int:
    return int(_number(operand))


_KERNEL_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "+": "add",
        "-": "subtract",
        "*": "multiply",
        "/": "divide",
        ">": "above",
        "==": "equal",
        "and": "min",
        "or": "max",
    }
)
