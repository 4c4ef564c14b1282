"""Revisions: closed bars corrected by trades that came too late for them, beside the bars as used. Pure; no I/O."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct

from engine.rawbar import RawBar
from engine.rollup import BASE
from engine.sessions import Sessions, Stretch
from engine.ticks import TickBatch, TickFlag
from wire.market import Timeframe

# Of each timeframe so many corrections are remembered; then the first bars that had one lose theirs.
_MOST: Final = 16_384
# And so many revisions of all of them wait to be taken; then the first are given up.
_MOST_READY: Final = 65_536
_NEVER: Final = 1 << 62
# Plain numbers: a flag's own `&` costs more than all the rest that is done with a late trade.
_SETS_RANGE: Final = int(TickFlag.SETS_RANGE)
_SETS_OPEN_CLOSE: Final = int(TickFlag.SETS_OPEN_CLOSE)
_SETS_VOLUME: Final = int(TickFlag.SETS_VOLUME)

Find = Callable[[Timeframe, int], RawBar | None]
"""The closed bar of a timeframe that opened at a time, if it is still kept."""


class Revision(Struct, frozen=True):
    """A closed bar of one slot as it would have been, had all trades come in time; the ``rev``th one of this bar.

    ``event_ns`` is the exchange time of the newest trade up to this bar; ``gap``: trades are known to be missing.
    """

    timeframe: Timeframe
    open_ns: int
    slot: int
    rev: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    count: int
    event_ns: int
    gap: bool


class Correction(Struct, eq=False):
    """What to add to one slot's bar as it was used: late trades in order of arrival, and base bars with gaps."""

    open: float = math.nan
    high: float = -math.inf
    low: float = math.inf
    close: float = math.nan
    volume: float = 0.0
    turnover: float = 0.0
    count: int = 0
    newest_ns: int = 0
    open_event_ns: int = _NEVER
    close_event_ns: int = -_NEVER
    gaps: int = 0
    rev: int = 0
    revision: Revision | None = None

    def add(self, price: float, size: float, event_ns: int, flags: int) -> None:
        """Take in a late trade."""
        self.count += 1
        self.newest_ns = max(self.newest_ns, event_ns)
        if flags & _SETS_RANGE:
            self.high = max(self.high, price)
            self.low = min(self.low, price)
        if flags & _SETS_OPEN_CLOSE:
            if event_ns < self.open_event_ns:
                self.open, self.open_event_ns = price, event_ns
            if event_ns >= self.close_event_ns:
                self.close, self.close_event_ns = price, event_ns
        if flags & _SETS_VOLUME:
            self.volume += size
            self.turnover += price * size

    def revise(self, timeframe: Timeframe, slot: int, used: RawBar) -> Revision:
        """The next revision of the bar that was used."""
        first, high, low, close = self.open, self.high, self.low, self.close
        volume, turnover, count = self.volume, self.turnover, self.count
        if (row := used.row(slot)) is not None:
            if self.open_event_ns >= row[8]:
                first = row[0]
            if self.close_event_ns < row[9]:
                close = row[3]
            high, low = max(high, row[1]), min(low, row[2])
            volume, turnover, count = row[4] + volume, row[5] + turnover, int(row[6]) + count
        last = used.last.item(slot)
        first, close = (last if math.isnan(price) else price for price in (first, close))
        if not math.isnan(first):
            high, low = max(high, first, close), min(low, first, close)
        else:
            high = low = math.nan
        self.rev += 1
        event_ns = max(self.newest_ns, int(used.newest_ns[slot]))
        gap = used.gaps_of(slot) + self.gaps > 0
        figures = (first, high, low, close, volume, turnover, count, event_ns, gap)
        self.revision = Revision(timeframe, used.open_ns, slot, self.rev, *figures)
        return self.revision


class RevisionsState(Struct, frozen=True, eq=False):
    """All corrections; which of them are still to be revised; which revisions were not taken yet."""

    corrections: tuple[tuple[Timeframe, int, int, Correction], ...]
    waiting: tuple[tuple[int, Timeframe, int, tuple[int, ...]], ...]
    ready: tuple[tuple[int, Revision], ...]


class Revisions:
    """What came too late for the bars of `timeframes`, and the revisions that come of it.

    A bar that is still open when a late trade falls into a closed part of it is revised when it has closed.
    """

    def __init__(self, timeframes: Iterable[Timeframe], sessions: Sessions) -> None:
        self._handed_out = frozenset(timeframes)
        self._sessions = sessions
        self._stretch: Stretch | None = None
        self._corrections: dict[Timeframe, dict[int, dict[int, Correction]]] = {
            each: {} for each in sorted({BASE, *self._handed_out}, key=lambda each: each.ns)
        }
        self._lengths = tuple((each, each.ns) for each in self._corrections)
        self._sizes = dict.fromkeys(self._corrections, 0)
        self._waiting: dict[tuple[int, int, int], tuple[Timeframe, set[int]]] = {}
        self._ready: dict[tuple[int, int, int, int], Revision] = {}
        self.next_ns = _NEVER
        """The earliest end of a bar that waits to be revised."""

    def add(self, late: TickBatch) -> None:
        """Take in trades whose base bars have closed."""
        columns = (late.instrument, late.price, late.size, late.event_ns, late.flags)
        for slot, price, size, event_ns, flags in zip(*(each.tolist() for each in columns), strict=True):
            for correction in self._at(event_ns, slot):
                correction.add(price, size, event_ns, flags)

    def add_gap(self, slot: int, base_open_ns: int, by: int = 1) -> None:
        """A closed base bar misses trades of a slot that nobody knew of; or, with -1, misses them no more."""
        for correction in self._at(base_open_ns, slot):
            correction.gaps += by

    def gaps_of(self, slot: int, base_open_ns: int) -> int:
        """Whether `add_gap` said so of a base bar: 1 or 0."""
        correction = self._corrections[BASE].get(base_open_ns, {}).get(slot)
        return 0 if correction is None else correction.gaps

    def revise(self, timeframe: Timeframe, bar: RawBar, slots: Iterable[int]) -> None:
        """The bar as used has itself become another for some slots."""
        for slot in slots:
            self._correction(timeframe, (bar.end_ns, timeframe.ns, bar.open_ns), slot)

    def settle(self, closed_ns: int, find: Find) -> None:
        """Revise what waits and has ended by `closed_ns`."""
        if self.next_ns > closed_ns:
            return
        for key in sorted(key for key in self._waiting if key[0] <= closed_ns):
            timeframe, slots = self._waiting.pop(key)
            end_ns, length_ns, open_ns = key
            used = find(timeframe, open_ns)
            if used is None or timeframe not in self._handed_out:
                continue
            corrections = self._corrections[timeframe].get(open_ns, {})
            for slot in slots & corrections.keys():
                self._ready[end_ns, length_ns, open_ns, slot] = corrections[slot].revise(timeframe, slot, used)
        while len(self._ready) > _MOST_READY:
            del self._ready[next(iter(self._ready))]
        self.next_ns = min((key[0] for key in self._waiting), default=_NEVER)

    def take(self) -> list[Revision]:
        """The revisions since this was asked last, the newest of each bar, by boundary, timeframe and slot."""
        ready, self._ready = self._ready, {}
        return [ready[key] for key in sorted(ready)]

    def newest(self, timeframe: Timeframe, open_ns: int, slot: int) -> Revision | None:
        """The newest revision of a bar; None when it has none."""
        correction = self._corrections[timeframe].get(open_ns, {}).get(slot)
        return None if correction is None else correction.revision

    def any_of(self, timeframe: Timeframe) -> bool:
        """Whether anything is known of bars of a timeframe."""
        return self._sizes[timeframe] > 0

    def forget(self, timeframe: Timeframe, before_ns: int) -> None:
        """Let go what is known of bars that opened before a time."""
        bars = self._corrections[timeframe]
        for open_ns in [each for each in bars if each < before_ns]:
            self._sizes[timeframe] -= len(bars.pop(open_ns))

    def state(self) -> RevisionsState:
        """All that it remembers."""
        return RevisionsState(
            tuple(
                (timeframe, open_ns, slot, copy.copy(correction))
                for timeframe, bars in self._corrections.items()
                for open_ns, slots in bars.items()
                for slot, correction in slots.items()
            ),
            tuple((end_ns, tf, open_ns, tuple(slots)) for (end_ns, _, open_ns), (tf, slots) in self._waiting.items()),
            tuple((key[0], revision) for key, revision in self._ready.items()),
        )

    def restore(self, state: RevisionsState) -> None:
        """Remember what `state` gave, of these timeframes. Those of others are let go."""
        for timeframe, open_ns, slot, correction in state.corrections:
            if timeframe in self._corrections:
                self._corrections[timeframe].setdefault(open_ns, {})[slot] = copy.copy(correction)
                self._sizes[timeframe] += 1
        for end_ns, timeframe, open_ns, slots in state.waiting:
            self._wait(timeframe, (end_ns, timeframe.ns, open_ns)).update(slots)
        for end_ns, revision in state.ready:
            self._ready[end_ns, revision.timeframe.ns, revision.open_ns, revision.slot] = revision

    def _at(self, event_ns: int, slot: int) -> Iterator[Correction]:
        """The corrections of a slot's bars that hold an instant, which are to be revised."""
        stretch = self._stretch
        if stretch is None or not stretch.open_ns <= event_ns < stretch.close_ns:
            stretch = self._stretch = self._sessions.at(event_ns)
        for timeframe, length_ns in self._lengths:
            open_ns, end_ns = stretch.bar(length_ns, event_ns)
            yield self._correction(timeframe, (end_ns, length_ns, open_ns), slot)

    def _correction(self, timeframe: Timeframe, key: tuple[int, int, int], slot: int) -> Correction:
        """That of a slot's bar, new if there is none, to be revised; `key` is its end, length and open time."""
        self._wait(timeframe, key).add(slot)
        bars, open_ns = self._corrections[timeframe], key[2]
        slots = bars.setdefault(open_ns, {})
        correction = slots.get(slot)
        if correction is None:
            correction = slots[slot] = Correction()
            self._sizes[timeframe] += 1
            while self._sizes[timeframe] > _MOST and len(bars) > 1:
                first = next(each for each in bars if each != open_ns)
                self._sizes[timeframe] -= len(bars.pop(first))
        return correction

    def _wait(self, timeframe: Timeframe, key: tuple[int, int, int]) -> set[int]:
        self.next_ns = min(self.next_ns, key[0])
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = (timeframe, set())
        return waiting[1]
