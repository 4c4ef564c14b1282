"""Which finals of a topic the bus need not hold any longer. Pure; no I/O."""

from collections import deque
from typing import Final

from wire.position import Offset

KEPT_S: Final = 600.0
KEPT_BYTES: Final = 32 * 1024 * 1024


class Retention:
    """What was published when: finals are kept for 10 minutes, and up to 32 MB of them."""

    __slots__ = ("_forget", "_published", "_size_bytes")

    def __init__(self) -> None:
        self._published: deque[tuple[float, Offset, int]] = deque()
        self._size_bytes = 0
        self._forget = Offset(0)

    def note(self, now_s: float, last: Offset, size_bytes: int) -> None:
        """Finals up to offset `last` were published now."""
        self._published.append((now_s, last, size_bytes))
        self._size_bytes += size_bytes

    def forget(self, now_s: float) -> Offset:
        """The newest offset that need not be held."""
        while self._published and (now_s - self._published[0][0] >= KEPT_S or self._size_bytes > KEPT_BYTES):
            _, self._forget, size = self._published.popleft()
            self._size_bytes -= size
        return self._forget
