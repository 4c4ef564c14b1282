"""Recordings of trades as csv with the header ``event_ns,instrument,price,size``. Reads files.

The time is ns since the epoch, UTC; the instrument VENUE:SYMBOL, or SYMBOL alone; all of one venue.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from engine.feeds.errors import FeedError
from engine.feeds.lines import numbered
from engine.feeds.rows import RowReading
from engine.ticks import TickBatch, TickFlag
from wire.channel import SYMBOL as SYMBOL_NAME
from wire.channel import VENUE as VENUE_NAME
from wire.market import NS_PER_MS

HEADER: Final = b"event_ns,instrument,price,size"
GRACE_NS: Final = 250 * NS_PER_MS
_FIELDS: Final = ("event_ns", "instrument", "price", "size")
_INSTRUMENT: Final = "an upper-case VENUE:SYMBOL or SYMBOL"
_END_OF_TIME_NS: Final = 1 << 62


class CsvRecording(Struct, frozen=True):
    """Trades of any number of symbols of one venue, which it may leave unsaid."""

    path: str
    symbols: tuple[str, ...]
    venue: str | None
    first_ns: int
    last_ns: int
    grace_ns: int = GRACE_NS
    has_receipts: bool = False

    def play(self, slots: Mapping[str, int]) -> RowReading:
        """Play it from its start."""
        return RowReading(self.path, _CsvParser(self.path, lambda symbol: slots.get(symbol, -1)), header=True)


def scan(path: str) -> CsvRecording:
    """Read the whole recording once. Raises FeedError, which names file, line and field."""
    _, header = next(numbered(path), (1, b""))
    if header != HEADER:
        found = repr(header[:80].decode("ascii", "backslashreplace"))
        raise FeedError(f"{path}, line 1: expected the header {HEADER.decode()}, found {found}")
    slots: dict[str, int] = {}
    parser = _CsvParser(path, lambda symbol: slots.setdefault(symbol, len(slots)))
    first_ns, last_ns = RowReading(path, parser, header=True).span_ns()
    return CsvRecording(path, tuple(sorted(slots)), parser.venue, first_ns, last_ns)


class _CsvParser:
    """Lines in, ticks out; prices and sizes that are not positive and finite are refused.

    ``venue`` is the one that the lines so far have named.
    """

    def __init__(self, path: str, slot_of: Callable[[str], int]) -> None:
        self.refused = 0
        self.venue: str | None = None
        self._path = path
        self._slot_of = slot_of
        self._slots: dict[bytes, int] = {}

    def parse(self, rows: Sequence[tuple[int, bytes]]) -> TickBatch:
        """The trades of numbered lines. Raises FeedError, which names line and field."""
        lines = [line.split(b",") for _, line in rows]
        try:
            event, instrument, price, size = zip(*lines, strict=True)
            event_ns = np.array([int(each) for each in event], np.int64)
            prices = np.array([float(each) for each in price], np.float64)
            sizes = np.array([float(each) for each in size], np.float64)
            slots = np.array([self._slot(each) for each in instrument], np.int32)
        except (ValueError, OverflowError):
            raise self._fault(rows) from None
        if event_ns.min() < 0 or event_ns.max() >= _END_OF_TIME_NS:
            raise self._fault(rows)
        flags = np.full(len(rows), int(TickFlag.ORDINARY), np.uint8)
        batch = TickBatch(slots, prices, sizes, event_ns, event_ns, flags)
        sound = (prices > 0) & (prices < np.inf) & (sizes > 0) & (sizes < np.inf) & (slots >= 0)
        self.refused += len(rows) - int(np.count_nonzero(sound))
        return batch if sound.all() else batch.pick(sound)

    def _slot(self, instrument: bytes) -> int:
        """The slot of an instrument. ValueError when it is none, or of another venue."""
        slot = self._slots.get(instrument)
        if slot is None:
            venue, colon, symbol = instrument.decode("ascii").rpartition(":")
            if SYMBOL_NAME.fullmatch(symbol) is None or (colon and VENUE_NAME.fullmatch(venue) is None):
                raise ValueError
            if colon:
                if self.venue is not None and self.venue != venue:
                    raise ValueError
                self.venue = venue
            slot = self._slots[instrument] = self._slot_of(symbol)
        return slot

    def _fault(self, rows: Sequence[tuple[int, bytes]]) -> FeedError:
        """What is wrong with the first line that is wrong."""
        for number, line in rows:
            fields = line.split(b",")
            if len(fields) != len(_FIELDS):
                return FeedError(
                    f"{self._path}, line {number}: expected {len(_FIELDS)} fields, {HEADER.decode()}, "
                    f"found {len(fields)}"
                )
            for name, text in zip(_FIELDS, fields, strict=True):
                expected = self._expected(name, text)
                if expected is not None:
                    found = repr(text[:40].decode("ascii", "backslashreplace"))
                    return FeedError(f"{self._path}, line {number}: {name}: expected {expected}, found {found}")
        return FeedError(f"{self._path}: expected trades, found what is none")

    def _expected(self, name: str, text: bytes) -> str | None:
        """What a field should have been; None when it is that."""
        try:
            if name == "event_ns":
                return None if 0 <= int(text) < _END_OF_TIME_NS else "ns since the epoch"
            if name == "instrument":
                self._slot(text)
            else:
                float(text)
        except ValueError:
            one = _INSTRUMENT if self.venue is None else f"{_INSTRUMENT}, all of {self.venue}"
            return {"event_ns": "whole ns since the epoch", "instrument": one}.get(name, "a number")
        return None
