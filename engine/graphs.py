"""Graphs: all that is computed of one venue and timeframe, the wide graph and narrow ones. Pure; no I/O, no clock."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from engine import grafting
from engine.budget import Account, Budget
from engine.columns import Columns
from engine.errors import GraphError
from engine.graph import GATHER_UNDER, Graph, Values
from engine.graph_state import lend_state
from engine.kernels.instant import Births, Slots
from engine.placement import Placement
from engine.seeds import Seeds
from engine.snapshot import GraphsState
from engine.warming import More
from engine.watched import Joined, Narrow, Parts, Watched
from wire.expression_tree import Expression, canonical
from wire.program_builder import build_program

SEEDS_SHARE: Final = 1 / 16
"""How much of the budget the states of what was dropped may take, beside what it counts."""


class Graphs:
    """All that is computed of the bars of `width` slots of one venue and timeframe.

    What is wanted for few slots, looks far back or needs a handle of TA-Lib for each slot, is computed in narrow
    graphs of just those slots, of one expression each; all else in one wide graph. They share the boundary's `number`,
    so a slot has the same bits in either. What is remembered is counted against `budget`.
    """

    def __init__(self, width: int, budget: Budget, number: int = 0) -> None:
        self.width = width
        self._everything = np.arange(width)
        self._seeds = Seeds(int(budget.limit_bytes * SEEDS_SHARE))
        self._placement = Placement(Graph(width, number), Account(budget, width), self._seeds)
        self._watched: dict[Expression, Watched] = {}

    @property
    def _wide(self) -> Graph:
        return self._placement.wide

    @property
    def number(self) -> int:
        """The last boundary that was committed."""
        return self._wide.number

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is watched, in the order in which it was first."""
        return tuple(self._watched.values())

    @property
    def warming(self) -> int:
        """How many replays are under way or wait."""
        return len(self._placement.warming)

    def prime(self, history: Sequence[Columns]) -> None:
        """There are bars from before the first commit, oldest first; the last of them closed at boundary `number`."""
        held = self.number - len(history)
        births = Births.none(self.width, held)
        for number, bar in enumerate(history, held + 1):
            births = births.joined(number, bar.close)
        self._wide.births = self._wide.births.earliest(births)
        if history:
            self._wide.newest = history[-1]
            self._placement.begun = True

    # what is wanted

    def watch(self, expression: Expression, slots: Slots | None) -> Watched:
        """Computes `expression` at `slots`, at all of them with None, until `unwatch` has been called as often.

        Cheap: what has a past to know joins in a later `advance`, all else at once. BudgetError when there is no
        memory for it; nothing has changed then.
        """
        watched = self._watched.get(expression)
        if watched is None:
            watched = Watched(expression, build_program(expression))
        wanted = [] if slots is None else slots.tolist()
        new = [slot for slot in dict.fromkeys(wanted) if slot not in watched.wanted]
        self._placement.place(watched, new, everywhere=slots is None)
        self._watched[expression] = watched
        watched.everywhere += slots is None
        for slot in wanted:
            watched.wanted[slot] = watched.wanted.get(slot, 0) + 1
        return watched

    def unwatch(self, watched: Watched, slots: Slots | None) -> None:
        """Takes one `watch` of these slots back; what nobody watches any more goes."""
        if self._watched.get(watched.expression) is not watched:
            raise GraphError("expected an expression that is watched here, found one that is not")
        watched.everywhere -= slots is None
        gone = []
        for slot in [] if slots is None else slots.tolist():
            watched.wanted[slot] -= 1
            if watched.wanted[slot] == 0:
                del watched.wanted[slot]
                gone.append(slot)
        if not watched.wanted and not watched.everywhere:
            self._placement.drop(watched)
            del self._watched[watched.expression]
        elif gone and not self._placement.is_in_wide(watched):
            self._placement.shrink(watched, gone)

    # bars

    def commit(self, bar: Columns) -> None:
        """Takes the next closed bar, in every graph."""
        parts = Parts(bar)
        self._placement.begun = True
        with np.errstate(all="ignore"):
            self._wide.commit_unguarded(bar)
            for narrow in self._placement.narrow:
                narrow.graph.commit_unguarded(parts.take(narrow.slots))

    def advance(self, history: Sequence[Columns], more: More) -> list[Joined]:
        """One slice of warming: replays bars until `more()` is False, one at least; what has joined.

        `history` are the bars that are held, oldest first, up to the last that was committed.
        """
        self._placement.held = self.number - len(history)
        return [joined for each in self._placement.warming.advance(history, self.number, more) for joined in each]

    def peek(self, bar: Columns, wanted: Sequence[tuple[Watched, Slots]]) -> list[Values]:
        """What each expression would be at each of its slots if `bar`, the forming one, closed as it is.

        Columns of shape (len(slots),), NaN where it has not joined; not to be written to.
        """
        parts = Parts(bar)
        peeked: dict[Narrow, Values] = {}

        def narrow_values(narrow: Narrow) -> Values:
            if narrow not in peeked:
                (peeked[narrow],) = narrow.graph.peek_unguarded(parts.take(narrow.slots), (narrow.signal,))
            return peeked[narrow]

        with np.errstate(all="ignore"):
            wide = self._peeked_wide(bar, [pair for pair in wanted if pair[0].wide is not None])
            return [
                next(wide) if watched.wide is not None else watched.gathered(slots, narrow_values)
                for watched, slots in wanted
            ]

    def _peeked_wide(self, bar: Columns, wanted: Sequence[tuple[Watched, Slots]]) -> Iterator[Values]:
        """One set of slots for all, if together they are few."""
        signals = list(dict.fromkeys(watched.wide for watched, _ in wanted if watched.wide is not None))
        if not signals:
            return
        mask = np.zeros(self.width, np.bool_)
        for _, slots in wanted:
            mask[slots] = True
        union = np.flatnonzero(mask)
        gathered = len(union) < GATHER_UNDER * self.width
        peeked = self._wide.peek_unguarded(bar, signals, union if gathered else None)
        values = dict(zip(signals, peeked, strict=True))
        places = self._everything
        if gathered:
            places = np.empty(self.width, np.intp)
            places[union] = np.arange(len(union))
        for watched, slots in wanted:
            if watched.wide is not None:
                yield tuple(column.take(places[slots]) for column in values[watched.wide])

    # state

    def state(self) -> GraphsState:
        """What is remembered now, at nearly no cost; to be ended when it was read."""
        lent = [
            lend_state(narrow.graph, narrow.slots, canonical(narrow.signal.expression))
            for narrow in self._placement.narrow
        ]
        lent.append(lend_state(self._wide, self._everything))
        states, leases = zip(*lent, strict=True)
        return GraphsState(self.number, self.width, states, leases)

    def restore(self, state: GraphsState, moved: Slots | None = None, newest: Columns | None = None) -> None:
        """Goes on from `state`, before anything else: what is watched takes its state from it and joins at once.

        It may be watched after more bars, too, then it joins when they are replayed. `moved` tells the slot that each
        slot of the state has now, -1 for none, when they are others; `newest` is the last bar. GraphError for another
        width.
        """
        if moved is None and state.width != self.width:
            raise GraphError(f"expected the state of {self.width} slots, found that of {state.width}")
        states = [each if moved is None else each.at(moved) for each in state.graphs]
        self._placement.wide = Graph(self.width, state.number)
        for each in states:
            if not each.expression:
                first = self._wide.births.first.copy()
                first[each.slots] = each.first
                self._wide.births = grafting.births_of(first, state.number)
        self._wide.newest = newest
        self._seeds.store(states)
        self._placement.begun, self._placement.held = True, state.number

    def forget(self) -> None:
        """Nothing more of what was restored, or dropped, will be wanted."""
        self._seeds.forget()

    def rewarm(self, slots: Slots, before: GraphsState | None = None) -> None:
        """The bars held of `slots` are others now: what they remember is computed anew, in later calls of `advance`.

        From the state `before` the first bar that has changed, where there is one, else from the bars held. Values
        that were there stay until then.
        """
        self._placement.rewarm(slots, {} if before is None else {each.expression: each for each in before.graphs})
