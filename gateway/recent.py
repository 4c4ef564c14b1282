"""Recent: the newest finals of one topic that a gateway has heard, so that not everybody has to read them. Pure."""

from collections import deque
from typing import Final

from wire.envelope import HeldFinal
from wire.position import Offset

RECENT_BYTES: Final = 1024 * 1024
"""What is kept of one topic, at most."""
FINAL_BYTES: Final = 300
"""What a final takes beside its payload, about."""


class Recent:
    """Every final above `begin`, up to the newest; the oldest go when there is too much."""

    __slots__ = ("_finals", "_size_bytes", "begin")

    def __init__(self) -> None:
        self.begin = Offset(0)
        self._finals: deque[HeldFinal] = deque()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._finals)

    def add(self, final: HeldFinal) -> None:
        """The next final; one that does not follow the newest makes a new beginning."""
        if final.offset != self.begin + len(self._finals) + 1:
            self.clear(Offset(final.offset - 1))
        self._finals.append(final)
        self._size_bytes += len(final.publication.payload) + FINAL_BYTES
        while self._size_bytes > RECENT_BYTES:
            self._size_bytes -= len(self._finals.popleft().publication.payload) + FINAL_BYTES
            self.begin = Offset(self.begin + 1)

    def clear(self, begin: Offset) -> None:
        """Forget all; the next final that counts comes after `begin`."""
        self._finals.clear()
        self._size_bytes = 0
        self.begin = begin

    def after(self, offset: Offset, channel: str) -> tuple[HeldFinal, ...]:
        """The finals of `channel` above `offset`, in order. O(finals above `offset`); `offset` is not below `begin`."""
        above = len(self._finals) - (offset - self.begin)
        found = [
            final
            for _, final in zip(range(above), reversed(self._finals), strict=False)
            if final.publication.channel == channel
        ]
        return tuple(reversed(found))
