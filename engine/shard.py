"""The loop's step: drain feeds -> fold -> close bars -> commit -> peek. Pure but for the feeds it drains."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from engine.charting import Charting
from engine.errors import UnknownChannelError
from engine.feeds.feed import Feed, FeedState
from engine.ticks import TickBatch
from engine.venue import Boundary, Venue
from wire.channel import Channel
from wire.envelope import Description, Publication
from wire.market import NS_PER_US

LIVE_PERIOD_NS: Final = 100_000_000
"""A channel's live value is published at most this often, unless it is asked for."""


class Cycle(Struct, frozen=True):
    """What one step brought: boundaries in order, each with its venue, and live values; `behind`: more is waiting."""

    boundaries: tuple[tuple[str, Boundary], ...]
    live: tuple[Publication, ...]
    behind: bool


class Totals(Struct, frozen=True):
    """What the venues' bars and feeds have counted so far, and how many feeds bring ticks now.

    `refused`: trades that make no sense, or are stamped too far ahead of the clock.
    """

    ticks: int = 0
    late: int = 0
    refused: int = 0
    unknown: int = 0
    duplicates: int = 0
    gaps: int = 0
    feeds_up: int = 0


class _Line:
    """One feed and the venue that it fills."""

    __slots__ = ("feed", "finished", "live_ns", "owed", "venue")

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.venue = Venue(feed.venue, feed.instruments, grace_ns=feed.grace_ns)
        self.live_ns: int | None = None
        self.finished = False
        self.owed: frozenset[str] = frozenset()
        """Channels whose live values were asked for while the feed was behind."""

    def sent_us(self, wall_ns: int) -> int | None:
        return None if self.feed.recorded else wall_ns // NS_PER_US


class Shard:
    """All venues of an engine. A venue has one feed; two feeds that give one venue are refused before."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._lines = {feed.venue: _Line(feed) for feed in feeds}

    @property
    def instruments(self) -> dict[str, tuple[str, ...]]:
        """The symbols that exist, by venue."""
        return {name: line.venue.symbols for name, line in self._lines.items()}

    def watch(self, channel: Channel) -> bool:
        """Compute `channel` from now on; False if it was watched already. Raises UnknownChannelError."""
        return self._line(channel).venue.watch(channel)

    def unwatch(self, channel: Channel) -> None:
        """Stop to compute `channel`."""
        line = self._lines.get(channel.venue)
        if line is not None:
            line.venue.unwatch(channel)

    def describe(self, channel: Channel) -> Description:
        """Whether `channel` still warms up."""
        line = self._lines.get(channel.venue)
        return Description(warming=True if line is None else line.venue.warming(channel))

    def history(self, channel: Channel, limit: int, wall_ns: int) -> Charting:
        """What `channel`, watched or not, says of the newest `limit` closed bars that are held at `wall_ns`.

        It is still to be computed. Raises UnknownChannelError.
        """
        line = self._line(channel)
        return line.venue.history(channel, limit, sent_us=line.sent_us(wall_ns))

    def totals(self) -> Totals:
        """The counts over all venues."""
        bars = [line.venue.bars for line in self._lines.values()]
        feeds = [line.feed.status() for line in self._lines.values()]
        return Totals(
            ticks=sum(b.ticks for b in bars),
            late=sum(b.late for b in bars),
            refused=sum(b.refused for b in bars) + sum(f.refused for f in feeds),
            unknown=sum(f.unknown for f in feeds),
            duplicates=sum(f.duplicates for f in feeds),
            gaps=sum(f.gaps for f in feeds),
            feeds_up=sum(f.state is FeedState.UP for f in feeds),
        )

    def unready(self) -> str | None:
        """Why no ticks can be expected; None when every feed is up, or has ended."""
        for name, line in self._lines.items():
            state = line.feed.status().state
            if state not in (FeedState.UP, FeedState.CLOSED):
                return f"the feed of {name} is {state.value}"
        return None

    def cycle(self, wall_ns: int, repeated: frozenset[str]) -> Cycle:
        """One step at `wall_ns`: everything that the feeds have brought is folded, what is due is peeked.

        Live values of `repeated` are given whether they have changed or not.
        """
        boundaries: list[tuple[str, Boundary]] = []
        live: list[Publication] = []
        behind = False
        for line in self._lines.values():
            sent_us = line.sent_us(wall_ns)
            now_ns = line.feed.now_ns()
            batch = line.feed.drain(now_ns)
            closed = self._fold(line, batch, now_ns, sent_us)
            boundaries += [(line.venue.name, boundary) for boundary in closed]
            line.owed |= repeated
            if line.feed.behind:
                behind = True
                continue
            due = line.live_ns is None or now_ns - line.live_ns >= LIVE_PERIOD_NS
            if due or line.owed:
                live += line.venue.live(line.owed, sent_us=sent_us, everything=due)
                line.owed = frozenset()
            if due:
                line.live_ns = now_ns
        return Cycle(tuple(boundaries), tuple(live), behind)

    def _line(self, channel: Channel) -> _Line:
        line = self._lines.get(channel.venue)
        if line is None:
            raise UnknownChannelError(f"no feed of venue {channel.venue}")
        return line

    @staticmethod
    def _fold(line: _Line, batch: TickBatch, now_ns: int, sent_us: int | None) -> Iterator[Boundary]:
        if len(batch):
            yield from line.venue.fold(batch, sent_us=sent_us)
        if line.feed.status().state is not FeedState.CLOSED:
            yield from line.venue.advance(now_ns, sent_us=sent_us)
        elif not line.finished:
            line.finished = True
            yield from line.venue.finish(sent_us=sent_us)
