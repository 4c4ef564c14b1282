"""Ring: the few open base bars of a venue, all slots, into which ticks fall by their event time. Pure; no I/O."""

import numpy as np
from numpy.typing import NDArray

from engine.rollup import BASE_NS
from engine.tally import Partial, Tally
from engine.ticks import TickBatch


class Ring:
    """Open base bars: the bar that opens at t lies in the row t / base % rows.

    Whoever folds keeps the bars of one fold, and those taken since, within `rows` of each other.
    """

    def __init__(self, width: int, rows: int) -> None:
        self.rows = rows
        self._width = width
        self._tally = Tally(rows * width)

    def fold(self, batch: TickBatch) -> None:
        """Add ticks to their bars."""
        self._tally.fold(batch.event_ns // BASE_NS % self.rows * self._width + batch.instrument, batch)

    def count(self, open_ns: int) -> NDArray[np.int64]:
        """The trades of each slot in the open bar at `open_ns`, as a view."""
        return self._tally.count[self._row(open_ns)]

    @property
    def newest_ns(self) -> NDArray[np.int64]:
        """The event time of each slot's newest trade in any open bar, ns; 0 when there is none."""
        newest: NDArray[np.int64] = self._tally.newest_ns.reshape(self.rows, self._width).max(axis=0)
        return newest

    def peek(self, open_ns: int) -> Partial | None:
        """The open bar at `open_ns` as it is now, copied; None when it has no trade."""
        row = self._row(open_ns)
        return self._tally.partial(row) if self._tally.count[row].any() else None

    def take(self, open_ns: int) -> Partial | None:
        """The open bar at `open_ns`, which leaves its row to a later one; None when it has no trade."""
        partial = self.peek(open_ns)
        if partial is not None:
            self._tally.clear(self._row(open_ns))
        return partial

    def newest(self, open_ns: int) -> int | None:
        """The open time of the newest bar with a trade, from the one at `open_ns` on; None when none has one."""
        bars = [open_ns + ahead * BASE_NS for ahead in range(self.rows)]
        return max((bar for bar in bars if self.count(bar).any()), default=None)

    def state(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All open bars, copied."""
        return self._tally.state()

    def restore(self, floats: NDArray[np.float64], wholes: NDArray[np.int64]) -> None:
        """Hold what `state` gave. ValueError when it is of another size."""
        self._tally.restore(floats, wholes)

    def _row(self, open_ns: int) -> slice:
        row = open_ns // BASE_NS % self.rows
        return slice(row * self._width, (row + 1) * self._width)
