"""Which bars a hole in a venue's trade ids touches. Pure; no I/O."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.holes import Holes
from engine.past import MENDABLE_NS, Past
from engine.rollup import BASE, BASE_NS
from engine.sessions import Sessions
from engine.ticks import TickBatch, TickFlag


class GapMarker:
    """Marks a slot's base bars from that of its last trade before a hole to that of the first behind it.

    Those that the watermark had closed by then get a revision, if they closed within the last quarter of an hour.
    """

    def __init__(self, holes: Holes, past: Past, sessions: Sessions) -> None:
        self._holes = holes
        self._past = past
        self._sessions = sessions

    def mark(self, batch: TickBatch, closed_ns: NDArray[np.int64], newest_ns: NDArray[np.int64]) -> None:
        """Look for the ticks of a batch that come behind a hole.

        `closed_ns` is what each of them found closed, `newest_ns` each slot's newest trade before the batch that was
        not late: late ones are no part of the bars, and so do not bound the hole.
        """
        in_time = batch.event_ns // BASE_NS * BASE_NS + BASE_NS > closed_ns
        for index in np.flatnonzero(batch.flags & TickFlag.AFTER_GAP).tolist():
            slot, event_ns = int(batch.instrument[index]), int(batch.event_ns[index])
            earlier_ns = batch.event_ns[:index][(batch.instrument[:index] == slot) & in_time[:index]]
            last_ns = max(int(newest_ns[slot]), int(earlier_ns.max(initial=0)))
            first_ns = min(last_ns, event_ns) if last_ns else event_ns
            self._mark(slot, first_ns, event_ns, int(closed_ns[index]))

    def _mark(self, slot: int, first_ns: int, event_ns: int, closed_ns: int) -> None:
        first_ns = max(first_ns, closed_ns - MENDABLE_NS - BASE_NS)
        revisions = self._past.revisions
        for open_ns in self._base_bars(first_ns, event_ns):
            if open_ns + BASE_NS > closed_ns:
                self._holes.mark(slot, open_ns)
            elif closed_ns - open_ns - BASE_NS <= MENDABLE_NS and not self._known(slot, open_ns):
                revisions.add_gap(slot, open_ns)

    def _known(self, slot: int, open_ns: int) -> bool:
        bar = self._past.find(BASE, open_ns)
        known = self._holes.known(slot, open_ns) if bar is None else bar.gaps_of(slot) > 0
        return known or self._past.revisions.gaps_of(slot, open_ns) > 0

    def _base_bars(self, first_ns: int, last_ns: int) -> Iterator[int]:
        """When the base bars open that hold the instants from first to last, both among them, while there is trade."""
        at_ns = first_ns // BASE_NS * BASE_NS
        while True:
            stretch = self._sessions.at(at_ns)
            at_ns = max(at_ns, stretch.open_ns)
            if at_ns > last_ns:
                return
            yield from range(at_ns, min(last_ns + 1, stretch.close_ns), BASE_NS)
            at_ns = stretch.close_ns
