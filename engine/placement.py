"""Placement: which graph computes what of one venue and timeframe, and how it gets there. Pure; no I/O, no clock."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from engine import grafting
from engine.budget import Account, BudgetError, has_handles, narrow_bytes
from engine.compile import remembers
from engine.graph import Graph
from engine.graph_state import GraphState, copy_state, lend_state
from engine.kernels.instant import Slots
from engine.kernels.node import BEFORE_ALL
from engine.rewarming import Rewarming
from engine.seeds import Seeds
from engine.warming import Job, Replay, Warming
from engine.watched import Joined, Narrow, Watched
from wire.expression_tree import canonical
from wire.program import WINDOWS, Program

WIDE_FROM: Final = 64
"""An expression that is wanted for so many instruments is computed for all of the venue."""

WIDE_SHARE: Final = 1 / 4
"""So is one that is wanted for a larger share of them."""

WIDE_WINDOW: Final = 500
"""What looks back further is never computed for all, unless it is wanted for all."""

APPEND_UNDER_BYTES: Final = 1 << 20
"""Slots are added to a narrow graph of less state than this, else there is another one: adding copies it."""

_WINDOWED: Final = frozenset({"ago", *WINDOWS})
"""The kernels that remember no more bars than their window has."""


class _Pending:
    """What is still to join of one expression: all slots by `wide`, or single ones by the jobs in `slots`.

    To `waiting`, a job that has not begun, slots may be added.
    """

    __slots__ = ("slots", "waiting", "wide")

    def __init__(self) -> None:
        self.wide: _Job | None = None
        self.slots: dict[int, _Job] = {}
        self.waiting: _Job | None = None

    def cancel(self) -> None:
        """Nothing is to join any more."""
        for job in (*self.slots.values(), *([] if self.wide is None else [self.wide])):
            job.cancelled = True


_Job = Job[list[Joined]]


class Placement:
    """The wide graph and the narrow ones, and the replays of what is to join them.

    `held` is the boundary before the oldest bar that is held, `begun` whether there was one.
    """

    def __init__(self, wide: Graph, account: Account, seeds: Seeds) -> None:
        self.wide = wide
        self.narrow: dict[Narrow, None] = {}
        self.warming: Warming[list[Joined]] = Warming()
        self.held = wide.number
        self.begun = False
        self._everything = np.arange(wide.width)
        self._account = account
        self._seeds = seeds
        self._pending: dict[Watched, _Pending] = {}
        self._era = 0

    def place(self, watched: Watched, new: Sequence[int], *, everywhere: bool) -> None:
        """Finds a place for `watched`, with `new` slots. BudgetError."""
        pending = self._pending.get(watched) or _Pending()
        if watched.wide is not None or pending.wide is not None:
            return
        wanted = len(watched.wanted) + len(new)
        for_all = everywhere or self._is_for_all(watched, wanted)
        if for_all and self._can_pay(watched, everywhere=everywhere):
            pending.cancel()
            self._pending.pop(watched, None)
            self._place_wide(watched)
            return
        missing = [slot for slot in new if slot not in watched.narrow and slot not in pending.slots]
        if missing:
            width = len(watched.narrow) + len(pending.slots) + len(missing)
            self._account.take_narrow(watched, narrow_bytes(watched.program, width))
            self._place_narrow(watched, np.array(missing, np.intp))

    def _is_for_all(self, watched: Watched, wanted: int) -> bool:
        """Whether `watched` belongs in the wide graph: or all that it would remember is there already."""
        program = watched.program
        if wanted >= WIDE_FROM or wanted > WIDE_SHARE * self.wide.width:
            return program.ready <= WIDE_WINDOW and not has_handles(program)
        if not self.wide.nodes or not any(remembers(operation) for operation in program.operations):
            return False
        return not self.wide.lacks(program, self.wide.number)

    def _can_pay(self, watched: Watched, *, everywhere: bool) -> bool:
        """Takes what the wide graph costs; what is wanted for some slots stays narrow where that is too much."""
        try:
            self._account.take_wide(watched.program)
        except BudgetError:
            if everywhere:
                raise
            return False
        return True

    def _knows_all(self, program: Program) -> bool:
        """Whether there is nothing that a new node would have to know of."""
        return not self.begun or not any(remembers(operation) for operation in program.operations)

    def _place_wide(self, watched: Watched) -> None:
        expression, program = watched.expression, watched.program
        if self._knows_all(program) or not self.wide.lacks(program, self.wide.number):
            self._join_wide(watched, None)
            return

        def begin(held: int) -> Replay:
            graph = self._seeds.wide(expression, program, self.wide.width, held)
            if graph is None:
                graph = Graph(self.wide.width, self._start(program, held))
                graph.adopt(expression, program)
            return Replay(graph, None)

        def finish(replay: Replay) -> list[Joined]:
            return self._join_wide(watched, replay.graph)

        seed = self._seeds.wide(expression, program, self.wide.width, self.held)
        if seed is not None and seed.number == self.wide.number:
            self._join_wide(watched, seed)
        else:
            self._pending.setdefault(watched, _Pending()).wide = self.warming.add(begin, finish)

    def _place_narrow(self, watched: Watched, slots: Slots) -> None:
        seeded, slots = self._seeds.narrow(watched.expression, watched.program, slots, self.held)
        for graph, covered in seeded:
            if graph.number == self.wide.number:
                graph.newest = None if self.wide.newest is None else self.wide.newest.take(covered)
                graph.recall()
                self._join_narrow(watched, covered, graph)
            else:
                self._queue(watched, covered, graph)
        if len(slots) == 0:
            return
        if self._knows_all(watched.program):
            graph = self._fresh(watched, slots)
            self._join_narrow(watched, slots, graph)
            return
        pending = self._pending.setdefault(watched, _Pending())
        if pending.waiting is None:
            pending.waiting = self._queue(watched, slots, None)
        else:
            pending.slots.update(dict.fromkeys(slots.tolist(), pending.waiting))

    def _queue(self, watched: Watched, slots: Slots, seed: Graph | None) -> _Job:
        """A job for narrow slots; those of one without a `seed` may change until it begins."""
        pending = self._pending.setdefault(watched, _Pending())
        seeds, era = [] if seed is None else [seed], self._era

        def begin(held: int) -> Replay:
            if pending.waiting is job:
                pending.waiting = None
            taken = np.array([slot for slot, its in pending.slots.items() if its is job], np.intp)
            graph = seeds.pop() if seeds else None
            if graph is None or graph.number < held or era != self._era:
                graph = Graph(len(taken), self._start(watched.program, held), BEFORE_ALL)
                graph.adopt(watched.expression, watched.program)
            return Replay(graph, taken)

        def finish(replay: Replay) -> list[Joined]:
            return [] if replay.slots is None else self._join_replayed(watched, replay.slots, replay.graph)

        job = self.warming.add(begin, finish)
        pending.slots.update(dict.fromkeys(slots.tolist(), job))
        return job

    def _start(self, program: Program, held: int) -> int:
        """From which boundary on bars are to be replayed: windows need no more of them than they show."""
        if any(remembers(each) and each.kernel not in _WINDOWED for each in program.operations):
            return held
        return max(held, self.wide.number - max(each.settled for each in program.operations))

    def _fresh(self, watched: Watched, slots: Slots) -> Graph:
        """A narrow graph that remembers nothing."""
        graph = Graph(len(slots), self.wide.number, BEFORE_ALL)
        graph.births = grafting.births_of(self.wide.births.first.take(slots), self.wide.number)
        graph.newest = None if self.wide.newest is None else self.wide.newest.take(slots)
        graph.adopt(watched.expression, watched.program)
        return graph

    def _join_wide(self, watched: Watched, warmed: Graph | None) -> list[Joined]:
        """All slots of `watched` join; those that had their values in narrow graphs go on with them."""
        expected = [slot for slot in watched.wanted if slot not in watched.narrow]
        before = set(self.wide.nodes)
        watched.wide = self.wide.adopt(watched.expression, watched.program, warmed)
        new = [key for key in watched.wide.keys if key not in before]
        for narrow in dict.fromkeys(watched.narrow.values()):
            if not narrow.stale:
                grafting.transplant(self.wide, narrow.graph, narrow.slots, new)
            del self.narrow[narrow]
        watched.narrow.clear()
        self._account.take_narrow(watched, 0)
        self._pending.pop(watched, None)
        return [Joined(watched, None if watched.everywhere else np.array(expected, np.intp))]

    def _join_replayed(self, watched: Watched, slots: Slots, graph: Graph) -> list[Joined]:
        """Narrow slots have caught up; some may not be wanted any more."""
        pending = self._pending[watched]
        for slot in slots.tolist():
            del pending.slots[slot]
        if not pending.slots:
            del self._pending[watched]
        kept = np.array([place for place, slot in enumerate(slots.tolist()) if slot in watched.wanted], np.intp)
        if len(kept) < len(slots):
            slots = slots.take(kept)
            grafting.keep_slots(graph, kept)
        if len(slots):
            self._join_narrow(watched, slots, graph)
        self._settle_account(watched)
        return [Joined(watched, slots)] if len(slots) else []

    def _join_narrow(self, watched: Watched, slots: Slots, graph: Graph) -> None:
        """In a graph that there is, if it is small: then there are fewer to go through."""
        narrow = next(reversed(watched.narrow.values()), None)
        size = narrow_bytes(watched.program, 0 if narrow is None else len(narrow.slots))
        if narrow is None or size > APPEND_UNDER_BYTES or has_handles(watched.program):
            narrow = Narrow(graph, slots)
            self.narrow[narrow] = None
        else:
            both = np.concatenate((narrow.slots, slots))
            grafting.append(narrow.graph, graph, None if self.wide.newest is None else self.wide.newest.take(both))
            narrow.resize(both)
        watched.narrow.update(dict.fromkeys(slots.tolist(), narrow))

    # bars that are others now

    def rewarm(self, slots: Slots, before: Mapping[str, GraphState]) -> None:
        """The bars of `slots` have changed: what is remembered of them is computed anew, where possible from `before`.

        That is by expression, the wide graph's under "".
        """
        self._era += 1
        self._seeds.forget()
        self.warming.restart()
        if self.wide.nodes:
            job = Rewarming(self.wide, None, slots, before.get(""))
            self.warming.add(job.begin, job.finish)
        for narrow in self.narrow:
            touched = np.array([slot for slot in slots.tolist() if slot in narrow.places], np.intp)
            if len(touched):
                narrow.stale = True
                job = Rewarming(narrow.graph, narrow, touched, before.get(canonical(narrow.signal.expression)))
                self.warming.add(job.begin, job.finish)

    # what is wanted no more

    def is_in_wide(self, watched: Watched) -> bool:
        """Whether `watched` is in the wide graph, or will be."""
        pending = self._pending.get(watched)
        return watched.wide is not None or (pending is not None and pending.wide is not None)

    def shrink(self, watched: Watched, gone: Sequence[int]) -> None:
        """Forgets slots that nobody watches: in a graph once they are as many as the others."""
        pending = self._pending.get(watched)
        for slot in gone:
            if pending is not None and pending.waiting is not None and pending.slots.get(slot) is pending.waiting:
                del pending.slots[slot]
        for narrow in dict.fromkeys(watched.narrow[slot] for slot in gone if slot in watched.narrow):
            kept = [slot for slot in narrow.places if slot in watched.wanted]
            if 2 * len(kept) > len(narrow.slots) or (kept and has_handles(watched.program)):
                continue
            for slot in narrow.places.keys() - set(kept):
                del watched.narrow[slot]
            if kept:
                grafting.keep_slots(narrow.graph, np.array([narrow.places[slot] for slot in kept], np.intp))
                narrow.resize(np.array(kept, np.intp))
            else:
                del self.narrow[narrow]
        self._settle_account(watched)

    def _settle_account(self, watched: Watched) -> None:
        pending = self._pending.get(watched)
        width = len(watched.narrow) + (0 if pending is None else len(pending.slots))
        self._account.take_narrow(watched, narrow_bytes(watched.program, width))

    def drop(self, watched: Watched) -> None:
        """Its states are kept for a while: it may be wanted again."""
        text = canonical(watched.expression)
        if self.is_in_wide(watched):
            self._account.free_wide(watched.program)
        if watched.wide is not None:
            self._seeds.keep(copy_state(self.wide, self._everything, text, watched.wide.keys))
            self.wide.unwatch(watched.wide)
        for narrow in dict.fromkeys(watched.narrow.values()):
            self._seeds.keep(lend_state(narrow.graph, narrow.slots, text)[0])
            del self.narrow[narrow]
        pending = self._pending.pop(watched, None)
        if pending is not None:
            pending.cancel()
        self._account.take_narrow(watched, 0)
