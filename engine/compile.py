"""Operations of a program to nodes of a graph. Pure; no I/O."""

from hashlib import blake2b
from typing import Final

import numpy as np

from engine.errors import GraphError
from engine.kernels.ago import Ago
from engine.kernels.apply import FUNCTIONS, Step, constant, elementwise, number, price
from engine.kernels.moments import Moments
from engine.kernels.node import Node
from engine.kernels.smooth import Smooth
from engine.kernels.window import MERGES, Window
from wire.catalogue import PRICES
from wire.expression_tree import number_text
from wire.program import Operation, Program

MAX_KEY: Final = 80
"""A longer key is told by its digest."""


def node_keys(program: Program) -> tuple[str, ...]:
    """For each operation the text that names it in any graph: ``smooth(close();9,0.2)``.

    Equal operations on equal inputs have equal keys, in whatever expression and process.
    """
    keys: list[str] = []
    for operation in program.operations:
        inputs = ",".join(keys[place] for place in operation.inputs)
        parameters = ",".join(number_text(value) for value in operation.parameters)
        key = f"{operation.kernel}({inputs};{parameters})" if parameters else f"{operation.kernel}({inputs})"
        keys.append(key if len(key) <= MAX_KEY else blake2b(key.encode(), digest_size=20).hexdigest())
    return tuple(keys)


def remembers(operation: Operation) -> bool:
    """True for an operation that needs the bars before the one in hand."""
    return operation.kernel in ("ago", "smooth", "moments", *MERGES)


def build_node(operation: Operation, width: int, began: int) -> Node:
    """A node for `operation` without history, to be linked to its inputs. GraphError for an unknown kernel."""
    value = np.full(width, np.nan)
    if not remembers(operation):
        return Node(operation.ready, operation.settled, began, value, _step(operation), None)
    kernel = _memory(operation, width, began)
    return Node(operation.ready, operation.settled, began, value, kernel.step, kernel.keep)


def _memory(operation: Operation, width: int, began: int) -> Ago | Smooth | Window | Moments:
    """The kernel of an operation that needs history."""
    parameters = operation.parameters
    match operation.kernel:
        case "ago":
            return Ago(width, int(parameters[0]))
        case "smooth":
            n, weight = parameters
            return Smooth(width, began, operation.ready - int(n) + 1, int(n), weight)
        case "moments":
            return Moments(width, int(parameters[0]))
        case name:
            return Window(width, MERGES[name], int(parameters[0]))


def _step(operation: Operation) -> Step:
    """The step of an operation that needs no history."""
    match operation.kernel:
        case "number":
            return number(operation.parameters[0])
        case "constant":
            return constant(operation.parameters[0])
        case name if name in PRICES:
            return price(name)
        case name if name in FUNCTIONS:
            return elementwise(name)
    raise GraphError(f"expected a kernel of wire.program, found {operation.kernel!r}")
