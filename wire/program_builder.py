"""Expression to program: the catalogue's definitions written out, equal operations made one. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from wire import catalogue
from wire.catalogue import Formula, Indicator
from wire.expression_tree import Ago, Binary, Call, Expression, Function, Negative, Not, Number, Output, Series
from wire.operations import Operand, Operations, Term, number_of, whole_of
from wire.program import EVENTS, NEVER, SERIES, TALIB, Operation, Program
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
    operations = builder.operations
    places = [operations.term(value).place for value in values]
    return _pruned(operations.all, outputs, places)


def _pruned(operations: Sequence[Operation], outputs: tuple[str, ...], results: Sequence[int]) -> Program:
    """Without the operations that no result needs."""
    needed = set(results)
    for place in range(len(operations) - 1, -1, -1):
        if place in needed:
            needed.update(operations[place].inputs)
    places = {old: new for new, old in enumerate(sorted(needed))}
    kept = tuple(replace(o, inputs=tuple(places[i] for i in o.inputs)) for o in (operations[old] for old in places))
    return Program(kept, outputs, tuple(places[place] for place in results))


class _Builder:
    """Turns expressions, and the definitions that they stand for, into operations."""

    def __init__(self) -> None:
        self.operations = Operations()

    def value(self, expression: Expression) -> Operand:
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
                return self.operations.ago(self.value(x), bars)
            case Negative(x=x) | Not(x=x):
                return self.operations.apply("negative" if isinstance(expression, Negative) else "not", self.value(x))
            case Binary(operator=operator, left=left, right=right):
                return self.operations.binary(operator, self.value(left), self.value(right))

    def series(self, call: Call) -> Operand | None:
        """What `call` is taken of; None for an indicator that takes no series."""
        return None if call.series is None else self.value(call.series)

    def outputs(self, entry: Indicator, x: Operand | None, parameters: Sequence[float]) -> list[Operand]:
        """The outputs of an indicator, in order; one if it has a single value. What is to be whole is cut down."""
        names: dict[str, Operand] = {
            p.name: float(int(v) if p.whole else v) for p, v in zip(entry.parameters, parameters, strict=True)
        }
        if x is not None:
            names["x"] = self.operations.term(x)
        if entry.function:
            return self._talib(entry, names)
        for formula in entry.where:
            names[formula.name] = self._formula(formula.definition, names)
        formulas = entry.outputs or (Formula("", entry.definition),)
        return [self._formula(formula.definition, names) for formula in formulas]

    def _talib(self, entry: Indicator, names: Mapping[str, Operand]) -> list[Operand]:
        """The outputs of an indicator that TA-Lib computes."""
        inputs = [self.operations.term(self._name(name, names)) for name in entry.inputs]
        parameters = tuple(number_of(names[parameter.name]) for parameter in entry.parameters)
        lookback, unstable = (whole_of(self._formula(text, names)) for text in (entry.lookback, entry.unstable))
        bars = (lookback, lookback + unstable)
        outputs = len(entry.output_names)
        return self._outputs(
            self.operations.add(f"{TALIB}{entry.function}", inputs, parameters, bars, max(outputs, 1)), outputs
        )

    def _outputs(self, term: Term, outputs: int) -> list[Operand]:
        """The named outputs of an operation; itself if it has none."""
        return [self.operations.add("output", (term,), (float(place),)) for place in range(outputs)] or [term]

    def _function(self, name: str, arguments: Sequence[Operand]) -> Operand:
        if name in EVENTS:
            return self.operations.add(
                name, (self.operations.term(arguments[0]), self.operations.add("count")), (), (1, 1)
            )
        entry = catalogue.function(name)
        if entry is None:
            raise fault(f'unknown name "{name}"', 0, "a function of the catalogue")
        return self._formula(entry.definition, dict(zip(entry.arguments, arguments, strict=True)))

    def _formula(self, definition: str, names: Mapping[str, Operand]) -> Operand:
        return self._evaluate(_definition_syntax(definition), names)

    def _evaluate(self, syntax: Syntax, names: Mapping[str, Operand]) -> Operand:
        """A part of a definition, in which `names` are known beside the catalogue's."""
        match syntax:
            case NumberSyntax(value=value):
                return value
            case NameSyntax(name=name):
                return self._name(name, names)
            case CallSyntax(name=name, arguments=arguments):
                return self._call(name, [self._evaluate(argument.value, names) for argument in arguments])
            case IndexSyntax(x=x, index=index):
                return self.operations.ago(self._evaluate(x, names), whole_of(self._evaluate(index, names)))
            case MemberSyntax(x=CallSyntax(name=name, arguments=arguments), name=output):
                values = [self._evaluate(argument.value, names) for argument in arguments]
                return self._indicator(name, values)[_indicator(name).output_names.index(output)]
            case UnarySyntax(operator=operator, x=x):
                return self.operations.apply("negative" if operator == "-" else "not", self._evaluate(x, names))
            case BinarySyntax(operator=operator, left=left, right=right):
                return self.operations.binary(operator, self._evaluate(left, names), self._evaluate(right, names))
        raise fault("an output of no call", syntax.at, "indicator(...).output")

    def _name(self, name: str, names: Mapping[str, Operand]) -> Operand:
        if name in names:
            return names[name]
        if name in SERIES:
            return self.operations.add(name)
        if name == "never":
            return float(NEVER)
        mixed = catalogue.mixed_series(name)
        if mixed is not None:
            return self._formula(mixed.definition, {})
        return self._indicator(name, [])[0]

    def _call(self, name: str, arguments: Sequence[Operand]) -> Operand:
        found = self.operations.kernel(name, arguments)
        if found is not None:
            return found
        if catalogue.function(name) is not None:
            return self._function(name, arguments)
        return self._indicator(name, arguments)[0]

    def _indicator(self, name: str, arguments: Sequence[Operand]) -> list[Operand]:
        """In a definition too a first argument is the series unless it is a number."""
        entry = _indicator(name)
        x: Operand | None = None
        if entry.series is not None:
            given = bool(arguments) and isinstance(arguments[0], Term)
            x, arguments = (arguments[0], arguments[1:]) if given else (self._name(entry.series, {}), arguments)
        defaults = [parameter.default for parameter in entry.parameters[len(arguments) :]]
        return self.outputs(entry, x, [number_of(argument) for argument in arguments] + defaults)


def _indicator(name: str) -> Indicator:
    entry = catalogue.indicator(name)
    if entry is None:
        raise fault(f'unknown name "{name}"', 0, "an indicator of the catalogue")
    return entry


@lru_cache(maxsize=1024)
def _definition_syntax(definition: str) -> Syntax:
    return parse_syntax(definition)
