"""Recordings of trades in the form of Lean: a zip archive with one csv file for a symbol and a day. Reads files.

A line is ms since midnight in New York, the price times 10,000, the size, the exchange, the sale conditions (hex) and
whether it is suspicious (0 or 1). Day and symbol stand in the file's name, as in ``20131009_aig_Trade_Tick.csv``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.feeds.errors import FeedError
from engine.feeds.lines import member_of
from engine.feeds.rows import RowReading
from engine.feeds.sale_conditions import CONDITION_BITS, allowed
from engine.ticks import TickBatch
from wire.market import NS_PER_MS, NS_PER_S

ZONE: Final = "America/New_York"
GRACE_NS: Final = 2 * NS_PER_S
_MEMBER: Final = re.compile(r"(?:.*/)?([0-9]{8})_([^_/]+)_trade_tick\.csv", re.IGNORECASE)
_PRICE_UNIT: Final = 10_000
_MS_PER_HOUR: Final = 3_600_000
_MS_PER_DAY: Final = 24 * _MS_PER_HOUR
_LARGEST: Final = 10**300
_MOST_REMEMBERED: Final = 4_096


class LeanRecording(Struct, frozen=True):
    """Trades of one symbol on one day. It does not say its venue."""

    path: str
    symbols: tuple[str, ...]
    day: datetime
    first_ns: int
    last_ns: int
    venue: str | None = None
    grace_ns: int = GRACE_NS
    has_receipts: bool = False

    def play(self, slots: Mapping[str, int]) -> RowReading:
        """Play it from its start."""
        return RowReading(self.path, _LeanParser(self.path, self.day, slots[self.symbols[0]]), header=False)


def scan(path: str) -> LeanRecording:
    """Read the whole recording once. Raises FeedError, which names file, line and field."""
    name = member_of(path)
    found = _MEMBER.fullmatch(name)
    try:
        day = None if found is None else datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        day = None
    if found is None or day is None:
        expected = "20131009_aig_Trade_Tick.csv or the like, with a day and a symbol"
        raise FeedError(f"{path}: expected a file {expected}, in the archive, found {name!r}")
    first_ns, last_ns = RowReading(path, _LeanParser(path, day, 0), header=False).span_ns()
    return LeanRecording(path, (found[2].upper(),), day, first_ns, last_ns)


class _LeanParser:
    """Lines in, ticks out. What is suspicious or has no price or size is refused; official values are left out."""

    def __init__(self, path: str, day: datetime, slot: int) -> None:
        self.refused = 0
        self._path = path
        self._slot = slot
        self._hours_ns = _hours_ns(day)
        self._flags: dict[bytes, int] = {}

    def parse(self, rows: Sequence[tuple[int, bytes]]) -> TickBatch:
        """The trades of numbered lines. Raises FeedError, which names line and field."""
        lines = [line.split(b",") for _, line in rows]
        try:
            time, price, size, _, conditions, suspicious = zip(*lines, strict=True)
            ms = np.array([int(each) for each in time], np.int64)
            prices = np.array([int(each) for each in price], np.float64) / _PRICE_UNIT
            sizes = np.array([int(each) for each in size], np.float64)
            flags = np.array([self._flags_of(each) for each in conditions], np.uint8)
        except (ValueError, OverflowError):
            raise self._fault(rows) from None
        doubtful = np.array([each != b"0" for each in suspicious], np.bool_)
        digits = b"".join([*time, *price, *size])  # int takes signs and the like too
        if not digits.isdigit() or (ms >= _MS_PER_DAY).any() or not set(suspicious) <= {b"0", b"1"}:
            raise self._fault(rows)
        count = len(rows)
        event_ns = self._hours_ns[ms // _MS_PER_HOUR] + ms % _MS_PER_HOUR * NS_PER_MS
        batch = TickBatch(np.full(count, self._slot, np.int32), prices, sizes, event_ns, event_ns, flags)
        refused = doubtful | (prices <= 0) | (sizes <= 0)
        self.refused += int(np.count_nonzero(refused))
        kept = ~refused & (flags != 0)
        return batch if kept.all() else batch.pick(kept)

    def _flags_of(self, conditions: bytes) -> int:
        flags = self._flags.get(conditions)
        if flags is None:
            if not _is_condition(conditions):
                raise ValueError
            if len(self._flags) == _MOST_REMEMBERED:
                self._flags.clear()
            flags = self._flags[conditions] = int(allowed(int(conditions, 16)))
        return flags

    def _fault(self, rows: Sequence[tuple[int, bytes]]) -> FeedError:
        """What is wrong with the first line that is wrong."""
        for number, line in rows:
            fields = line.split(b",")
            if len(fields) != len(_FIELDS):
                return FeedError(
                    f"{self._path}, line {number}: expected {len(_FIELDS)} fields, {', '.join(_FIELDS)}, "
                    f"found {len(fields)}"
                )
            for (name, (expected, fits)), text in zip(_FIELDS.items(), fields, strict=True):
                if not fits(text):
                    found = repr(text[:40].decode("ascii", "backslashreplace"))
                    return FeedError(f"{self._path}, line {number}: {name}: expected {expected}, found {found}")
        return FeedError(f"{self._path}: expected trades, found what is none")


def _is_whole(text: bytes, limit: int) -> bool:
    return text.isdigit() and len(text) <= 300 and int(text) < limit


def _is_condition(text: bytes) -> bool:
    return re.fullmatch(rb"[0-9a-fA-F]{1,%d}" % (CONDITION_BITS // 4), text) is not None


_FIELDS: Final[Mapping[str, tuple[str, Callable[[bytes], bool]]]] = {
    "time": (f"whole ms since midnight, under {_MS_PER_DAY}", lambda text: _is_whole(text, _MS_PER_DAY)),
    "price": ("a whole number of 1/10000", lambda text: _is_whole(text, _LARGEST)),
    "size": ("a whole number", lambda text: _is_whole(text, _LARGEST)),
    "exchange": ("anything", lambda _: True),
    "conditions": ("a hex number of at most 8 digits", _is_condition),
    "suspicious": ("0 or 1", lambda text: text in {b"0", b"1"}),
}


def _hours_ns(day: datetime) -> NDArray[np.int64]:
    """When each of the 24 hours of the clock in New York begins on that day, ns since the epoch."""
    zone = ZoneInfo(ZONE)
    starts = (day.replace(tzinfo=zone) + timedelta(hours=hour) for hour in range(24))
    return np.array([int(start.timestamp()) * NS_PER_S for start in starts], np.int64)
