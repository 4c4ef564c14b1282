"""Budget: the memory that an engine may spend on what its graphs remember. Pure; no I/O."""

from functools import lru_cache
from typing import Final

from engine.compile import build_node, node_keys
from engine.errors import EngineError
from wire.program import TALIB, Operation, Program

DEFAULT_BYTES: Final = 1 << 30

NODE_BYTES: Final = 1_600
"""What a node costs beside its columns: the node, its kernel, and the heads of their arrays."""

GRAPH_BYTES: Final = 4_500
"""What a graph of its own costs: its tables, its births, the expression and its program."""

HANDLE_BYTES: Final = 4_096
"""What a handle of TA-Lib holds for one slot, beside the bars of its window."""


class BudgetError(EngineError):
    """There is no memory for one more expression now; there may be later."""

    def __init__(self, asked_bytes: int, left_bytes: int) -> None:
        super().__init__(f"expected at most the {left_bytes} bytes that are left, found {asked_bytes}")
        self.asked_bytes = asked_bytes
        self.left_bytes = left_bytes


class Budget:
    """So many bytes for the states of all graphs of an engine."""

    def __init__(self, limit_bytes: int = DEFAULT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0

    @property
    def left_bytes(self) -> int:
        """What may still be taken."""
        return self.limit_bytes - self.used_bytes

    def take(self, asked_bytes: int) -> None:
        """Raises BudgetError when there is not so much left; nothing is taken then. Less than 0 gives back."""
        if asked_bytes > max(self.left_bytes, 0):
            raise BudgetError(asked_bytes, self.left_bytes)
        self.used_bytes += asked_bytes


class Account:
    """What the graphs of one venue and timeframe, of `width` slots, have taken of a budget."""

    def __init__(self, budget: Budget, width: int) -> None:
        self._budget = budget
        self._width = width
        self._nodes: dict[str, tuple[int, int]] = {}
        """By node of the wide graph: what it costs, and how many programs need it."""
        self._narrow: dict[object, int] = {}

    def take_wide(self, program: Program) -> None:
        """A program is to be in the wide graph: its nodes are paid for once. Raises BudgetError."""
        operations = zip(node_keys(program), program.operations, strict=True)
        costs = {key: NODE_BYTES + operation_bytes(operation) * self._width for key, operation in operations}
        self._budget.take(sum(cost for key, cost in costs.items() if key not in self._nodes))
        for key, cost in costs.items():
            _, users = self._nodes.get(key, (cost, 0))
            self._nodes[key] = cost, users + 1

    def free_wide(self, program: Program) -> None:
        """It is not there any more."""
        for key in node_keys(program):
            cost, users = self._nodes.pop(key)
            if users > 1:
                self._nodes[key] = cost, users - 1
            else:
                self._budget.take(-cost)

    def take_narrow(self, owner: object, cost_bytes: int) -> None:
        """The narrow graphs of `owner` are to cost so much in all, 0 if there are none any more. Raises BudgetError."""
        self._budget.take(cost_bytes - self._narrow.get(owner, 0))
        if cost_bytes:
            self._narrow[owner] = cost_bytes
        else:
            self._narrow.pop(owner, None)


@lru_cache(maxsize=65_536)
def operation_bytes(operation: Operation) -> int:
    """What one slot of an operation costs: its share of the node's state and value."""
    node = build_node(operation, 1, 0)
    held = 0 if node.kernel is None else sum(array.nbytes for array in node.kernel.state())
    handle = HANDLE_BYTES if operation.kernel.startswith(TALIB) else 0
    return int(held + node.value.nbytes + handle)


def program_bytes(program: Program, width: int) -> int:
    """What a graph of its own for `program` costs, of so many slots."""
    slot = sum(operation_bytes(operation) for operation in program.operations)
    return GRAPH_BYTES + NODE_BYTES * len(program.operations) + slot * width


def narrow_bytes(program: Program, width: int) -> int:
    """What the narrow graphs of an expression cost; those with handles are taken for one a slot."""
    if width == 0:
        return 0
    return program_bytes(program, 1) * width if has_handles(program) else program_bytes(program, width)


def has_handles(program: Program) -> bool:
    """Whether a function of TA-Lib is part of it, which has a handle for each slot."""
    return any(operation.kernel.startswith(TALIB) for operation in program.operations)
