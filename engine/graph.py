"""Graph: the shared nodes of all expressions that are watched over some slots of one timeframe. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.compile import build_node, node_keys, remembers
from engine.errors import GraphError
from engine.kernels.instant import Births, Column, Instant, Slots
from engine.kernels.node import Kernel, Node
from engine.plan import Plan
from wire.expression_tree import Expression
from wire.program import Program
from wire.program_builder import build_program

Values = tuple[Column, ...]
"""One column for each output of an expression; a single one if it has no named outputs."""

GATHER_UNDER: Final = 1 / 4
"""A peek at a smaller share of the slots gathers them; at a larger one it computes them all."""

MAX_PLANS: Final = 64
"""So many different selections of signals are peeked at again and again."""


class Signal:
    """One watched expression in one graph.

    `outputs` names its values, () for a single one. `ready` counts the bars that a slot needs for a value (of every
    output), `settled` those after which the value no longer depends on where its history began.
    """

    __slots__ = ("_graph", "expression", "keys", "nodes", "program", "results", "watchers")

    def __init__(self, graph: "Graph", expression: Expression, program: Program) -> None:
        self.expression = expression
        self.program = program
        self.watchers = 0
        self.keys = node_keys(program)
        self.nodes: tuple[Node, ...] = ()
        self.results: tuple[Node, ...] = ()
        self._graph = graph

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its values."""
        return self.program.outputs

    @property
    def ready(self) -> int:
        """The bars for a value of every output."""
        return self.program.ready

    @property
    def settled(self) -> int:
        """The bars for a settled value of every output."""
        return self.program.settled

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


class Lease:
    """What `kernels` of a graph remember is read by somebody, who sets `ended` afterwards, in whatever thread."""

    __slots__ = ("ended", "kernels")

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = kernels
        self.ended = False


class Graph:
    """All that is computed of the bars of `width` slots, which close together.

    Equal operations are one node, whatever expressions they come from. A new node may be warmed with history; a slot
    may get its first bar at any time, and has then the values that it would have in a graph of its own.
    `number` is that of the last boundary committed. It need not start at 0: the order in which windows add up follows
    it, and a slot's bits depend on nothing but its own bars and that. New nodes know no bar from before boundary
    `began` + 1, by default none from before they are watched.

    `nodes` are the nodes by key, inputs first; `births` those of the slots; `newest` is the last bar. To be changed by
    engine.grafting alone.
    """

    __slots__ = (
        "_ages",
        "_began",
        "_lent",
        "_plan",
        "_planned",
        "_signals",
        "births",
        "newest",
        "nodes",
        "number",
        "width",
    )

    def __init__(self, width: int, number: int = 0, began: int | None = None) -> None:
        self.width = width
        self.number = number
        self.births = Births.none(width, number)
        self.newest: Columns | None = None
        self.nodes: dict[str, Node] = {}
        self._began = began
        self._ages: dict[int, NDArray[np.int64]] = {}
        self._signals: dict[Expression, Signal] = {}
        self._lent: tuple[Lease, ...] = ()
        self._plan: Plan | None = None
        self._planned: dict[tuple[Signal, ...], Plan] = {}

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.nodes)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What is watched."""
        return tuple(self._signals.values())

    def watch(self, expression: Expression, history: Sequence[Columns] = ()) -> Signal:
        """Computes `expression` from now on, until `unwatch` has been called as often as this.

        `history` are the closed bars up to the last one committed, oldest first and none left out: nodes that are new
        are warmed with it, and so are those that have seen less of it. It may reach back before the graph's first
        bar. Costs as much as that many commits, if there is something to warm.
        """
        for bar in history:
            self._check(bar)
        if history:
            self.newest = history[-1]
        signal = self._signals.get(expression)
        program = build_program(expression) if signal is None else signal.program
        if not history or not self.lacks(program, self.number - len(history)):
            return self.adopt(expression, program)
        warmed = Graph(self.width, self.number - len(history))
        warmed.adopt(expression, program)
        for bar in history:
            warmed.commit(bar)
        return self.adopt(expression, program, warmed)

    def lacks(self, program: Program, began: int) -> bool:
        """True if `program` needs a node that remembers and is not there, or knows less than from `began` on."""
        operations = zip(node_keys(program), program.operations, strict=True)
        return any(
            remembers(operation) and (key not in self.nodes or self.nodes[key].began > began)
            for key, operation in operations
        )

    def adopt(self, expression: Expression, program: Program, warmed: "Graph | None" = None) -> Signal:
        """As `watch`, with the nodes of `warmed` where there are none here or they know less; without it with new ones.

        `program` is that of `expression`. `warmed` is a graph of the same slots at the same boundary that computes it;
        it is used up.
        """
        signal = self._signals.get(expression)
        if signal is None:
            signal = Signal(self, expression, program)
        if warmed is not None:
            self._check_boundary(warmed)
            self.births = self.births.earliest(warmed.births)
        self._extend(signal, {} if warmed is None else warmed.nodes)
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
                del self.nodes[key]
        self.forget_plans()

    def commit(self, bar: Columns) -> None:
        """Takes the next closed bar: computes every node and keeps what came out."""
        with np.errstate(all="ignore"):
            self.commit_unguarded(bar)

    def commit_unguarded(self, bar: Columns) -> None:
        """As `commit`, to be called with numpy's floating-point warnings off: that costs more than a narrow node."""
        self._check(bar)
        if self._lent:
            self._take_back()
        number = self.number + 1
        births = self.births
        if len(births.unborn):
            births = self.births = births.joined(number, bar.close)
        plan = self._plan
        if plan is None:
            plan = self._plan = Plan(tuple(self.nodes.values()))
        plan.commit(Instant(bar, number, births))
        self.number, self.newest = number, bar
        if self._ages:
            self._ages = {}

    def peek(self, bar: Columns, signals: Sequence[Signal], slots: Slots | None = None) -> list[Values]:
        """The values of `signals` if `bar`, the forming one, closed as it is; keeps nothing.

        Columns of shape (width,), or of shape (len(slots),) in the order of `slots`; not to be written to.
        """
        with np.errstate(all="ignore"):
            return self.peek_unguarded(bar, signals, slots)

    def peek_unguarded(self, bar: Columns, signals: Sequence[Signal], slots: Slots | None = None) -> list[Values]:
        """As `peek`, to be called with numpy's floating-point warnings off."""
        self._check(bar)
        number = self.number + 1
        gathered = slots is not None and len(slots) < GATHER_UNDER * self.width
        instant = Instant(bar, number, self.births.joined(number, bar.close), slots if gathered else None)
        values = self._plan_of(signals).values(instant)
        chosen = None if gathered else slots
        return [
            tuple(values[node] if chosen is None else values[node].take(chosen) for node in signal.results)
            for signal in signals
        ]

    def ages(self, began: int) -> NDArray[np.int64]:
        """How many bars each slot had at the last commit, those from boundary `began` + 1 on; shape (width,)."""
        if began not in self._ages:
            self._ages[began] = self.births.ages(self.number, began)
        return self._ages[began]

    def lend(self, lease: "Lease") -> None:
        """Somebody reads what the kernels of `lease` remember: it is not written to before that has ended."""
        self._lent = (*(each for each in self._lent if not each.ended), lease)

    def forget_plans(self) -> None:
        """The nodes are others from now on, or the slots."""
        self._plan, self._planned = None, {}
        self._ages.clear()

    def recall(self) -> None:
        """Gives every node that needs no history its value at the last commit, if the bar is known."""
        if self.newest is None:
            return
        instant = Instant(self.newest, self.number, self.births)
        with np.errstate(all="ignore"):
            for node in self.nodes.values():
                if node.kernel is None:
                    node.value = node.step(instant, *[source.value for source in node.inputs])

    def _take_back(self) -> None:
        """Goes on with copies of what is lent, and still read."""
        for kernel in dict.fromkeys(kernel for lease in self._lent if not lease.ended for kernel in lease.kernels):
            kernel.restore(kernel.state())
        self._lent = ()

    def _check(self, bar: Columns) -> None:
        if len(bar.close) != self.width:
            raise GraphError(f"expected a bar of {self.width} slots, found {bar.width}")

    def _check_boundary(self, other: "Graph") -> None:
        if (other.width, other.number) != (self.width, self.number):
            raise GraphError(
                f"expected a graph of {self.width} slots at boundary {self.number}, "
                f"found {other.width} at {other.number}"
            )

    def _plan_of(self, signals: Sequence[Signal]) -> "Plan":
        """The nodes behind `signals`; the newest answers are remembered."""
        key = tuple(signals)
        plan = self._planned.get(key)
        if plan is None:
            if len(self._planned) == MAX_PLANS:
                self._planned.clear()
            plan = Plan(tuple(dict.fromkeys(node for signal in signals for node in signal.nodes)))
            self._planned[key] = plan
        return plan

    def _extend(self, signal: Signal, warmed: Mapping[str, Node]) -> None:
        """Links `signal` to the nodes that there are, unless `warmed` has some that know more, else to new ones."""
        began = self.number if self._began is None else self._began
        old = {key: self.nodes[key] for key in signal.keys if key in self.nodes}
        operations = dict(zip(signal.keys, signal.program.operations, strict=True))
        lacking = [key for key in signal.keys if key not in old or _knows_more(warmed.get(key), old[key])]
        new = {key: warmed.get(key) or build_node(operations[key], self.width, began) for key in lacking}
        self.nodes |= new
        for key, node in new.items():
            node.link([self.nodes[signal.keys[place]] for place in operations[key].inputs])
            node.watchers = 0
        signal.link(self.nodes)
        replaced = {node: new[key] for key, node in old.items() if key in new}
        if replaced:
            self._replace(replaced)
        self.forget_plans()
        self.recall()

    def _replace(self, replaced: Mapping[Node, Node]) -> None:
        """Reads the new nodes wherever the old ones, which knew less, were read."""
        for old, new in replaced.items():
            new.watchers = old.watchers
        for node in self.nodes.values():
            node.link([replaced.get(source, source) for source in node.inputs])
        for signal in self._signals.values():
            signal.link(self.nodes)


def _knows_more(new: Node | None, old: Node) -> bool:
    return new is not None and new.began < old.began
