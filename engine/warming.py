"""Warming: graphs that replay the held bars a few at a time, until they have caught up. Pure; no I/O, no clock."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from engine.columns import Columns
from engine.graph import Graph
from engine.kernels.instant import Slots

Result = TypeVar("Result")

More = Callable[[], bool]
"""Whether there is time for more."""


class Replay:
    """A graph that replays held bars. `slots` are those of the venue that it has, None for all."""

    __slots__ = ("graph", "slots")

    def __init__(self, graph: Graph, slots: Slots | None) -> None:
        self.graph = graph
        self.slots = slots

    def advance(self, history: Sequence[Columns], number: int, more: More) -> bool:
        """Replays until `more()` is False, a bar at least; True when the graph stands at boundary `number`."""
        graph = self.graph
        with np.errstate(all="ignore"):
            for bar in history[len(history) - (number - graph.number) :]:
                graph.commit_unguarded(bar if self.slots is None else bar.take(self.slots))
                if not more():
                    break
        return graph.number == number


class Job(Generic[Result]):
    """Something to be warmed.

    ``begin(held)`` gives the replay, of a graph that stands at boundary `held` or later: older bars are not held.
    ``finish(replay)`` puts to use what has caught up. A cancelled one is left out.
    """

    __slots__ = ("begin", "cancelled", "finish", "replay")

    def __init__(self, begin: Callable[[int], Replay], finish: Callable[[Replay], Result]) -> None:
        self.begin = begin
        self.finish = finish
        self.cancelled = False
        self.replay: Replay | None = None


class Warming(Generic[Result]):
    """Jobs in the order in which they came; one replays at a time."""

    def __init__(self) -> None:
        self._jobs: deque[Job[Result]] = deque()

    def __len__(self) -> int:
        return sum(not job.cancelled for job in self._jobs)

    def add(self, begin: Callable[[int], Replay], finish: Callable[[Replay], Result]) -> Job[Result]:
        """The last in the queue."""
        job = Job(begin, finish)
        self._jobs.append(job)
        return job

    def restart(self) -> None:
        """What has been replayed so far was changed: it is replayed again."""
        for job in self._jobs:
            job.replay = None

    def advance(self, history: Sequence[Columns], number: int, more: More) -> list[Result]:
        """Replays until `more()` is False, a bar at least; what the jobs gave that have caught up.

        `history` are the bars that are held, oldest first; the last of them closed at boundary `number`. Bars that
        close meanwhile are replayed too, so that none is missed or counted twice.
        """
        results: list[Result] = []
        held = number - len(history)
        while self._jobs:
            job = self._jobs[0]
            if not job.cancelled:
                if job.replay is None or job.replay.graph.number < held:
                    job.replay = job.begin(held)
                if not job.replay.advance(history, number, more):
                    break
                results.append(job.finish(job.replay))
            self._jobs.popleft()
            if not more():
                break
        return results
