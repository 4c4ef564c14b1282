"""TradeIds: which of a venue's gap-free trade ids have come, so that none counts twice. Pure; no I/O."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

# So many holes of one instrument are remembered; what comes late into an older one is taken for a duplicate.
_HOLES: Final = 64
_NONE: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """What ids in order of receipt turned out to be: ``fresh`` is a mask of those that had not come before.

    ``behind_gap`` has the places, rising, of those with a hole right before them.
    """

    fresh: NDArray[np.bool_]
    behind_gap: NDArray[np.intp]


class TradeIds:
    """The trade ids of every slot of a venue. ``duplicates`` counts ids that came before, ``gaps`` holes.

    An id that fills a hole later is fresh; the hole stays counted, since bars may have closed without it.
    """

    def __init__(self, width: int) -> None:
        self.duplicates = 0
        self.gaps = 0
        self._next = np.full(width, _NONE, np.int64)
        self._holes: dict[int, deque[tuple[int, int]]] = {}

    def forget(self) -> None:
        """Let the venue begin anew: the next id of each slot is its first."""
        self._next[:] = _NONE
        self._holes.clear()

    def screen(self, slot: NDArray[np.int32], trade_id: NDArray[np.int64]) -> Screened:
        """Take ids, not negative, in order of receipt.

        One step for all slots when no id is out of line; else one by one.
        """
        none = np.zeros(0, np.intp)
        if len(slot) == 0:
            return Screened(np.ones(0, np.bool_), none)
        order = np.argsort(slot, kind="stable")
        slots, ids = slot[order], trade_id[order]
        first = np.concatenate(([True], slots[1:] != slots[:-1]))
        expected = np.empty_like(ids)
        expected[1:] = ids[:-1] + 1
        expected[first] = self._next[slots[first]]
        if ((ids == expected) | (expected == _NONE)).all():
            last = np.concatenate((first[1:], [True]))
            self._next[slots[last]] = ids[last] + 1
            return Screened(np.ones(len(slot), np.bool_), none)
        gaps: list[int] = []
        fresh = np.ones(len(slot), np.bool_)
        for place, (each, number) in enumerate(zip(slot.tolist(), trade_id.tolist(), strict=True)):
            following = self._next.item(each)
            if number < following:
                fresh[place] = self._fills_hole(each, number)
                continue
            if number > following != _NONE:
                gaps.append(place)
                self._holes.setdefault(each, deque(maxlen=_HOLES)).append((following, number))
            self._next[each] = number + 1
        self.gaps += len(gaps)
        self.duplicates += len(fresh) - int(np.count_nonzero(fresh))
        return Screened(fresh, np.array(gaps, np.intp))

    def _fills_hole(self, slot: int, trade_id: int) -> bool:
        holes = self._holes.get(slot, ())
        for place, (start, stop) in enumerate(holes):
            if start <= trade_id < stop and isinstance(holes, deque):
                rest = [part for part in ((start, trade_id), (trade_id + 1, stop)) if part[0] < part[1]]
                kept = [*list(holes)[:place], *rest, *list(holes)[place + 1 :]]
                self._holes[slot] = deque(kept, maxlen=_HOLES)
                return True
        return False
