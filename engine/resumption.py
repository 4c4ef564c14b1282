"""What a new owner of a topic goes on from: boundaries to pass over, and those that nobody published. Pure; no I/O."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from engine.packing import Finals
from engine.payloads import gap_payload
from wire.channel import ChannelKind
from wire.envelope import Publication

MAX_MISSED: Final = 1_000
"""Boundaries of a timeframe that are told one by one; more than that are told by a new epoch."""
MAX_MISSED_FINALS: Final = 10_000
"""Finals that tell of them, of one timeframe in one topic."""

_BARS: Final = f"{ChannelKind.BARS.value}:"


class Closing(Struct, frozen=True):
    """The closing of a venue's bars of one timeframe; `boundary` is ``VENUE@TIMEFRAME``.

    ``sent_us`` is when it is published, in µs since the epoch; None where that is told as the time of the event.
    """

    boundary: str
    open_ms: int
    duration_ms: int
    sent_us: int | None


class Missed(Struct, frozen=True):
    """The open times of bars that nobody published, oldest first, and the channels that were computed meanwhile."""

    opens_ms: range
    channels: tuple[str, ...]

    @property
    def too_many(self) -> bool:
        """Whether there is too much to tell."""
        count = len(self.opens_ms)
        return bool(self.channels) and (count > MAX_MISSED or count * len(self.channels) > MAX_MISSED_FINALS)


class Resumption:
    """One topic, from the newest boundaries that its owner before has published."""

    __slots__ = ("_closed", "_continued")

    def __init__(self, closed: Mapping[str, int]) -> None:
        self._closed = dict(closed)
        """Of the boundaries that have not been reached yet."""
        self._continued: dict[str, dict[str, None]] = {}

    def go_on(self, channel: str, boundary: str) -> None:
        """`channel` was computed by the owner before, and is to have no gap; `boundary` has not been reached yet."""
        self._continued.setdefault(boundary, {})[channel] = None

    def drop(self, channel: str) -> None:
        """`channel` is computed no more."""
        for channels in self._continued.values():
            channels.pop(channel, None)

    def resumes(self, boundary: str) -> bool:
        """Whether `boundary` has not come yet to where the owner before has left it."""
        return boundary in self._closed

    def is_past(self, boundary: str, open_ms: int) -> bool:
        """Whether the bar that begins at `open_ms` has been published as closed, and its like is not reached yet."""
        closed = self._closed.get(boundary)
        return closed is not None and open_ms <= closed

    def reach(self, closing: Closing) -> Missed | None:
        """What is missing right before this boundary; None if it was published by the owner before."""
        closed = self._closed.get(closing.boundary)
        if closed is None:
            return Missed(range(0), ())
        if closing.open_ms < closed:
            return None
        del self._closed[closing.boundary]
        channels = self._continued.pop(closing.boundary, {})
        if closing.open_ms == closed:
            return None
        opens_ms = range(closed + closing.duration_ms, closing.open_ms, closing.duration_ms)
        return Missed(opens_ms, tuple(channels))


def tell(missed: Missed, closing: Closing) -> Iterator[Finals]:
    """Finals without a value, boundary by boundary, of what is missing right before `closing`."""
    if not missed.channels:
        return
    for open_ms in missed.opens_ms:
        end_ms = open_ms + closing.duration_ms
        told = {bar: gap_payload(open_ms, end_ms, closing.sent_us, bar=bar) for bar in (True, False)}
        gaps = tuple(Publication(channel, told[channel.startswith(_BARS)]) for channel in missed.channels)
        yield Finals.of(closing.boundary, open_ms, gaps)
