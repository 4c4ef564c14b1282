"""The offset between a venue's clock and ours, out of the newest minute of ticks. Pure; no I/O."""

from collections import deque
from collections.abc import Iterable
from typing import Final, Self

from wire.market import NS_PER_S

WINDOW_SECONDS: Final = 60
NEVER: Final = -(1 << 62)


class OffsetWindow:
    """The least `received - event` over the current and the 59 previous whole seconds of receipt.

    If no tick came in for a minute, the last offset stands, and counts for the second in which the next one comes.
    """

    __slots__ = ("_minima", "peak_ns")

    def __init__(self, minima: Iterable[tuple[int, int]] = (), peak_ns: int = NEVER) -> None:
        # (second, least): both rise from the front, whose least is the offset; the last is the newest second.
        self._minima = deque(minima)
        # How far the corrected clock had come when the offset last rose: it does not run back.
        self.peak_ns = peak_ns

    def __len__(self) -> int:
        return len(self._minima)

    def copy(self) -> Self:
        """A window that goes its own way from here; at most 60 entries."""
        return type(self)(self._minima, self.peak_ns)

    def offset_at(self, second: int) -> int:
        """The offset in ns at this whole second of receipt, which never decreases from call to call."""
        minima = self._minima
        while len(minima) > 1 and minima[0][0] <= second - WINDOW_SECONDS:
            expired, least = minima.popleft()
            self.peak_ns = max(self.peak_ns, (expired + WINDOW_SECONDS) * NS_PER_S - 1 - least)
        return minima[0][1]

    def offset_for_tick(self, second: int) -> int:
        """The offset in ns that a tick received in this second is judged by."""
        offset = self.offset_at(second)
        if self._minima[0][0] <= second - WINDOW_SECONDS:
            self._minima[0] = (second, offset)
        return offset

    def state(self) -> tuple[tuple[tuple[int, int], ...], int]:
        """What makes a window like this one."""
        return tuple(self._minima), self.peak_ns

    def add(self, second: int, lag_ns: int) -> None:
        """Take in a lag of this second; it replaces what is neither less nor newer."""
        minima = self._minima
        while minima and minima[-1][1] >= lag_ns:
            minima.pop()
        if not minima or minima[-1][0] < second:
            minima.append((second, lag_ns))
