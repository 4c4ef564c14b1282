"""Tally: what trades set at numbered places, added up in the order of their arrival. Pure; no I/O."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.ticks import TickBatch, TickFlag

_ORDINARY: Final = int(TickFlag.ORDINARY)
_LAST: Final = 1 << 62
# What a place without a trade holds: open, high, low, close, volume, turnover; and count, newest event, and the event
# times of the trades that set open and close.
_NO_FLOATS: Final = np.array([[np.nan], [-np.inf], [np.inf], [np.nan], [0.0], [0.0]])
_NO_WHOLES: Final = np.array([[0], [0], [_LAST], [-_LAST]])


@dataclass(frozen=True, slots=True, eq=False)
class Partial:
    """What the trades of a part of a bar set, for every slot; arrays of shape (slots,), never written to.

    Where no trade set it, ``open`` and ``close`` are NaN, ``high`` is -inf, ``low`` inf, ``newest_ns`` (exchange time
    of the newest trade) 0, the sums 0; ``open_event_ns`` and ``close_event_ns`` (exchange times of the trades that
    opened and closed) are beyond all times and before all.
    """

    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    turnover: NDArray[np.float64]
    count: NDArray[np.int64]
    newest_ns: NDArray[np.int64]
    open_event_ns: NDArray[np.int64]
    close_event_ns: NDArray[np.int64]

    def take(self, slots: NDArray[np.intp]) -> "Partial":
        """The part of some slots, in their order; copied."""
        return Partial(
            self.open.take(slots),
            self.high.take(slots),
            self.low.take(slots),
            self.close.take(slots),
            self.volume.take(slots),
            self.turnover.take(slots),
            self.count.take(slots),
            self.newest_ns.take(slots),
            self.open_event_ns.take(slots),
            self.close_event_ns.take(slots),
        )


class Tally:
    """Trades added up at `places` places; sums add in order of arrival: the same bits however batches are cut."""

    def __init__(self, places: int) -> None:
        self._floats = np.empty((6, places))
        self._wholes = np.empty((4, places), np.int64)
        self._floats[:] = _NO_FLOATS
        self._wholes[:] = _NO_WHOLES
        self._open, self._high, self._low, self._close, self._volume, self._turnover = self._floats
        self._count, self._newest_ns, self._open_event_ns, self._close_event_ns = self._wholes

    @property
    def count(self) -> NDArray[np.int64]:
        """The trades at each place, as a view."""
        return self._count

    @property
    def newest_ns(self) -> NDArray[np.int64]:
        """The event time of the newest trade at each place, 0 where there is none, as a view."""
        return self._newest_ns

    def fold(self, at: NDArray[np.int64], batch: TickBatch) -> None:
        """Add each tick at its place."""
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

    def partial(self, places: slice) -> Partial:
        """What lies at some places, copied."""
        # One by one: a column of a bar that is held would otherwise hold all the others.
        return Partial(*(each[places].copy() for each in (*self._floats, *self._wholes)))

    def clear(self, places: slice) -> None:
        """Let go what lies at some places."""
        self._floats[:, places] = _NO_FLOATS
        self._wholes[:, places] = _NO_WHOLES

    def state(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All that it holds, copied."""
        return self._floats.copy(), self._wholes.copy()

    def restore(self, floats: NDArray[np.float64], wholes: NDArray[np.int64]) -> None:
        """Hold what `state` gave. ValueError when it is of another number of places."""
        self._floats[:] = _shaped(floats, self._floats.shape)
        self._wholes[:] = _shaped(wholes, self._wholes.shape)

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


def _shaped(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """`array`, if it has this shape: assigning another could spread it."""
    if array.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, found {array.shape}")
    return array
