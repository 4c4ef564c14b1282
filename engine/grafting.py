"""Grafting: the state of some slots from one graph to another at the same boundary. Pure; no I/O."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.compile import build_node
from engine.errors import GraphError
from engine.graph import Graph
from engine.kernels.instant import Births, Slots


def transplant(target: Graph, source: Graph, slots: Slots, keys: Iterable[str]) -> None:
    """Gives `slots` of `target`, in their order, what the slots of `source` remember at the nodes `keys`.

    A slot of which both count other bars, and one not enough to be ready, is left as it is at that node: its kernel
    would take the state for another than it is. Costs a copy of those nodes' states.
    """
    _check_number(target, source)
    for key in keys:
        into, out_of = target.nodes[key], source.nodes[key]
        if into.kernel is None or out_of.kernel is None:
            continue
        known = target.births.ages(target.number, into.began)[slots]
        given = source.births.ages(source.number, out_of.began)
        fits = np.flatnonzero((known == given) | (np.minimum(known, given) >= into.ready))
        pairs = zip(into.kernel.state(), out_of.kernel.state(), strict=True)
        into.kernel.restore([_mixed(old, new, slots[fits], fits) for old, new in pairs])
        into.value = _mixed(into.value, out_of.value, slots[fits], fits)
    target.recall()


def rebirth(target: Graph, source: Graph, slots: Slots) -> None:
    """The bars of `slots` are counted as in `source`, all of whose nodes are transplanted next."""
    first = target.births.first.copy()
    first[slots] = source.births.first
    target.births = births_of(first, target.number)
    target.forget_plans()


def append(target: Graph, source: Graph, newest: Columns | None) -> None:
    """Adds the slots of `source` behind those of `target`; both have the same nodes. Costs a copy of their states.

    `newest` is the last bar of all these slots.
    """
    _check_number(target, source)
    for key, node in target.nodes.items():
        other = source.nodes[key]
        if node.kernel is None or other.kernel is None:
            continue
        pairs = zip(node.kernel.state(), other.kernel.state(), strict=True)
        node.kernel.restore([np.concatenate(pair, axis=-1) for pair in pairs])
        node.value = np.concatenate((node.value, other.value), axis=-1)
    target.births = births_of(np.concatenate((target.births.first, source.births.first)), target.number)
    target.newest = newest
    _resize(target, target.width + source.width)


def keep_slots(target: Graph, slots: Slots) -> None:
    """Leaves only `slots`, in their order."""
    for node in target.nodes.values():
        if node.kernel is not None:
            node.kernel.restore([array.take(slots, axis=-1) for array in node.kernel.state()])
            node.value = node.value.take(slots, axis=-1)
    target.births = births_of(target.births.first.take(slots), target.number)
    if target.newest is not None:
        target.newest = target.newest.take(slots)
    _resize(target, len(slots))


def alike(target: Graph, width: int, number: int) -> Graph:
    """A graph of `width` slots that computes what `target` does, and remembers nothing; it stands at `number`."""
    warmed = Graph(width, number)
    for signal in target.signals:
        for key, operation in zip(signal.keys, signal.program.operations, strict=True):
            if key not in warmed.nodes:
                warmed.nodes[key] = build_node(operation, width, target.nodes[key].began)
    graph = Graph(width, number)
    for signal in target.signals:
        graph.adopt(signal.expression, signal.program, warmed)
    return graph


def births_of(first: NDArray[np.int64], number: int) -> Births:
    """The births at boundary `number`, of slots whose first bars were `first`, or come later."""
    born = first <= number
    return Births(first, np.flatnonzero(~born), int(first[born].max()) if born.any() else number)


def _mixed(old: NDArray[Any], new: NDArray[Any], into: Slots, out_of: Slots) -> NDArray[Any]:
    mixed = old.copy()
    mixed[..., into] = new[..., out_of]
    return mixed


def _resize(target: Graph, width: int) -> None:
    target.width = width
    for node in target.nodes.values():
        if node.kernel is None and node.value.ndim:
            node.value = np.full((*node.value.shape[:-1], width), np.nan)
    target.forget_plans()
    target.recall()


def _check_number(target: Graph, source: Graph) -> None:
    if target.number != source.number:
        raise GraphError(f"expected a graph at boundary {target.number}, found one at {source.number}")
