"""Recordings of Binance's raw frames: each line the time of receipt in ns, a space, and the frame. Reads files."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from engine.feeds.binance import BinanceParser
from engine.feeds.binance_kinds import symbol_of
from engine.feeds.errors import FeedError
from engine.feeds.lines import numbered
from engine.feeds.recording import Counts
from engine.ticks import QuoteBatch, TickBatch
from wire.channel import SYMBOL as SYMBOL_NAME
from wire.market import NS_PER_MS

VENUE: Final = "BINANCE"
GRACE_NS: Final = 250 * NS_PER_MS
EXPECTED: Final = "a recording of Binance frames, each line the time of receipt in ns, a space, and the frame"
_END_OF_TIME_NS: Final = 1 << 62


class BinanceRecording(Struct, frozen=True):
    """Frames of spot or USD-M, of raw or combined streams. Symbols that no channel name can hold are left out."""

    path: str
    symbols: tuple[str, ...]
    first_ns: int
    last_ns: int
    venue: str = VENUE
    grace_ns: int = GRACE_NS
    has_receipts: bool = True

    def play(self, slots: Mapping[str, int]) -> "BinanceReading":
        """Play it from its start."""
        return BinanceReading(self.path, slots)


def scan(path: str) -> BinanceRecording:
    """Read the whole recording once. Raises FeedError, which names file and line, when it is none, or has no trade."""
    symbols: set[str] = set()
    first_ns: int | None = None
    received_ns = 0
    for received_ns, frame in frames(path):
        if first_ns is None:
            first_ns = received_ns
        symbol = symbol_of(frame)
        if symbol is not None and SYMBOL_NAME.fullmatch(symbol) is not None:
            symbols.add(symbol)
    if first_ns is None or not symbols:
        raise FeedError(f"{path}: expected {EXPECTED}, found no trade in it")
    return BinanceRecording(path, tuple(sorted(symbols)), first_ns, received_ns)


def frames(path: str) -> Iterator[tuple[int, bytes]]:
    """The frames of a recording with their times of receipt, ns since the epoch, which never decrease.

    A time that goes back counts as the one before it. Raises FeedError, which names file and line.
    """
    last_ns = 0
    for number, line in numbered(path):
        stamp, _, frame = line.partition(b" ")
        if not stamp.isdigit() or int(stamp) >= _END_OF_TIME_NS or not frame:
            found = repr(line[:40].decode("ascii", "backslashreplace"))
            raise FeedError(f"{path}, line {number}: expected {EXPECTED}, found {found}")
        last_ns = max(last_ns, int(stamp))
        yield last_ns, frame


class BinanceReading:
    """A recording of frames while it is played."""

    def __init__(self, path: str, slots: Mapping[str, int]) -> None:
        self._path = path
        self._parser = BinanceParser(slots)
        self._frames = frames(path)

    @property
    def counts(self) -> Counts:
        """What was met since the beginning, all rounds together."""
        parser = self._parser
        return Counts(parser.unknown, parser.duplicates, parser.gaps, parser.refused)

    def read(self, lines: int) -> TickBatch | None:
        """The ticks of so many frames more, perhaps none; None at the end."""
        count = 0
        for received_ns, frame in islice(self._frames, lines):
            self._parser.read(frame, received_ns)
            count += 1
        return self._parser.take() if count else None

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """The newest quote of each symbol received up to `until_ns`, those not given yet; None without any."""
        return self._parser.take_quotes(until_ns)

    def settle_quotes(self, until_ns: int) -> None:
        """Forget all quotes received up to `until_ns` but the newest of each symbol."""
        self._parser.settle_quotes(until_ns)

    def take_new_kinds(self) -> Sequence[str]:
        """The kinds of unknown messages met for the first time since this was asked last."""
        return self._parser.take_new_kinds()

    def restart(self) -> None:
        """Begin again at the first frame; ids begin anew."""
        self._parser.take_quotes(_END_OF_TIME_NS)
        self._parser.forget_ids()
        self._frames = frames(self._path)
