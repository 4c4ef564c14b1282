"""Holes: which base bars that have not closed yet miss trades. Pure; no I/O."""

from typing import Final

import numpy as np
from msgspec import Struct

from engine.rollup import BASE_NS, Gaps

_FOREVER: Final = 1 << 62
_NEVER: Final = -(1 << 62)


class HolesState(Struct, frozen=True):
    """The marked slots of each open base bar, and until when all bars of all slots miss trades."""

    marks: tuple[tuple[int, tuple[int, ...]], ...]
    until_ns: int


class Holes:
    """What is known to be missing of the open base bars of `width` slots."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._marks: dict[int, set[int]] = {}
        self._until_ns = _NEVER
        self._every = np.ones(width, np.int64)
        self._every.flags.writeable = False

    @property
    def interrupted(self) -> bool:
        """Whether all bars miss trades, until `resume`."""
        return self._until_ns == _FOREVER

    def interrupt(self) -> None:
        """No slot gets trades from now on."""
        self._until_ns = _FOREVER

    def resume(self, now_ns: int) -> None:
        """Trades come again, since `now_ns` of the exchange's time."""
        if self._until_ns == _FOREVER:
            self._until_ns = now_ns

    def mark(self, slot: int, open_ns: int) -> None:
        """An open base bar misses trades of a slot."""
        self._marks.setdefault(open_ns, set()).add(slot)

    def known(self, slot: int, open_ns: int) -> bool:
        """Whether an open base bar is known to miss trades of a slot."""
        return open_ns < self._until_ns or slot in self._marks.get(open_ns, ())

    def clear(self, slots: set[int], from_ns: int, to_ns: int) -> None:
        """What some slots missed over [from_ns, to_ns) was found, as far as it was marked slot by slot."""
        for open_ns, marked in self._marks.items():
            if from_ns < open_ns + BASE_NS and open_ns < to_ns:
                marked.difference_update(slots)

    def at(self, open_ns: int) -> Gaps | None:
        """The gaps of an open base bar."""
        if open_ns < self._until_ns:
            return self._every
        marked = self._marks.get(open_ns)
        if not marked:
            return None
        gaps = np.zeros(self._width, np.int64)
        gaps[sorted(marked)] = 1
        return gaps

    def take(self, open_ns: int) -> Gaps | None:
        """The gaps of a base bar that closes."""
        gaps = self.at(open_ns)
        self._marks.pop(open_ns, None)
        return gaps

    def state(self) -> HolesState:
        """All that is known."""
        return HolesState(tuple((each, tuple(slots)) for each, slots in self._marks.items()), self._until_ns)

    def restore(self, state: HolesState) -> None:
        """Know what `state` gave, and nothing else."""
        self._marks = {each: set(slots) for each, slots in state.marks}
        self._until_ns = state.until_ns
