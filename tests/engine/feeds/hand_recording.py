"""Recordings and readings that a test makes up itself. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.feeds.recording import Counts
from engine.ticks import QuoteBatch, TickBatch, TickFlag


@dataclass
class HandReading:
    """Ticks of one slot at given times of receipt, whose prices count up from `price`."""

    times: Sequence[int]
    slot: int = 0
    price: float = 0.0
    place: int = 0
    counts: Counts = field(default_factory=Counts)
    kinds: Sequence[str] = ()
    quotes: Sequence[tuple[int, float]] = ()

    def read(self, lines: int) -> TickBatch | None:
        """Give one tick a line."""
        times = self.times[self.place : self.place + lines]
        first = self.price + self.place
        self.place += lines
        return None if len(times) == 0 else ticks(times, self.slot, first)

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """Give quotes of the slot."""
        rows = [each for each in self.quotes if each[0] <= until_ns]
        if not rows:
            return None
        at = np.array([each for each, _ in rows], np.int64)
        bid = np.array([each for _, each in rows])
        return QuoteBatch(np.full(len(rows), self.slot, np.int32), bid, bid + 1, bid, bid, at, at)

    def settle_quotes(self, until_ns: int) -> None:
        """Nothing."""

    def take_new_kinds(self) -> Sequence[str]:
        """Give the kinds."""
        return self.kinds

    def restart(self) -> None:
        """Begin again."""
        self.place = 0


@dataclass
class HandRecording:
    """A recording that says what it is told to."""

    symbols: Sequence[str] = ("AIG",)
    venue: str | None = None
    first_ns: int = 0
    last_ns: int = 10
    path: str = "hand"
    grace_ns: int = 0
    has_receipts: bool = True

    def play(self, slots: Mapping[str, int]) -> HandReading:
        """Give its ticks."""
        return HandReading(range(self.first_ns, self.last_ns), slots[self.symbols[0]])


def ticks(times: Sequence[int], slot: int, price: float) -> TickBatch:
    """Ticks at these times, with prices that count up."""
    count = len(times)
    at = np.array(times, np.int64)
    return TickBatch(
        np.full(count, slot, np.int32),
        price + np.arange(count, dtype=np.float64),
        np.ones(count),
        at,
        at,
        np.full(count, int(TickFlag.ORDINARY), np.uint8),
    )
