"""Replay: a recording as a feed, at its own pace, faster, or as fast as it is taken. Reads files."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Final

import numpy as np

from engine.feeds import recording
from engine.feeds.binance import BinanceParser
from engine.feeds.errors import FeedError
from engine.feeds.feed import FeedState, FeedStatus
from engine.ticks import QuoteBatch, TickBatch
from wire.market import NS_PER_MS, NS_PER_S

VENUE: Final = "BINANCE"
GRACE_NS: Final = 250 * NS_PER_MS
_MINUTE_NS: Final = 60 * NS_PER_S
# Frames that are parsed at once: paced, so that no step takes over a few ms; else so that the steps are few.
_PACED_FRAMES: Final = 1024
_MOST_FRAMES: Final = 8_192


class Replay:
    """Recordings of one venue, merged by time of receipt, as one feed; its clock is the recorded one.

    `speed` is how many recorded seconds pass in one of `clock_ns`, which the first reading of `now_ns` starts; without
    a `clock_ns` nothing is waited for: each reading of `now_ns` is the time of receipt of the next few thousand
    frames' last tick. `loop` starts over at the end, with all stamps later by the length, rounded up to a minute.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        venue: str = VENUE,
        speed: float = 1.0,
        loop: bool = False,
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        """Scan the files. Raises FeedError when one cannot be read or two give one symbol."""
        contents = [recording.scan(file) for file in files]
        counted = Counter(symbol for each in contents for symbol in each.symbols)
        for symbol, times in counted.items():
            if times > 1:
                raise FeedError(
                    f"replay of {'+'.join(files)}: expected each symbol in one file, found {symbol} in {times}"
                )
        self.venue = venue
        self.instruments: Sequence[str] = tuple(sorted(counted))
        self.grace_ns = GRACE_NS
        self.recorded = True
        self.behind = False
        self._files = tuple(files)
        self._first_ns = min(each.first_ns for each in contents)
        self._speed = speed
        self._clock_ns = clock_ns
        self._started_ns: int | None = None
        length_ns = max(each.last_ns for each in contents) - self._first_ns
        self._loop_ns = max(1, -(-length_ns // _MINUTE_NS)) * _MINUTE_NS if loop else None
        self._shift_ns = 0
        self._parser = BinanceParser({symbol: slot for slot, symbol in enumerate(self.instruments)})
        self._frames = self._merged()
        self._pending = TickBatch.empty()
        self._ended = False
        self._now_ns = self._first_ns
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
        return batch

    def take_quotes(self) -> QuoteBatch | None:
        """None: there are no quotes yet."""
        return None

    def status(self) -> FeedStatus:
        """Up while there is anything to give, then closed."""
        up = self._load()
        return FeedStatus(
            state=FeedState.UP if up else FeedState.CLOSED,
            since_ms=(self._first_ns if up else self._now_ns) // NS_PER_MS,
            lag_ms=max(0, self._lag_ns // NS_PER_MS),
            ticks=self._ticks,
            unknown=self._parser.unknown,
            duplicates=self._parser.duplicates,
            gaps=self._parser.gaps,
            refused=self._parser.refused,
        )

    async def run(self) -> None:
        """Nothing: a replay does all it does when it is asked."""

    def _load(self) -> bool:
        """Parse frames until there is a tick to give; False when there is none any more."""
        while not self._ended and len(self._pending) == 0:
            count = 0
            for received_ns, frame in islice(self._frames, _MOST_FRAMES if self._clock_ns is None else _PACED_FRAMES):
                self._parser.read(frame, received_ns)
                count += 1
            self._pending = self._parser.take().later(self._shift_ns)
            if count == 0:
                self._end()
        return len(self._pending) > 0

    def _end(self) -> None:
        """End, or start over."""
        if self._loop_ns is None:
            self._ended = True
            return
        self._shift_ns += self._loop_ns
        self._parser.forget_ids()
        self._frames = self._merged()

    def _merged(self) -> Iterator[tuple[int, bytes]]:
        """The frames of all files by time of receipt; of those at one time the first file's come first."""
        sources: list[Iterable[tuple[int, bytes]]] = [recording.frames(file) for file in self._files]
        return iter(sources[0]) if len(sources) == 1 else heapq.merge(*sources, key=itemgetter(0))
