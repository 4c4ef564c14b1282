"""Piece: what was received at once, read: how many publications, and what else. Pure; no I/O."""

from typing import Final

from loadtest.frames import CLOSE, split
from loadtest.target import Dialect, Told

_STAMP: Final = b'"sent":'


class Piece:
    """What was received at once, as far as it is whole frames."""

    __slots__ = ("data", "deliveries", "dialect", "end", "events", "frames", "mixed", "others", "spans")

    def __init__(self, data: bytes, dialect: Dialect) -> None:
        self.data = data
        self.dialect = dialect
        self.deliveries = 0
        self.spans: list[tuple[int, int]] = []
        """Where the deliveries are."""
        self.mixed = False
        """True when there are other messages beside deliveries: then their order counts."""
        self.others: list[tuple[int, bytes]] = []
        """The other messages, with their opcodes."""
        self.events: list[Told] | None = None
        """What the deliveries tell, once somebody has asked."""
        self.frames, self.end = split(data)
        for frame in self.frames:
            message = data[frame.start : frame.end]
            count = dialect.deliveries(message) if frame.opcode < CLOSE else 0
            if count:
                self.deliveries += count
                self.spans.append((frame.start, frame.end))
            else:
                self.others.append((frame.opcode, message))
        self.mixed = bool(self.spans and self.others)

    def told(self) -> list[Told]:
        """What the deliveries tell."""
        if self.events is None:
            said = (event for start, end in self.spans for event in self.dialect.read(self.data[start:end]))
            self.events = [event for event in said if isinstance(event, Told)]
        return self.events

    def sent_us(self, which: int) -> int | None:
        """When one of the deliveries was sent; None when it does not say."""
        start, end = self.spans[which % len(self.spans)]
        at = self.data.rfind(_STAMP, start, end)
        digits = self.data[at + len(_STAMP) : at + len(_STAMP) + 16]
        return int(digits) if at >= 0 and digits.isdigit() else None
