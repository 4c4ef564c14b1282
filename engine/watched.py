"""Watched: one expression that is watched at some slots of a venue, wherever it is computed. Pure; no I/O."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.columns import Columns
from engine.errors import GraphError
from engine.graph import Graph, Signal, Values
from engine.kernels.instant import Slots
from wire.expression_tree import Expression
from wire.program import Program


class Narrow:
    """A graph of one expression over few slots of a venue: `slots` in the order of its columns.

    `stale` says that bars which it has seen are others now; it is warmed anew.
    """

    __slots__ = ("graph", "places", "signal", "slots", "stale")

    places: Mapping[int, int]

    def __init__(self, graph: Graph, slots: Slots) -> None:
        self.graph = graph
        (self.signal,) = graph.signals
        self.stale = False
        self.resize(slots)

    def resize(self, slots: Slots) -> None:
        """The graph has `slots` from now on."""
        self.slots = slots
        self.places = {slot: place for place, slot in enumerate(slots.tolist())}


class Watched:
    """One expression that is watched in a Graphs.

    `outputs` names its values, () for a single one. `ready` counts the bars that a slot needs for a value (of every
    output), `settled` those after which the value no longer depends on where its history began. A slot has joined
    when its history has been replayed: before that its values are NaN, and its age is 0.

    `wanted` counts how often each slot is watched, `everywhere` how often all are. Joined slots are in the wide graph
    as `wide`, or in narrow ones, by slot in `narrow`. To be changed by its Graphs alone.
    """

    __slots__ = ("everywhere", "expression", "narrow", "outputs", "program", "ready", "settled", "wanted", "wide")

    def __init__(self, expression: Expression, program: Program) -> None:
        self.expression = expression
        self.program = program
        self.outputs = program.outputs
        self.ready = program.ready
        self.settled = program.settled
        self.wanted: dict[int, int] = {}
        self.everywhere = 0
        self.wide: Signal | None = None
        self.narrow: dict[int, Narrow] = {}

    def joined(self, slot: int) -> bool:
        """Whether `slot` has values, or will have them as it gets bars."""
        return self.wide is not None or slot in self.narrow

    def values(self, slots: Slots | None = None) -> Values:
        """The values at the last commit, columns of shape (len(slots),), or of all slots with None.

        Not to be written to. GraphError for all slots of what is watched only at some.
        """
        if self.wide is not None:
            return self.wide.values if slots is None else tuple(column.take(slots) for column in self.wide.values)
        if slots is None:
            raise GraphError("expected the slots of an expression that is not watched at all of them")
        return self.gathered(slots, lambda narrow: narrow.signal.values)

    def ages(self, slots: Slots, *, forming: bool = False) -> NDArray[np.int64]:
        """How many bars each of `slots` has to compute from, at the last commit or in the forming bar."""
        if self.wide is not None:
            return self.wide.ages(forming=forming).take(slots)
        ages = np.zeros(len(slots), np.int64)
        for narrow, here, there in self.parts(slots):
            ages[here] = narrow.signal.ages(forming=forming)[there]
        return ages

    def ready_mask(self, slots: Slots, *, forming: bool = False) -> NDArray[np.bool_]:
        """Which of `slots` have a value of every output, given a price."""
        return self.ages(slots, forming=forming) >= self.ready

    def settled_mask(self, slots: Slots, *, forming: bool = False) -> NDArray[np.bool_]:
        """Which of `slots` have values that no longer depend on where history began."""
        return self.ages(slots, forming=forming) >= self.settled

    def gathered(self, slots: Slots, values_of: Callable[[Narrow], Values]) -> Values:
        """The values at `slots`, of which ``values_of(narrow)`` are those in one narrow graph; NaN elsewhere."""
        parts = list(self.parts(slots))
        if len(parts) == 1 and isinstance(parts[0][1], slice):
            return values_of(parts[0][0])
        columns = tuple(np.full(len(slots), np.nan) for _ in self.program.results)
        for narrow, here, there in parts:
            for column, value in zip(columns, values_of(narrow), strict=True):
                column[here] = value[there]
        return columns

    def parts(self, slots: Slots) -> Iterator[tuple[Narrow, "_Places", "_Places"]]:
        """The narrow graphs that have some of `slots`: their places in `slots`, and in the graph."""
        first = self.narrow.get(slots.item(0)) if len(slots) else None
        if first is not None and (slots is first.slots or np.array_equal(slots, first.slots)):
            yield first, slice(None), slice(None)
            return
        found: dict[Narrow, list[tuple[int, int]]] = {}
        for here, slot in enumerate(slots.tolist()):
            narrow = self.narrow.get(slot)
            if narrow is not None:
                found.setdefault(narrow, []).append((here, narrow.places[slot]))
        for narrow, pairs in found.items():
            both = np.array(pairs, np.intp)
            yield narrow, both[:, 0], both[:, 1]


_Places = slice | Slots


class Joined(Struct, frozen=True, eq=False):
    """Slots of a watched expression that have joined; None for all of the venue."""

    watched: Watched
    slots: Slots | None


class Parts:
    """Parts of one bar; those of the same slots are taken once."""

    __slots__ = ("_bar", "_taken")

    def __init__(self, bar: Columns) -> None:
        self._bar = bar
        self._taken: dict[bytes, Columns] = {}

    def take(self, slots: Slots) -> Columns:
        """The bar of `slots`."""
        key = slots.tobytes()
        if key not in self._taken:
            self._taken[key] = self._bar.take(slots)
        return self._taken[key]
