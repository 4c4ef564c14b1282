"""Merged: several recordings that are played as one, by time of receipt. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.feeds.quotes import joined
from engine.feeds.recording import Counts, Reading
from engine.ticks import QuoteBatch, TickBatch


class Merged:
    """Of ticks at one time the first recording's come first. `connections` says on which one each of them came."""

    def __init__(self, readings: Sequence[Reading], connections: Sequence[int]) -> None:
        self._readings = readings
        self._connections = connections if any(connections) else None
        self._begin()

    @property
    def counts(self) -> Counts:
        """What was met since the beginning, in all of them."""
        each = [reading.counts for reading in self._readings]
        return Counts(
            sum(counts.unknown for counts in each),
            sum(counts.duplicates for counts in each),
            sum(counts.gaps for counts in each),
            sum(counts.refused for counts in each),
        )

    def read(self, lines: int) -> TickBatch | None:
        """The ticks of about so many lines more, perhaps none; None at the end.

        Up to where the recording ends that was read least far no tick can come any more.
        """
        lines = -(-lines // len(self._readings))
        for place in range(len(self._readings)):
            while not self._ended[place] and len(self._waiting[place]) == 0:
                self._load(place, lines)
        while open_ := [place for place, ended in enumerate(self._ended) if not ended]:
            ends_ns = [self._waiting[place].received_ns.item(-1) for place in open_]
            horizon_ns = min(ends_ns)
            taken = self._take(horizon_ns)
            if len(taken):
                return taken
            # All that waits there was received at one time, and more may have been.
            self._load(open_[ends_ns.index(horizon_ns)], lines)
        rest = self._take(None)
        return rest if len(rest) else None

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """The newest quote of each symbol received up to `until_ns`, those not given yet; None without any."""
        return joined([reading.take_quotes(until_ns) for reading in self._readings])

    def settle_quotes(self, until_ns: int) -> None:
        """Forget all quotes received up to `until_ns` but the newest of each symbol."""
        for reading in self._readings:
            reading.settle_quotes(until_ns)

    def take_new_kinds(self) -> Sequence[str]:
        """The kinds of unknown messages met for the first time since this was asked last."""
        return [kind for reading in self._readings for kind in reading.take_new_kinds()]

    def restart(self) -> None:
        """Begin all of them again."""
        for reading in self._readings:
            reading.restart()
        self._begin()

    def _begin(self) -> None:
        self._waiting = [TickBatch.empty() for _ in self._readings]
        self._ended = [False] * len(self._readings)

    def _load(self, place: int, lines: int) -> None:
        """Read more of one recording behind what waits of it."""
        batch = self._readings[place].read(lines)
        if batch is None:
            self._ended[place] = True
            return
        if self._connections is not None:
            batch = replace(batch, connection=np.full(len(batch), self._connections[place], np.uint8))
        waiting = self._waiting[place]
        self._waiting[place] = TickBatch.join([waiting, batch]) if len(waiting) else batch

    def _take(self, before_ns: int | None) -> TickBatch:
        """What waits and was received before that, in order; all without one."""
        taken = []
        for place, waiting in enumerate(self._waiting):
            count = len(waiting)
            if before_ns is not None:
                count = int(np.searchsorted(waiting.received_ns, before_ns, side="left"))
            if count:
                taken.append(waiting[:count])
                self._waiting[place] = waiting[count:]
        batch = TickBatch.join(taken)
        return batch if len(taken) <= 1 else batch.pick(np.argsort(batch.received_ns, kind="stable"))
