"""Operations of a program to nodes of a graph. Pure; no I/O."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.errors import GraphError
from engine.kernels import talib
from engine.kernels.ago import Ago
from engine.kernels.apply import FUNCTIONS, Step, constant, elementwise, number, output, price
from engine.kernels.blocks import Extreme, Weighted
from engine.kernels.deviation import Deviation
from engine.kernels.event import Held, Turned
from engine.kernels.follow import BarsSince, Kama, Session, Total
from engine.kernels.moments import Moments
from engine.kernels.node import Kernel, Node
from engine.kernels.smooth import Smooth
from engine.kernels.trailing import Sar, Supertrend
from engine.kernels.window import MERGES, Window
from wire.expression_tree import number_text
from wire.program import EVENTS, RECURSIONS, SERIES, TALIB, WINDOWS, Operation, Program

_REMEMBERING: Final = frozenset((*WINDOWS, *RECURSIONS, *EVENTS))

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
    kernel = operation.kernel
    return kernel in ("ago", "smooth") or kernel in _REMEMBERING or kernel.startswith(TALIB)


def build_node(operation: Operation, width: int, began: int) -> Node:
    """A node for `operation` without history, to be linked to its inputs. GraphError for an unknown kernel."""
    value = np.full(width if operation.outputs == 1 else (operation.outputs, width), np.nan)
    if not remembers(operation):
        return Node(operation.ready, operation.settled, began, value, _step(operation), None)
    kernel = _kernel(operation, width, began)
    return Node(operation.ready, operation.settled, began, value, kernel.step, kernel)


def _kernel(operation: Operation, width: int, began: int) -> Kernel:
    """The kernel of an operation that needs history."""
    parameters = operation.parameters
    if operation.kernel.startswith(TALIB):
        return talib.handles(operation, width, began)
    match operation.kernel:
        case "ago":
            return Ago(width, int(parameters[0]))
        case "smooth":
            n, weight = parameters
            return Smooth(width, began, operation.ready - int(n) + 1, int(n), weight)
        case "turned":
            return Turned(width)
        case "held":
            return Held(width)
        case "sar":
            return Sar(width, *parameters)
        case name if name in WINDOWS:
            return _window(name, width, int(parameters[0]))
        case name:
            return _FOLLOWERS[name](width)


def _window(kernel: str, width: int, n: int) -> Kernel:
    match kernel:
        case "moments":
            return Moments(width, n)
        case "weighted":
            return Weighted(width, n)
        case "deviation":
            return Deviation(width, n)
        case "since_highest" | "since_lowest":
            return Extreme(width, n, lowest=kernel == "since_lowest")
    return Window(width, MERGES[kernel], n)


_FOLLOWERS: Final[Mapping[str, Callable[[int], Kernel]]] = MappingProxyType(
    {"total": Total, "session": Session, "barssince": BarsSince, "kama": Kama, "supertrend": Supertrend}
)


def _step(operation: Operation) -> Step:
    """The step of an operation that needs no history."""
    match operation.kernel:
        case "number":
            return number(operation.parameters[0])
        case "constant":
            return constant(operation.parameters[0])
        case "output":
            return output(int(operation.parameters[0]))
        case name if name in SERIES:
            return price(name)
        case name if name in FUNCTIONS:
            return elementwise(name)
    raise GraphError(f"expected a kernel of wire.program, found {operation.kernel!r}")
