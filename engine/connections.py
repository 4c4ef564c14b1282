"""The watermark of a venue out of those of its connections. Pure; no I/O.

Each tick is judged by the offset of its own connection; the venue's watermark is the least of the live ones', but for
those too far behind the first, and never goes back. A connection is live from its first tick until it is said to be
gone.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.offset_window import NEVER
from engine.ticks import TickBatch
from engine.watermark import Passage, Watermark, WatermarkState
from wire.market import NS_PER_S

BEHIND_NS: Final = 10 * NS_PER_S
"""Who is further behind the first connection is not waited for: so many bars need not be kept open."""
_FOREVER: Final = 1 << 62


class ConnectionsState(Struct, frozen=True):
    """The watermarks of the live connections by their number, and of the last one that went while none is live."""

    value_ns: int
    received_ns: int
    refused: int
    live: tuple[tuple[int, WatermarkState], ...]
    resting: WatermarkState | None


class Connections:
    """The live connections of one venue. ``value_ns`` is the venue's watermark.

    When the last one has gone its clock goes on until another comes: bars of a downtime close too.
    """

    def __init__(self, *, grace_ns: int, idle_ns: int) -> None:
        self.value_ns = NEVER
        self._grace_ns = grace_ns
        self._idle_ns = idle_ns
        self._received_ns = NEVER
        self._refused = 0
        self._live: dict[int, Watermark] = {}
        self._resting: Watermark | None = None

    @property
    def refused(self) -> int:
        """How many ticks were stamped too far ahead of the corrected clock."""
        return self._refused + sum(each.refused for each in self._live.values())

    def observe(self, batch: TickBatch) -> Passage:
        """Take in the ticks of a batch, at least one, in order of receipt over all connections."""
        which, event_ns, received_ns = batch.connection, batch.event_ns, batch.received_ns
        if self._resting is not None:
            self.value_ns = max(self.value_ns, self._resting.advance(int(received_ns[0])))
            self._received_ns = max(self._received_ns, self._resting.received_ns)
            self._resting = None
        only = 0 if which is None else int(which[0])
        if (which is None or (which == only).all()) and self._live.keys() <= {only}:
            if only not in self._live:
                self._live[only] = self._mark()
                received_ns = np.maximum(received_ns, self._received_ns)
            passage = self._live[only].observe(event_ns, received_ns)
        else:
            received_ns = np.maximum(np.maximum.accumulate(received_ns), self._received_ns)
            passage = self._observe_all(
                np.zeros(len(batch), np.uint8) if which is None else which, event_ns, received_ns
            )
        self._received_ns = max(each.received_ns for each in self._live.values())
        if passage.before_ns[0] < self.value_ns:
            np.maximum(passage.before_ns, self.value_ns, out=passage.before_ns)
            np.maximum(passage.after_ns, self.value_ns, out=passage.after_ns)
        self.value_ns = int(passage.after_ns[-1])
        return passage

    def advance(self, now_ns: int) -> int:
        """Let the clock of receipt go on to `now_ns`, up to which all ticks were observed; the watermark, ns."""
        marks = [*self._live.values()] if self._resting is None else [self._resting]
        if marks:
            self._received_ns = max(self._received_ns, now_ns)
            reached = [each.advance(now_ns) for each in marks]
            self.value_ns = max(self.value_ns, min(reached), max(reached) - BEHIND_NS)
        return self.value_ns

    def disconnect(self, connection: int) -> None:
        """Wait for a connection no more; nothing happens when it is not live."""
        mark = self._live.pop(connection, None)
        if mark is None:
            return
        self._refused += mark.refused
        if not self._live:
            self._resting = mark

    def state(self) -> ConnectionsState:
        """All that the watermarks have come to know."""
        live = tuple((number, mark.state()) for number, mark in self._live.items())
        resting = None if self._resting is None else self._resting.state()
        return ConnectionsState(self.value_ns, self._received_ns, self._refused, live, resting)

    def restore(self, state: ConnectionsState) -> None:
        """Know what `state` gave, and nothing else."""
        self.value_ns, self._received_ns, self._refused = state.value_ns, state.received_ns, state.refused
        self._live = {number: self._mark().restore(each) for number, each in state.live}
        self._resting = None if state.resting is None else self._mark().restore(state.resting)

    def _mark(self) -> Watermark:
        return Watermark(grace_ns=self._grace_ns, idle_ns=self._idle_ns)

    def _observe_all(
        self, which: NDArray[np.uint8], event_ns: NDArray[np.int64], received_ns: NDArray[np.int64]
    ) -> Passage:
        """The least of all live connections' at each tick; the ticks of the others let a connection's time pass."""
        least, first = np.full((2, len(which)), _FOREVER), np.full((2, len(which)), -_FOREVER)
        refused: NDArray[np.bool_] | None = None
        begins = {connection: int(np.argmax(which == connection)) for connection in np.unique(which).tolist()}
        begins |= dict.fromkeys(self._live, 0)
        for connection, start in sorted(begins.items(), key=lambda each: (each[0] not in self._live, each[1])):
            reached = None
            if connection not in self._live:
                if self._live:
                    reached = max(int(least[0, start]), int(first[0, start]) - BEHIND_NS)
                self._live[connection] = self._mark()
            passage = self._live[connection].observe(event_ns[start:], received_ns[start:], which[start:] == connection)
            both = np.stack((passage.before_ns, passage.after_ns))
            np.minimum(least[:, start:], both, out=least[:, start:])
            np.maximum(first[:, start:], both, out=first[:, start:])
            if reached is not None:  # The others had come so far when it came in, and that does not go back.
                np.maximum(least[:, start], reached, out=least[:, start])
            if passage.refused is not None:
                refused = np.zeros(len(which), np.bool_) if refused is None else refused
                refused[start:] |= passage.refused
        before, after = np.maximum(least, first - BEHIND_NS)
        np.maximum.accumulate(after, out=after)
        np.maximum(before[1:], after[:-1], out=before[1:])
        return Passage(before, after, refused)
