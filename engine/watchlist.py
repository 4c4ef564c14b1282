"""Watchlist: the slots watched for one thing, each with its channel and what was last said of it. Pure; no I/O."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Slots

_FEW: Final = 4
"""So few places are looked at one by one: numpy's calls would cost more."""


class Watchlist:
    """Watched slots in the order they came, a place for each; a slot is on it once.

    ``channels`` are their canonical names. `values` is how many numbers are said of a slot.
    """

    def __init__(self, values: int) -> None:
        self.channels: list[str] = []
        self.payloads: list[bytes] = []
        """What was published last of each place, live; empty before the first."""
        self._places: dict[int, int] = {}
        # With room for more: what is in use ends with the channels.
        self._slots: Slots = np.zeros(0, np.intp)
        self._concluded = np.zeros(0, np.bool_)
        # The bar and the values that were said last, a column for each place; infinite before the first.
        self._said = np.full((1 + values, 0), np.inf)

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def slots(self) -> Slots:
        """The slot of each place."""
        return self._slots[: len(self.channels)]

    @property
    def concluded(self) -> NDArray[np.bool_]:
        """The places of which a final was published, to be written to."""
        return self._concluded[: len(self.channels)]

    def add(self, slot: int, channel: str) -> None:
        """Watch a slot that is not on it."""
        place = len(self.channels)
        if place == len(self._slots):
            room = max(4, place)
            self._slots = np.append(self._slots, np.zeros(room, np.intp))
            self._concluded = np.append(self._concluded, np.zeros(room, np.bool_))
            self._said = np.append(self._said, np.full((len(self._said), room), np.inf), axis=1)
        self._places[slot] = place
        self.channels.append(channel)
        self.payloads.append(b"")
        self._slots[place] = slot
        self._concluded[place] = False
        self._said[:, place] = np.inf

    def remove(self, slot: int) -> None:
        """Watch it no more; nothing happens if it is not on it. O(length)."""
        place = self._places.pop(slot, None)
        if place is None:
            return
        del self.channels[place], self.payloads[place]
        self._slots = np.delete(self._slots, place)
        self._concluded = np.delete(self._concluded, place)
        self._said = np.delete(self._said, place, axis=1)
        self._places = {each: at for at, each in enumerate(self.slots.tolist())}

    def place(self, slot: int) -> int | None:
        """Where `slot` is; None if it is not watched."""
        return self._places.get(slot)

    def within(self, slots: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The places whose slots a mask over all of the venue names."""
        return np.flatnonzero(slots[self.slots])

    def news(self, places: NDArray[np.intp], open_ms: int, values: Sequence[Column]) -> NDArray[np.bool_]:
        """Which of `places` say something else than they did, now that this is said of them."""
        if len(places) <= _FEW:
            return self._news_of_few(places.tolist(), [float(open_ms)], [column.tolist() for column in values])
        news = np.zeros(len(places), np.bool_)
        for row, new in zip(self._said, (np.full(len(places), float(open_ms)), *values), strict=True):
            old = row.take(places)
            # What differs is news, but for a NaN that was one: a NaN equals nothing.
            news |= (new != old) & ((new == new) | (old == old))  # noqa: PLR0124
            row[places] = new
        return news

    def _news_of_few(self, places: list[int], open_ms: list[float], values: list[list[float]]) -> NDArray[np.bool_]:
        """The same, one number at a time."""
        news = []
        for at, place in enumerate(places):
            said = open_ms + [column[at] for column in values]
            before: list[float] = self._said[:, place].tolist()
            new = any(a != b and (a == a or b == b) for a, b in zip(said, before, strict=True))  # noqa: PLR0124
            if new:
                self._said[:, place] = said
            news.append(new)
        return np.array(news, np.bool_)
