"""Replay: a recording as a feed, at its own pace, faster, or as fast as it is taken. Reads files."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from engine.feeds.feed import FeedState, FeedStatus
from engine.feeds.forms import open_recording
from engine.feeds.hours import sessions_of
from engine.feeds.merge import Merged
from engine.feeds.naming import named
from engine.feeds.quotes import joined, later
from engine.feeds.recording import Reading, Recording
from engine.ticks import QuoteBatch, TickBatch
from wire.market import NS_PER_MS, NS_PER_S, Instrument

_MINUTE_NS: Final = 60 * NS_PER_S
# Lines that are parsed at once: paced, so that no step takes over a few ms; else so that the steps are few.
_PACED_LINES: Final = 1024
_MOST_LINES: Final = 8_192
# A connection is one byte.
_MOST_CONNECTIONS: Final = 256


class Replay:
    """Recordings of one venue, merged by time of receipt, as one feed; its clock is the recorded one.

    `venue` and `instrument` name what the recordings do not, or otherwise than they do: see `naming.named`. Each
    recording with times of receipt is a connection of its own.
    `speed` is how many recorded seconds pass in one of `clock_ns`, which the first reading of `now_ns` starts; without
    a `clock_ns` nothing is waited for: each reading of `now_ns` is the time of receipt of the next few thousand
    lines' last tick. `loop` starts over at the end, with all stamps later by the length, rounded up to a minute.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        venue: str | None = None,
        instrument: Instrument | None = None,
        speed: float = 1.0,
        loop: bool = False,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        """Look through the files. Raises FeedError when one cannot be read, or the venue is not known."""
        recordings = [open_recording(file) for file in files]
        names = named(recordings, venue, instrument)
        self.venue = names.venue
        self.instruments: Sequence[str] = names.symbols
        self.grace_ns = max(each.grace_ns for each in recordings)
        self.sessions = sessions_of(names.venue)
        self.recorded = True
        self.behind = False
        self._first_ns = min(each.first_ns for each in recordings)
        self._speed = speed
        self._clock_ns = clock_ns
        self._lines = _MOST_LINES if clock_ns is None else _PACED_LINES
        self._started_ns: int | None = None
        length_ns = max(each.last_ns for each in recordings) - self._first_ns
        self._loop_ns = max(1, -(-length_ns // _MINUTE_NS)) * _MINUTE_NS if loop else None
        self._shift_ns = 0
        readings = [each.play(slots) for each, slots in zip(recordings, names.slots, strict=True)]
        self._reading: Reading = readings[0] if len(readings) == 1 else Merged(readings, _connections(recordings))
        self._pending = TickBatch.empty()
        self._ended = False
        self._now_ns = self._first_ns
        self._drained_ns = self._first_ns - 1
        self._left_quotes: QuoteBatch | None = None
        self._lag_ns = 0
        self._ticks = 0

    @property
    def endless(self) -> bool:
        """True when it starts over at the end."""
        return self._loop_ns is not None

    def now_ns(self) -> int:
        """The recorded time of receipt that playing has come to; it stays at the last tick when that was given."""
        if not self._load():
            self.behind = False
            return self._now_ns
        reach_ns = self._pending.received_ns.item(-1)
        due_ns = reach_ns
        if self._clock_ns is not None:
            clock_ns = self._clock_ns()
            if self._started_ns is None:
                self._started_ns = clock_ns
            due_ns = self._first_ns + int((clock_ns - self._started_ns) * self._speed)
        self.behind = self._clock_ns is None or due_ns > reach_ns
        self._now_ns = max(self._now_ns, min(due_ns, reach_ns))
        return self._now_ns

    def drain(self, now_ns: int) -> TickBatch:
        """Everything received up to `now_ns` that was not given yet. Raises FeedError when a file cannot be read."""
        drained = []
        self._drained_ns = max(self._drained_ns, now_ns)
        while self._load():
            count = int(np.searchsorted(self._pending.received_ns, now_ns, side="right"))
            if count:
                drained.append(self._pending[:count])
                self._pending = self._pending[count:]
            if len(self._pending):
                break
        batch = TickBatch.join(drained)
        if len(batch):
            self._ticks += len(batch)
            self._lag_ns = batch.received_ns.item(-1) - batch.event_ns.item(-1)
            self._now_ns = max(self._now_ns, batch.received_ns.item(-1))
        self._reading.settle_quotes(self._drained_ns - self._shift_ns)
        return batch

    def take_quotes(self) -> QuoteBatch | None:
        """The newest quote of each symbol received up to the last drain, those not given yet; None without any."""
        left, self._left_quotes = self._left_quotes, None
        return joined([left, self._quotes()])

    def take_new_kinds(self) -> Sequence[str]:
        """The kinds of unknown messages met for the first time since this was asked last."""
        return self._reading.take_new_kinds()

    def status(self) -> FeedStatus:
        """Up while there is anything to give, then closed."""
        up = self._load()
        counts = self._reading.counts
        return FeedStatus(
            state=FeedState.UP if up else FeedState.CLOSED,
            since_ms=(self._first_ns if up else self._now_ns) // NS_PER_MS,
            lag_ms=max(0, self._lag_ns // NS_PER_MS),
            ticks=self._ticks,
            unknown=counts.unknown,
            duplicates=counts.duplicates,
            gaps=counts.gaps,
            refused=counts.refused,
        )

    async def run(self) -> None:
        """Nothing: a replay does all it does when it is asked."""

    def _load(self) -> bool:
        """Parse lines until there is a tick to give; False when there is none any more."""
        while not self._ended and len(self._pending) == 0:
            batch = self._reading.read(self._lines)
            if batch is not None:
                self._pending = batch.later(self._shift_ns)
            elif self._loop_ns is None:
                self._ended = True
            else:
                quotes = self._quotes()
                self._left_quotes = self._left_quotes if quotes is None else quotes
                self._shift_ns += self._loop_ns
                self._reading.restart()
        return len(self._pending) > 0

    def _quotes(self) -> QuoteBatch | None:
        """The quotes of this round received up to the last drain, those not given yet."""
        return later(self._reading.take_quotes(self._drained_ns - self._shift_ns), self._shift_ns)


def _connections(recordings: Sequence[Recording]) -> Sequence[int]:
    """The connection of each recording: the ones without times of receipt have one clock, and so one connection."""
    timed = [place for place, each in enumerate(recordings) if each.has_receipts]
    number = {place: count % _MOST_CONNECTIONS for count, place in enumerate(timed)}
    return [number.get(place, 0) for place in range(len(recordings))]
