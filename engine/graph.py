"""Graph: the shared nodes of all expressions that are watched at one venue and timeframe. Pure; no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.compile import build_node, node_keys, remembers
from engine.errors import GraphError
from engine.kernels.instant import Births, Column, Instant, Slots
from engine.kernels.node import Node
from wire.expression_tree import Expression
from wire.program import Program
from wire.program_builder import build_program

Values = tuple[Column, ...]
"""One column for each output of an expression; a single one if it has no named outputs."""

GATHER_UNDER: Final = 1 / 4
"""A peek at a smaller share of the slots gathers them; at a larger one it computes them all."""


class Signal:
    """One watched expression in one graph.

    `outputs` names its values, () for a single one. `ready` counts the bars that a slot needs for a value (of every
    output), `settled` those after which the value no longer depends on where its history began.
    """

    def __init__(self, graph: "Graph", expression: Expression, program: Program) -> None:
        self.expression = expression
        self.program = program
        self.outputs = program.outputs
        self.ready = program.ready
        self.settled = program.settled
        self.watchers = 0
        self.keys = node_keys(program)
        self.nodes: tuple[Node, ...] = ()
        self.results: tuple[Node, ...] = ()
        self._graph = graph

    @property
    def values(self) -> Values:
        """The values at the last commit, a column of shape (width,) for each output, NaN while warming up.

        The columns stay what they are when the graph goes on; they are not to be written to.
        """
        return tuple(node.value for node in self.results)

    def ages(self, *, forming: bool = False) -> NDArray[np.int64]:
        """How many bars each slot has to compute from, at the last commit or in the forming bar; shape (width,).

        Not to be written to.
        """
        ages = self._graph.ages(max(node.began for node in self.results))
        return ages + 1 if forming else ages

    def ready_mask(self, *, forming: bool = False) -> NDArray[np.bool_]:
        """The slots that have a value of every output, given a price; shape (width,)."""
        return self.ages() >= self.ready - int(forming)

    def settled_mask(self, *, forming: bool = False) -> NDArray[np.bool_]:
        """The slots whose values no longer depend on where history began; shape (width,)."""
        return self.ages() >= self.settled - int(forming)

    def link(self, nodes: Mapping[str, Node]) -> None:
        """Reads its values from `nodes` from now on."""
        self.nodes = tuple(nodes[key] for key in self.keys)
        self.results = tuple(self.nodes[place] for place in self.program.results)


class Graph:
    """All that is computed of the bars of `width` slots, which close together.

    Equal operations are one node, whatever expressions they come from. A new node may be warmed with history; a slot
    may get its first bar at any time, and has then the values that it would have in a graph of its own.
    `number` is that of the last boundary committed. It need not start at 0: the order in which windows add up follows
    it, and a slot's bits depend on nothing but its own bars and that.
    """

    def __init__(self, width: int, number: int = 0) -> None:
        self.width = width
        self.number = number
        self._births = Births.none(width, number)
        self._ages: dict[int, NDArray[np.int64]] = {}
        self._newest: Columns | None = None
        self._nodes: dict[str, Node] = {}
        self._signals: dict[Expression, Signal] = {}
        self._planned: tuple[list[Signal], tuple[Node, ...]] = ([], ())

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def watch(self, expression: Expression, history: Sequence[Columns] = ()) -> Signal:
        """Computes `expression` from now on, until `unwatch` has been called as often as this.

        `history` are the closed bars up to the last one committed, oldest first and none left out: nodes that are new
        are warmed with it, and so are those that have seen less of it. It may reach back before the graph's first
        bar. Costs as much as that many commits, if there is something to warm.
        """
        for bar in history:
            self._check(bar)
        signal = self._signals.get(expression)
        if signal is None:
            signal = Signal(self, expression, build_program(expression))
        self._extend(signal, history)
        if signal.watchers == 0:
            self._signals[expression] = signal
            for node in signal.nodes:
                node.watchers += 1
        signal.watchers += 1
        return signal

    def unwatch(self, signal: Signal) -> None:
        """Takes one `watch` back; with the last one the nodes go that no other signal needs."""
        if self._signals.get(signal.expression) is not signal:
            raise GraphError("expected a signal that is watched in this graph, found one that is not")
        signal.watchers -= 1
        if signal.watchers:
            return
        del self._signals[signal.expression]
        for key, node in zip(signal.keys, signal.nodes, strict=True):
            node.watchers -= 1
            if node.watchers == 0:
                del self._nodes[key]
        self._planned = ([], ())

    def commit(self, bar: Columns) -> None:
        """Takes the next closed bar: computes every node and keeps what came out."""
        self._check(bar)
        number = self.number + 1
        births = self._births.joined(number, bar.close)
        instant = Instant(bar, number, births)
        with np.errstate(all="ignore"):
            values = _evaluated(self._nodes.values(), instant)
            for node, value in values.items():
                if node.keep is not None:
                    node.keep(instant, value, *[values[source] for source in node.inputs])
                node.value = value
        self.number, self._births, self._newest = number, births, bar
        self._ages.clear()

    def peek(self, bar: Columns, signals: Sequence[Signal], slots: Slots | None = None) -> list[Values]:
        """The values of `signals` if `bar`, the forming one, closed as it is; keeps nothing.

        Columns of shape (width,), or of shape (len(slots),) in the order of `slots`; not to be written to.
        """
        self._check(bar)
        number = self.number + 1
        gathered = slots is not None and len(slots) < GATHER_UNDER * self.width
        instant = Instant(bar, number, self._births.joined(number, bar.close), slots if gathered else None)
        with np.errstate(all="ignore"):
            values = _evaluated(self._plan(signals), instant)
        chosen = None if gathered else slots
        return [
            tuple(values[node] if chosen is None else values[node].take(chosen) for node in signal.results)
            for signal in signals
        ]

    def ages(self, began: int) -> NDArray[np.int64]:
        """How many bars each slot had at the last commit, those from boundary `began` + 1 on; shape (width,)."""
        if began not in self._ages:
            self._ages[began] = self._births.ages(self.number, began)
        return self._ages[began]

    def _check(self, bar: Columns) -> None:
        if bar.width != self.width:
            raise GraphError(f"expected a bar of {self.width} slots, found {bar.width}")

    def _plan(self, signals: Sequence[Signal]) -> tuple[Node, ...]:
        """The nodes behind `signals`, inputs first; the last answer is remembered."""
        if self._planned[0] != signals:
            nodes = dict.fromkeys(node for signal in signals for node in signal.nodes)
            self._planned = (list(signals), tuple(nodes))
        return self._planned[1]

    def _extend(self, signal: Signal, history: Sequence[Columns]) -> None:
        """Links `signal` to the nodes that there are, unless they know less than `history` tells, else to new ones."""
        began = self.number - len(history)
        old = {key: self._nodes[key] for key in signal.keys if key in self._nodes}
        operations = dict(zip(signal.keys, signal.program.operations, strict=True))
        lacking = [key for key in signal.keys if key not in old or old[key].began > began]
        if history and any(remembers(operations[key]) for key in lacking):
            warmed = self._warmed(signal.expression, history)
            new = {key: warmed[key] for key in lacking}
        else:
            new = {key: build_node(operations[key], self.width, began) for key in lacking}
        self._nodes |= new
        for key, node in new.items():
            node.link([self._nodes[signal.keys[place]] for place in operations[key].inputs])
            node.watchers = 0
        signal.link(self._nodes)
        self._replace({node: new[key] for key, node in old.items() if key in new})
        self._recall(history[-1] if history else self._newest)

    def _replace(self, replaced: Mapping[Node, Node]) -> None:
        """Reads the new nodes wherever the old ones, which knew less, were read."""
        if not replaced:
            return
        for old, new in replaced.items():
            new.watchers = old.watchers
        for node in self._nodes.values():
            node.link([replaced.get(source, source) for source in node.inputs])
        for signal in self._signals.values():
            signal.link(self._nodes)
        self._planned = ([], ())

    def _recall(self, newest: Columns | None) -> None:
        """Gives every node that needs no history its value at the last commit, the bar `newest`."""
        if newest is None:
            return
        instant = Instant(newest, self.number, self._births)
        with np.errstate(all="ignore"):
            for node in self._nodes.values():
                if node.keep is None:
                    node.value = node.step(instant, *[source.value for source in node.inputs])

    def _warmed(self, expression: Expression, history: Sequence[Columns]) -> dict[str, Node]:
        """The nodes of `expression` with the past that `history` gives them."""
        scratch = Graph(self.width, self.number - len(history))
        scratch.watch(expression)
        for bar in history:
            scratch.commit(bar)
        self._births = self._births.earliest(scratch._births)
        self._ages.clear()
        return scratch._nodes


def _evaluated(nodes: Iterable[Node], instant: Instant) -> dict[Node, Column]:
    """The value of each of `nodes` at `instant`; inputs come before what uses them."""
    values: dict[Node, Column] = {}
    for node in nodes:
        values[node] = node.step(instant, *[values[source] for source in node.inputs])
    return values
