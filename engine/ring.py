"""Ring: the few open base bars of a venue, all slots, into which ticks fall by their event time. Pure; no I/O."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.rollup import BASE_NS, Partial
from engine.ticks import TickBatch, TickFlag

_ORDINARY: Final = int(TickFlag.ORDINARY)
_LAST: Final = 1 << 62
# What a row without a trade holds: open, high, low, close, volume, turnover; and count, newest event, and the event
# times of the trades that set open and close.
_NO_FLOATS: Final = np.array([[np.nan], [-np.inf], [np.inf], [np.nan], [0.0], [0.0]])
_NO_WHOLES: Final = np.array([[0], [0], [_LAST], [-_LAST]])


class Ring:
    """Open base bars: the bar that opens at t lies in the row t / base % rows.

    Whoever folds keeps the bars of one fold, and those taken since, within `rows` of each other.
    """

    def __init__(self, width: int, rows: int) -> None:
        self.rows = rows
        self._width = width
        self._floats = np.empty((6, rows, width))
        self._wholes = np.empty((4, rows, width), np.int64)
        self._floats[:] = _NO_FLOATS[..., np.newaxis]
        self._wholes[:] = _NO_WHOLES[..., np.newaxis]
        # Flat views, so that row and slot are one index.
        flat = [each.reshape(-1) for each in self._floats]
        self._open, self._high, self._low, self._close, self._volume, self._turnover = flat
        self._count, self._newest_ns, self._open_event_ns, self._close_event_ns = (
            each.reshape(-1) for each in self._wholes
        )

    def fold(self, batch: TickBatch) -> None:
        """Add ticks to their bars. Sums add in order of arrival: the same bits however batches are cut."""
        at = batch.event_ns // BASE_NS % self.rows * self._width + batch.instrument
        np.add.at(self._count, at, 1)
        np.maximum.at(self._newest_ns, at, batch.event_ns)
        allowed = batch.flags & _ORDINARY
        if (allowed == _ORDINARY).all():
            self._set_range(at, batch.price)
            self._set_open_close(at, batch.price, batch.event_ns)
            self._add_volume(at, batch.price, batch.size)
            return
        some = (allowed & TickFlag.SETS_RANGE) > 0
        self._set_range(at[some], batch.price[some])
        some = (allowed & TickFlag.SETS_OPEN_CLOSE) > 0
        self._set_open_close(at[some], batch.price[some], batch.event_ns[some])
        some = (allowed & TickFlag.SETS_VOLUME) > 0
        self._add_volume(at[some], batch.price[some], batch.size[some])

    def _set_range(self, at: NDArray[np.int64], price: NDArray[np.float64]) -> None:
        np.maximum.at(self._high, at, price)
        np.minimum.at(self._low, at, price)

    def _add_volume(self, at: NDArray[np.int64], price: NDArray[np.float64], size: NDArray[np.float64]) -> None:
        np.add.at(self._volume, at, size)
        np.add.at(self._turnover, at, price * size)

    def _set_open_close(self, at: NDArray[np.int64], price: NDArray[np.float64], event_ns: NDArray[np.int64]) -> None:
        """The earliest by event time opens, the latest closes; of equals the first to arrive, and the last.

        Of several assignments to one place numpy keeps the last, so the ticks are laid in order of event time.
        """
        if (event_ns[1:] < event_ns[:-1]).any():
            order = np.argsort(event_ns, kind="stable")
            at, price, event_ns = at[order], price[order], event_ns[order]
        closes, close_event_ns = self._close, self._close_event_ns
        later = event_ns >= close_event_ns[at]
        if later.all():
            closes[at] = price
            close_event_ns[at] = event_ns
        else:
            closes[at[later]] = price[later]
            close_event_ns[at[later]] = event_ns[later]
        opens, open_event_ns = self._open, self._open_event_ns
        earlier = np.flatnonzero(event_ns < open_event_ns[at])[::-1]
        if len(earlier):
            opens[at[earlier]] = price[earlier]
            open_event_ns[at[earlier]] = event_ns[earlier]

    def count(self, open_ns: int) -> NDArray[np.int64]:
        """The trades of each slot in the open bar at `open_ns`, as a view."""
        row: NDArray[np.int64] = self._wholes[0, self._row(open_ns)]
        return row

    def peek(self, open_ns: int) -> Partial | None:
        """The open bar at `open_ns` as it is now, copied; None when it has no trade."""
        if not self.count(open_ns).any():
            return None
        row = self._row(open_ns)
        return Partial(*self._floats[:, row].copy(), *self._wholes[:2, row].copy())

    def take(self, open_ns: int) -> Partial | None:
        """The open bar at `open_ns`, which leaves its row to a later one; None when it has no trade."""
        partial = self.peek(open_ns)
        if partial is not None:
            row = self._row(open_ns)
            self._floats[:, row] = _NO_FLOATS
            self._wholes[:, row] = _NO_WHOLES
        return partial

    def newest(self, open_ns: int) -> int | None:
        """The open time of the newest bar with a trade, from the one at `open_ns` on; None when none has one."""
        bars = [open_ns + ahead * BASE_NS for ahead in range(self.rows)]
        return max((bar for bar in bars if self.count(bar).any()), default=None)

    def _row(self, open_ns: int) -> int:
        return open_ns // BASE_NS % self.rows
