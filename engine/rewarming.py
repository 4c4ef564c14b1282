"""Rewarming: what a graph remembers of slots whose bars have changed, computed anew. Pure; no I/O."""

import numpy as np

from engine import grafting
from engine.graph import Graph
from engine.graph_state import GraphState, recalled
from engine.kernels.instant import Slots
from engine.warming import Replay
from engine.watched import Joined, Narrow


class Rewarming:
    """One graph, the wide one with `narrow` None, and those of its slots that are touched.

    From the state `before` the change, where it knows of every node, else from the bars that are held.
    """

    def __init__(self, graph: Graph, narrow: Narrow | None, slots: Slots, before: GraphState | None) -> None:
        self._graph = graph
        self._narrow = narrow
        self._slots = slots
        self._before = before

    def begin(self, held: int) -> Replay:
        """A graph of just these slots that computes the same; bars from before boundary `held` are not held."""
        graph, slots, before = self._graph, self._slots, self._before
        if before is not None and before.number >= held:
            scratch = grafting.alike(graph, len(slots), before.number)
            if recalled(scratch, before, slots):
                return Replay(scratch, slots)
        return Replay(grafting.alike(graph, len(slots), held), slots)

    def finish(self, replay: Replay) -> list[Joined]:
        """What was computed anew takes the place of what was there, where that is still wanted."""
        warmed, places = replay.graph, self._slots
        if self._narrow is not None:
            self._narrow.stale = False
            there = [place for place, slot in enumerate(self._slots.tolist()) if slot in self._narrow.places]
            grafting.keep_slots(warmed, np.array(there, np.intp))
            kept = self._slots.take(np.array(there, np.intp)).tolist()
            places = np.array([self._narrow.places[slot] for slot in kept], np.intp)
        keys = [key for key in warmed.nodes if key in self._graph.nodes]
        grafting.rebirth(self._graph, warmed, places)
        grafting.transplant(self._graph, warmed, places, keys)
        return []
