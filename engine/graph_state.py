"""GraphState: what a graph remembers as data, and a graph from it again. Pure; no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine import grafting
from engine.compile import build_node, node_keys
from engine.graph import Graph, Lease
from engine.kernels.instant import Slots
from engine.kernels.node import BEFORE_ALL, Node
from wire.expression_tree import Expression
from wire.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class NodeState:
    """What one node remembers. `version` is that of its kernel; the others are as in Node, the slots the last axis."""

    version: int
    began: int
    value: NDArray[np.float64]
    arrays: tuple[NDArray[Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class GraphState:
    """What one graph remembers at boundary `number`.

    `expression` is the canonical text of a narrow graph's, empty for the wide graph. `slots` are those of the venue,
    in the order of the columns, `first` their births. `nodes` are those with a kernel, by key.
    """

    number: int
    expression: str
    slots: Slots
    first: NDArray[np.int64]
    nodes: Mapping[str, NodeState]

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        arrays = sum(array.nbytes for node in self.nodes.values() for array in (node.value, *node.arrays))
        return arrays + self.first.nbytes + self.slots.nbytes

    def at(self, moved: Slots) -> Self:
        """For a venue whose slots are others: the new place of each slot, -1 for one that is gone."""
        slots = moved[self.slots]
        kept = np.flatnonzero(slots >= 0)
        if len(kept) == len(slots):
            return replace(self, slots=slots)
        nodes = {
            key: replace(
                node,
                value=node.value.take(kept, axis=-1),
                arrays=tuple(array.take(kept, axis=-1) for array in node.arrays),
            )
            for key, node in self.nodes.items()
        }
        return replace(self, slots=slots[kept], first=self.first[kept], nodes=nodes)


def copy_state(graph: Graph, slots: Slots, expression: str, keys: Iterable[str]) -> GraphState:
    """What `graph` remembers now at the nodes `keys`, copied. `slots` are those of the venue that it has."""
    nodes = {}
    for key in keys:
        node = graph.nodes[key]
        if node.kernel is not None:
            arrays = tuple(array.copy() for array in node.kernel.state())
            nodes[key] = NodeState(node.kernel.VERSION, node.began, node.value, arrays)
    return GraphState(graph.number, expression, slots, graph.births.first, nodes)


def lend_state(graph: Graph, slots: Slots, expression: str = "") -> tuple[GraphState, Lease]:
    """As `copy_state`, of all nodes, without copying: `graph` does that when it goes on before the lease has ended.

    Only what has several rows for a slot is ever written to.
    """
    nodes, written = {}, []
    for key, node in graph.nodes.items():
        if node.kernel is not None:
            arrays = node.kernel.state()
            nodes[key] = NodeState(node.kernel.VERSION, node.began, node.value, arrays)
            if any(array.ndim > 1 for array in arrays) and node.kernel.state()[0] is arrays[0]:
                written.append(node.kernel)
    lease = Lease(written)
    graph.lend(lease)
    return GraphState(graph.number, expression, slots, graph.births.first, nodes), lease


def wide_graph(state: GraphState, expression: Expression, program: Program, width: int) -> Graph | None:
    """A graph of all `width` slots with what `state` remembers for `expression`; None if something is missing.

    Slots that `state` does not have are not born yet.
    """
    first = np.full(width, np.iinfo(np.int64).max // 2)
    first[state.slots] = state.first
    everything = np.arange(len(state.slots))
    return _rebuilt(state, expression, program, _Fit(first, state.slots, everything, keeps_began=True))


def narrow_graph(state: GraphState, expression: Expression, program: Program, slots: Slots) -> Graph | None:
    """A graph of `slots` with what `state` remembers of `expression`; None if something is missing.

    None too where the nodes know so unequally much of a slot that one list of births can't tell it.
    """
    began = [state.nodes[key].began for key in node_keys(program) if key in state.nodes]
    if not began:
        return None
    columns = _columns(state, slots)
    if (columns < 0).any():
        return None
    first = state.first[columns]
    oldest, youngest = np.maximum(first, min(began) + 1), np.maximum(first, max(began) + 1)
    if not np.all((oldest == youngest) | (state.number + 1 - youngest >= program.ready)):
        return None
    fit = _Fit(youngest, np.arange(len(slots)), columns, keeps_began=False)
    return _rebuilt(state, expression, program, fit)


def _columns(state: GraphState, slots: Slots) -> Slots:
    """The places of `slots` in the columns of `state`, -1 for one that is not there."""
    places = {slot: place for place, slot in enumerate(state.slots.tolist())}
    return np.array([places.get(slot, -1) for slot in slots.tolist()], np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Into a graph of slots born at `first`: its columns `into` from those of a state `out_of`."""

    first: NDArray[np.int64]
    into: Slots
    out_of: Slots
    keeps_began: bool


def recalled(graph: Graph, state: GraphState, slots: Slots) -> bool:
    """Gives a new `graph` of `slots`, at the boundary of `state`, what that remembers; False if something is missing.

    The graph may have been given a part then: it is of no use.
    """
    columns = _columns(state, slots)
    if (columns < 0).any() or graph.number != state.number:
        return False
    fit = _Fit(state.first[columns], np.arange(len(slots)), columns, keeps_began=True)
    for key, node in graph.nodes.items():
        saved = state.nodes.get(key)
        if node.kernel is not None and (saved is None or saved.began != node.began or not _restored(node, saved, fit)):
            return False
    graph.births = grafting.births_of(fit.first, state.number)
    return True


def _rebuilt(state: GraphState, expression: Expression, program: Program, fit: _Fit) -> Graph | None:
    width = len(fit.first)
    warmed = Graph(width, state.number)
    for key, operation in zip(node_keys(program), program.operations, strict=True):
        saved = state.nodes.get(key)
        began = saved.began if saved is not None and fit.keeps_began else BEFORE_ALL
        node = build_node(operation, width, began)
        if node.kernel is not None and (saved is None or not _restored(node, saved, fit)):
            return None
        warmed.nodes[key] = node
    graph = Graph(width, state.number, None if fit.keeps_began else BEFORE_ALL)
    warmed.births = grafting.births_of(fit.first, state.number)
    graph.adopt(expression, program, warmed)
    return graph


def _restored(node: Node, saved: NodeState, fit: _Fit) -> bool:
    """Gives a new node what was saved; False if that is of another kernel or form."""
    if node.kernel is None or saved.version != node.kernel.VERSION:
        return False
    arrays = []
    blank = node.kernel.state()
    if len(blank) != len(saved.arrays):
        return False
    for empty, array in zip((node.value, *blank), (saved.value, *saved.arrays), strict=True):
        if empty.shape[:-1] != array.shape[:-1] or empty.dtype != array.dtype:
            return False
        filled = empty.copy()
        filled[..., fit.into] = array[..., fit.out_of]
        arrays.append(filled)
    node.value = arrays[0]
    node.kernel.restore(arrays[1:])
    return True
