"""RawBar: a bar as its trades made it, and how it is filled where no trade set anything. Pure; no I/O."""

from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.columns import Columns
from engine.rollup import Gaps
from engine.tally import Partial, Tally

# Fewer slots than this are kept as they are: nothing is gained by leaving out those without a trade.
_PACKED_WIDTH: Final = 64


class RawBar(Struct, frozen=True, eq=False, gc=False):
    """A bar of all slots. ``last`` is each slot's last close and ``newest_ns`` its newest trade, both at its end.

    ``partial`` is None when it had no trade; where ``slots`` is not None it is of just those, which rise.
    """

    open_ns: int
    end_ns: int
    session_ns: int
    partial: Partial | None
    last: NDArray[np.float64]
    newest_ns: NDArray[np.int64]
    gaps: Gaps | None
    slots: NDArray[np.intp] | None = None

    @property
    def width(self) -> int:
        """The number of slots."""
        return len(self.last)

    def packed(self) -> "RawBar":
        """The same bar without the slots that had no trade, if it is wide."""
        if self.partial is None or self.slots is not None or self.width < _PACKED_WIDTH:
            return self
        slots = np.flatnonzero(self.partial.count)
        return replace(self, partial=self.partial.take(slots), slots=slots)

    def of(self, slots: NDArray[np.intp]) -> Partial:
        """What the trades of some slots set; copied."""
        nothing = Tally(len(slots)).partial(slice(None))
        if self.partial is None or len(slots) == 0:
            return nothing
        if self.slots is None:
            return self.partial.take(slots)
        place = np.searchsorted(self.slots, slots)
        place[place == len(self.slots)] = 0
        found, known = self.partial.take(place), self.slots[place] == slots
        fields = zip(_arrays(found), _arrays(nothing), strict=True)
        return Partial(*(np.where(known, has, none) for has, none in fields))

    def row(self, slot: int) -> tuple[float, ...] | None:
        """What the trades of one slot set, in the order of Partial's fields; None when it is known to have none."""
        if self.partial is None:
            return None
        if self.slots is not None:
            place = int(np.searchsorted(self.slots, slot))
            if place == len(self.slots) or self.slots[place] != slot:
                return None
            slot = place
        return tuple(array.item(slot) for array in _arrays(self.partial))

    def gaps_of(self, slot: int) -> int:
        """How many base bars of it miss trades of a slot."""
        return 0 if self.gaps is None else int(self.gaps[slot])

    def mended(self, slots: NDArray[np.intp], partial: Partial) -> "RawBar":
        """The bar in which some slots are others."""
        every = self.of(np.arange(self.width, dtype=np.intp))
        for array, other in zip(_arrays(every), _arrays(partial), strict=True):
            array[slots] = other
        return replace(self, partial=every, slots=None)


def _arrays(partial: Partial) -> tuple[NDArray[np.generic], ...]:
    return (
        partial.open,
        partial.high,
        partial.low,
        partial.close,
        partial.volume,
        partial.turnover,
        partial.count,
        partial.newest_ns,
        partial.open_event_ns,
        partial.close_event_ns,
    )


class Filler:
    """Bars of `width` slots as they are handed out; those without a trade share what they have in common."""

    def __init__(self, width: int) -> None:
        self._nothing = np.zeros(width)
        self.none = np.zeros(width, np.int64)
        """Counts of no trades, never written to."""
        for shared in (self._nothing, self.none):
            shared.flags.writeable = False

    def fill(self, raw: RawBar) -> Columns:
        """Set to the last close what no trade set. A high or low lies never inside open and close.

        The bar must not be packed.
        """
        last, partial = raw.last, raw.partial
        gap = None if raw.gaps is None else raw.gaps > 0
        if gap is not None and not gap.any():
            gap = None
        if partial is None:
            volume, count = self._nothing, self.none
            return Columns(
                raw.open_ns, last, last, last, last, volume, volume, count, raw.newest_ns, raw.session_ns, gap
            )
        first = np.where(np.isnan(partial.open), last, partial.open)
        close = np.where(np.isnan(partial.close), last, partial.close)
        high = np.maximum(partial.high, np.maximum(first, close))
        low = np.minimum(partial.low, np.minimum(first, close))
        sums = (partial.volume, partial.turnover, partial.count)
        return Columns(raw.open_ns, first, high, low, close, *sums, raw.newest_ns, raw.session_ns, gap)
