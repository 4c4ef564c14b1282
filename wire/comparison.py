"""What a condition compares. Pure; no I/O."""

from collections.abc import Iterator

from wire import catalogue
from wire.expression_tree import Ago, Binary, Expression, Function, Not, Number, canonical
from wire.syntax import COMPARISONS


def compared(condition: Expression) -> tuple[Expression, ...]:
    """The operands of the comparisons and crossings in `condition`, in their order, each once; numbers are left out."""
    found = {canonical(operand): operand for operand in _operands(condition) if not isinstance(operand, Number)}
    return tuple(found.values())


def _operands(condition: Expression) -> Iterator[Expression]:
    match condition:
        case Binary(operator=operator, left=left, right=right):
            if operator in COMPARISONS:
                yield from (left, right)
            else:
                yield from _operands(left)
                yield from _operands(right)
        case Function(name=name, arguments=arguments):
            function = catalogue.function(name)
            if function is not None and function.condition:
                yield from arguments
        case Not(x=x):
            yield from _operands(x)
        case Ago(x=x, bars=bars):
            yield from (Ago(operand, bars) for operand in _operands(x) if not isinstance(operand, Number))
        case _:
            return
