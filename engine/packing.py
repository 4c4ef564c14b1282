"""What waits to be published for a topic, packed into a batch. Pure; no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from wire.envelope import MAX_PUBLICATIONS, VERSION, Batch, Envelope, NewestFinal, Ownership, Publication
from wire.position import Offset

OVERHEAD_BYTES: Final = 16
"""What a publication costs in a buffer or a stream beside its channel and payload, about."""


class Finals(Struct, frozen=True):
    """The finals of one boundary (``VENUE@TIMEFRAME`` and the open time of its bars) in one topic: one step."""

    boundary: str
    open_ms: int
    publications: tuple[Publication, ...]
    size_bytes: int

    @classmethod
    def of(cls, boundary: str, open_ms: int, publications: tuple[Publication, ...]) -> "Finals":
        """With their size."""
        return cls(boundary, open_ms, publications, size_bytes(publications))


class Correction(Struct, frozen=True):
    """A closed bar told anew, and `newest`, what is known of the channel's newest closed bar, which may be another."""

    publication: Publication
    newest: bytes


class Corrections(Struct, frozen=True):
    """What is told anew of closed bars in one topic: finals of no boundary."""

    told: tuple[Correction, ...]
    size_bytes: int

    @classmethod
    def of(cls, told: tuple[Correction, ...]) -> "Corrections":
        """With their size."""
        return cls(told, size_bytes(correction.publication for correction in told))


class Start(Struct, frozen=True):
    """The unbroken computing of a channel begins."""

    channel: str


class Drop(Struct, frozen=True):
    """A channel is computed no more."""

    channel: str


Item = Finals | Corrections | Start | Drop
"""What is published in the order in which it came."""


def size_bytes(publications: Iterable[Publication]) -> int:
    """What publications take in a buffer or a stream, about."""
    return sum(len(p.channel) + len(p.payload) + OVERHEAD_BYTES for p in publications)


def pack(
    expected: Ownership,
    items: Iterable[Item],
    live: Sequence[Publication],
    since: Mapping[str, Offset],
) -> Batch:
    """The batch that publishes `items` in their order, and then `live`; without any it is a heartbeat.

    `since`: of the channels whose computing had begun before. A channel that starts skips an offset, which becomes its
    `since`: nobody has been given that offset yet, so no position from before a break can be taken for one behind it.
    """
    packing = _Packing(expected, since)
    for item in items:
        packing.add(item)
    return packing.batch(live)


class _Packing:
    """The envelopes packed so far, and the one being filled, whose first final has offset `first`."""

    __slots__ = ("closed", "dropped", "envelopes", "expected", "finals", "first", "rows", "since", "skipped")

    def __init__(self, expected: Ownership, since: Mapping[str, Offset]) -> None:
        self.expected = expected
        self.since = since
        self.envelopes: list[Envelope] = []
        self.first = int(expected.next_offset)
        self.finals: list[Publication] = []
        self.skipped = False
        """True while the offset before `first` was skipped: channels that start together share it."""
        self.rows: dict[str, NewestFinal] = {}
        self.dropped: dict[str, None] = {}
        self.closed: dict[str, int] = {}

    def add(self, item: Item) -> None:
        match item:
            case Finals(boundary, open_ms, publications):
                for publication in publications:
                    self._publish(publication, publication.payload)
                self.closed[boundary] = open_ms
            case Corrections(told):
                for correction in told:
                    self._publish(correction.publication, correction.newest)
            case Start(channel):
                self._skip()
                self.rows[channel] = NewestFinal(Offset(self.first - 1), Offset(0), None)
                self.dropped.pop(channel, None)
            case Drop(channel):
                self.rows.pop(channel, None)
                self.dropped[channel] = None

    def batch(self, live: Sequence[Publication]) -> Batch:
        room = MAX_PUBLICATIONS - len(self.finals)
        said = self.envelopes[-1].top + 1 if self.envelopes else None
        if self.finals or live or said != self.first:
            self._seal(live[:room])
        for start in range(room, len(live), MAX_PUBLICATIONS):
            self._seal(live[start : start + MAX_PUBLICATIONS])
        return Batch(self.expected, tuple(self.envelopes), self.rows, tuple(self.dropped), self.closed)

    def _publish(self, publication: Publication, newest: bytes) -> None:
        if len(self.finals) == MAX_PUBLICATIONS:
            self._seal()
        channel = publication.channel
        row = self.rows.get(channel)
        offset = Offset(self.first + len(self.finals))
        self.rows[channel] = NewestFinal(self.since[channel] if row is None else row.since, offset, newest)
        self.finals.append(publication)
        self.skipped = False

    def _skip(self) -> None:
        if not self.skipped:
            if self.finals:
                self._seal()
            self.first += 1
            self.skipped = True

    def _seal(self, live: Sequence[Publication] = ()) -> None:
        number = self.expected.number + len(self.envelopes) + 1
        finals = tuple(self.finals)
        self.envelopes.append(Envelope(VERSION, self.expected.epoch, number, Offset(self.first), finals, tuple(live)))
        self.first += len(finals)
        self.finals.clear()
