"""Seeds: what graphs remembered that are not computed now, for when it is wanted again. Pure; no I/O."""

from collections import deque
from collections.abc import Iterable

import numpy as np

from engine.graph import Graph
from engine.graph_state import GraphState, narrow_graph, wide_graph
from engine.kernels.instant import Slots
from wire.expression_tree import Expression, canonical
from wire.program import Program

_WIDE = ""
"""What states of a whole wide graph are filed under; others under their expression."""


class Seeds:
    """States of graphs, of use as long as the bars since their boundary are held.

    Of those that were dropped at most `limit_bytes` are kept, the newest.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._states: dict[str, list[GraphState]] = {}
        self._dropped: deque[GraphState] = deque()
        self._dropped_bytes = 0

    def store(self, states: Iterable[GraphState]) -> None:
        """States that were read from a snapshot; kept until `forget`."""
        for state in states:
            self._states.setdefault(state.expression, []).append(state)

    def keep(self, state: GraphState) -> None:
        """The state of what is dropped."""
        self._states.setdefault(state.expression, []).append(state)
        self._dropped.append(state)
        self._dropped_bytes += state.nbytes
        while self._dropped_bytes > self._limit_bytes:
            self._remove(self._dropped[0])

    def forget(self) -> None:
        """Nothing is wanted any more that was stored or dropped."""
        self._states.clear()
        self._dropped.clear()
        self._dropped_bytes = 0

    def wide(self, expression: Expression, program: Program, width: int, held: int) -> Graph | None:
        """A graph for `expression` of all slots, not from before boundary `held`; None if there is none."""
        for state in self._of(expression, held):
            if state.expression == _WIDE or len(state.slots) == width:
                graph = wide_graph(state, expression, program, width)
                if graph is not None:
                    return graph
        return None

    def narrow(
        self, expression: Expression, program: Program, slots: Slots, held: int
    ) -> tuple[list[tuple[Graph, Slots]], Slots]:
        """Graphs for `expression` of some of `slots` each, not from before boundary `held`, and the slots left over."""
        found = []
        for state in self._of(expression, held):
            if len(slots) == 0:
                break
            there = np.isin(slots, state.slots)
            graph = narrow_graph(state, expression, program, slots[there]) if there.any() else None
            if graph is not None:
                found.append((graph, slots[there]))
                slots = slots[~there]
        return found, slots

    def _of(self, expression: Expression, held: int) -> list[GraphState]:
        """The states that may have `expression`, the newest first, without those too old to be of use."""
        if not self._states:
            return []
        text = canonical(expression)
        found: list[GraphState] = []
        for name in (text, _WIDE):
            for state in list(self._states.get(name, ())):
                if state.number < held:
                    self._remove(state)
                else:
                    found.append(state)
        return sorted(found, key=lambda state: state.number, reverse=True)

    def _remove(self, state: GraphState) -> None:
        states = self._states[state.expression]
        states.remove(state)
        if not states:
            del self._states[state.expression]
        if state in self._dropped:
            self._dropped.remove(state)
            self._dropped_bytes -= state.nbytes
