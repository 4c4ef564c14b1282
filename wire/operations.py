"""Operations: those of a program while it is built, equal ones made one. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import Final, NamedTuple

from wire.program import ELEMENTWISE, RECURSIONS, WINDOWS, Operation
from wire.syntax import fault


class Term(NamedTuple):
    """The result of an operation."""

    place: int


Operand = float | Term
"""A number, as long as nothing depends on the bar, or the result of an operation."""


def number_of(operand: Operand) -> float:
    """`operand`, which is a number. Raises ExpressionError if it is a series."""
    if isinstance(operand, Term):
        raise fault("a series", 0, "a number: a definition passes a series where a kernel takes a parameter")
    return operand


def whole_of(operand: Operand) -> int:
    """`operand`, which is a number, cut down to a whole one."""
    return int(number_of(operand))


class Operations:
    """The operations so far; each method adds what it needs and gives its result."""

    def __init__(self) -> None:
        self.all: list[Operation] = []
        self._places: dict[tuple[str, tuple[int, ...], tuple[float, ...]], int] = {}

    def add(
        self,
        kernel: str,
        inputs: Sequence[Term] = (),
        parameters: tuple[float, ...] = (),
        bars: tuple[int, int] = (0, 0),
        outputs: int = 1,
    ) -> Term:
        """`bars` are what the operation adds to the bars that its inputs need to be ready and to be settled."""
        key = (kernel, tuple(term.place for term in inputs), parameters)
        place = self._places.setdefault(key, len(self.all))
        if place == len(self.all):
            ready = max((self.all[term.place].ready for term in inputs), default=1) + bars[0]
            settled = max((self.all[term.place].settled for term in inputs), default=1) + bars[1]
            self.all.append(Operation(*key, ready, settled, outputs))
        return Term(place)

    def term(self, operand: Operand) -> Term:
        """`operand` as a column: a number becomes one that holds wherever there is a price."""
        if isinstance(operand, Term):
            return operand
        return self.add("constant", (self.add("close"),), (operand,))

    def apply(self, kernel: str, *operands: Operand) -> Operand:
        """An elementwise function; of numbers a number. Raises ExpressionError if that is not finite."""
        numbers = [operand for operand in operands if isinstance(operand, float)]
        if len(numbers) == len(operands):
            value = float(ELEMENTWISE[kernel](*numbers))
            if not isfinite(value):
                raise fault("a constant out of the range of numbers", 0, "finite numbers")
            return value
        return self.add(kernel, [o if isinstance(o, Term) else self.add("number", (), (o,)) for o in operands])

    def ago(self, x: Operand, bars: int) -> Operand:
        """``x[bars]``."""
        return x if bars == 0 else self.add("ago", (self.term(x),), (float(bars),), (bars, bars))

    def binary(self, operator: str, a: Operand, b: Operand) -> Operand:
        """Arithmetic, a comparison or logic."""
        match operator:
            case "<":
                return self.apply("above", b, a)
            case ">=":
                return self.apply("not", self.apply("above", b, a))
            case "<=":
                return self.apply("not", self.apply("above", a, b))
            case "!=":
                return self.apply("not", self.apply("equal", a, b))
        return self.apply(_KERNEL_OF[operator], a, b)

    def kernel(self, name: str, arguments: Sequence[Operand]) -> Operand | None:
        """A kernel called by its name in a definition; None for the name of none."""
        if name == "smooth":
            x, n, a, bars = arguments
            return self._smooth(x, whole_of(n), number_of(a), whole_of(bars))
        if name in WINDOWS:
            return self._window(name, arguments[:-1], whole_of(arguments[-1]))
        if name in RECURSIONS:
            return self._recursion(name, arguments)
        if name == "output":
            return self.add("output", (self.term(arguments[0]),), (number_of(arguments[1]),))
        return self.apply(name, *arguments) if name in ELEMENTWISE else None

    def _smooth(self, x: Operand, n: int, a: float, bars: int) -> Operand:
        if a == 1:
            return x
        return self.add("smooth", (self.term(x),), (float(n), a), (n - 1, max(n, bars) - 1))

    def _window(self, kernel: str, inputs: Sequence[Operand], n: int) -> Operand:
        if n > 1:
            terms = [self.term(x) for x in inputs]
            return self.add(kernel, terms, (float(n),), self._window_bars(terms, n))
        if kernel in ("sum", "highest", "lowest", "weighted"):
            return inputs[0]
        nothing = self.apply("subtract", inputs[0], inputs[-1])
        return self.apply("abs", nothing) if kernel == "deviation" else nothing

    def _window_bars(self, terms: Sequence[Term], n: int) -> tuple[int, int]:
        """The window is of the first input; any other is only read at the bar itself."""
        x, *others = (self.all[term.place] for term in terms)
        ready = max([x.ready, *(other.ready for other in others)])
        settled = max([x.settled, *(other.settled for other in others)])
        return max(x.ready + n - 1 - ready, 0), max(x.settled + n - 1 - settled, 0)

    def _recursion(self, kernel: str, arguments: Sequence[Operand]) -> Operand:
        of = RECURSIONS[kernel]
        *parameters, bars = (number_of(argument) for argument in arguments[of.inputs :])
        inputs = [self.term(x) for x in arguments[: of.inputs]]
        return self.add(kernel, inputs, tuple(parameters), (0, int(bars)), of.outputs)


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
