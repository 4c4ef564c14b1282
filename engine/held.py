"""History: the closed bars that are held of every timeframe, within a budget of bytes. Pure; no I/O."""

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable
from typing import Final

from engine.columns import Columns
from wire.market import Timeframe

# Of each slot a bar holds eight numbers, and a truth when it has gaps.
_SLOT_BYTES: Final = 64
BUDGET_BYTES: Final = 512 << 20


class History:
    """The newest closed bars of each timeframe: at most `bars` of each, and `budget_bytes` of all.

    Where there are too many bytes, the timeframe of which most bars are held gives up its oldest: one that is not
    wanted, as long as one has any. Bytes count as if no two bars shared a column.
    """

    def __init__(self, timeframes: Iterable[Timeframe], *, bars: int, budget_bytes: int = BUDGET_BYTES) -> None:
        self._held: dict[Timeframe, deque[Columns]] = {each: deque(maxlen=bars) for each in timeframes}
        self._wanted = frozenset(self._held)
        self._budget_bytes = budget_bytes
        self.held_bytes = 0

    @property
    def timeframes(self) -> Collection[Timeframe]:
        """Those that are held."""
        return self._held.keys()

    def __getitem__(self, timeframe: Timeframe) -> tuple[Columns, ...]:
        return tuple(self._held[timeframe])

    def want(self, timeframes: Collection[Timeframe]) -> None:
        """From now on bars of other timeframes go first; at the beginning all are wanted."""
        self._wanted = frozenset(timeframes)

    def append(self, timeframe: Timeframe, bar: Columns) -> None:
        """Take in a newly closed bar."""
        held = self._held[timeframe]
        if len(held) == held.maxlen:
            self.held_bytes -= _bytes_of(held.popleft())
        held.append(bar)
        self.held_bytes += _bytes_of(bar)
        self._shrink()

    def bound(self, budget_bytes: int) -> None:
        """Hold at most so many bytes from now on."""
        self._budget_bytes = budget_bytes
        self._shrink()

    def replace(self, timeframe: Timeframe, bar: Columns) -> None:
        """Hold this bar in the place of the one that opened with it, if that is held."""
        held = self._held[timeframe]
        index = bisect_left(held, bar.open_ns, key=lambda each: each.open_ns)
        if index < len(held) and held[index].open_ns == bar.open_ns:
            self.held_bytes += _bytes_of(bar) - _bytes_of(held[index])
            held[index] = bar

    def oldest_ns(self, timeframe: Timeframe) -> int | None:
        """When the oldest bar that is held opened; None when none is."""
        held = self._held[timeframe]
        return held[0].open_ns if held else None

    def _shrink(self) -> None:
        while self.held_bytes > self._budget_bytes:
            unwanted = [held for timeframe, held in self._held.items() if timeframe not in self._wanted and held]
            longest = max(unwanted or self._held.values(), key=len)
            self.held_bytes -= _bytes_of(longest.popleft())


def _bytes_of(bar: Columns) -> int:
    return bar.width * (_SLOT_BYTES if bar.gap is None else _SLOT_BYTES + 1)
