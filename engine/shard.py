"""The loop's step: drain feeds -> fold -> close bars -> commit -> peek. Pure but for the feeds it drains."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from engine.budget import Budget
from engine.charting import Charting
from engine.errors import UnknownChannelError
from engine.feeds.feed import Feed, FeedState
from engine.status import Status
from engine.ticks import TickBatch
from engine.venue import Boundary, Venue
from wire.channel import Channel, ChannelKind
from wire.envelope import Description, Publication
from wire.market import NS_PER_S, NS_PER_US

LIVE_PERIOD_NS: Final = 100_000_000
"""A channel's live value is published at most this often, unless it is asked for."""
WARMING_NS: Final = 2_000_000
"""As long as what is new may be warmed in one step."""
REFRESHING_NS: Final = 20_000_000
"""As long as live values may be refreshed in one step: finals wait for no longer."""

More = Callable[[], bool]
"""Whether there is time left for more."""


def _unlimited(_slice_ns: int) -> More:
    return lambda: True


class Cycle(Struct, frozen=True):
    """What one step brought, in the order in which it is to be published.

    ``joined``: channels that are told from now on; boundaries and corrections, each with its venue; live values;
    ``behind``: the feeds have more; ``unfinished``: so has the warming up, or the refreshing of live values.
    """

    joined: tuple[str, ...]
    boundaries: tuple[tuple[str, Boundary], ...]
    live: tuple[Publication, ...]
    behind: bool
    unfinished: bool


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

    __slots__ = ("feed", "finished", "live_ns", "owed", "refresh_ns", "rest", "stamp_us", "status", "venue")

    def __init__(self, feed: Feed, budget: Budget) -> None:
        self.feed = feed
        self.venue = Venue.of(feed, budget)
        self.status = Status()
        self.live_ns: int | None = None
        """When the newest round of live values began."""
        self.rest: Iterator[Sequence[Publication]] | None = None
        """What is left of that round."""
        self.refresh_ns = LIVE_PERIOD_NS
        """How often a channel is refreshed: as long as the newest whole round took, if that is more than it should."""
        self.stamp_us: int | None = None
        """What is told as sent, of the live values of this step."""
        self.finished = False
        self.owed: set[str] = set()
        """Channels whose live values were asked for, and not told yet."""

    def sent_us(self, wall_ns: int) -> int | None:
        return None if self.feed.recorded else wall_ns // NS_PER_US


class Shard:
    """All venues of an engine, which share one memory budget. A venue has one feed."""

    def __init__(self, feeds: Sequence[Feed], budget: Budget | None = None, history_bytes: int | None = None) -> None:
        self.budget = Budget() if budget is None else budget
        self._lines = {feed.venue: _Line(feed, self.budget) for feed in feeds}
        if history_bytes is not None:
            for venue in self.venues:
                venue.bars.bound_history(history_bytes)

    @property
    def instruments(self) -> dict[str, tuple[str, ...]]:
        """The symbols that exist, by venue."""
        return {name: line.venue.symbols for name, line in self._lines.items()}

    @property
    def venues(self) -> tuple[Venue, ...]:
        """All venues."""
        return tuple(line.venue for line in self._lines.values())

    @property
    def lasting(self) -> tuple[Venue, ...]:
        """The venues that go on after a restart: a recording begins anew."""
        return tuple(line.venue for line in self._lines.values() if not line.feed.recorded)

    @property
    def refresh_s(self) -> float:
        """How often live values are refreshed now, over the slowest venue: a period, s."""
        return max((line.refresh_ns for line in self._lines.values()), default=LIVE_PERIOD_NS) / NS_PER_S

    def watch(self, channel: Channel) -> bool:
        """Compute `channel` from now on; False if it was watched already.

        It is told from when a cycle names it as joined. Raises UnknownChannelError, and BudgetError when there is no
        memory for it.
        """
        line = self._line(channel)
        if channel.kind is ChannelKind.STATUS:
            return line.status.watch(channel.name)
        return line.venue.watch(channel)

    def unwatch(self, channel: Channel) -> None:
        """Stop to compute `channel`."""
        line = self._lines.get(channel.venue)
        if line is None:
            return
        if channel.kind is ChannelKind.STATUS:
            line.status.unwatch()
        else:
            line.venue.unwatch(channel)

    def warm(self, more: More) -> list[str]:
        """Warm up what is new as long as `more` says; the channels that are told from now on."""
        return [name for line in self._lines.values() for name in line.venue.warm(more)]

    def forget(self) -> None:
        """What was wanted before a restart is watched again."""
        for venue in self.venues:
            venue.forget()

    def describe(self, channel: Channel) -> Description:
        """Whether `channel` still warms up."""
        line = self._lines.get(channel.venue)
        if line is not None and not channel.kind.has_timeframe:
            return Description(warming=False)
        return Description(warming=True if line is None else line.venue.warms(channel))

    def history(self, channel: Channel, limit: int, wall_ns: int) -> Charting:
        """What `channel`, watched or not, says of the newest `limit` closed bars that are held at `wall_ns`.

        It is still to be computed. Raises UnknownChannelError.
        """
        line = self._line(channel)
        return line.venue.history(channel, limit, sent_us=line.sent_us(wall_ns))

    def take_new_kinds(self) -> list[tuple[str, str]]:
        """The kinds of unknown messages that came for the first time since this was asked last, with their venues."""
        return [(name, kind) for name, line in self._lines.items() for kind in line.feed.take_new_kinds()]

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

    def cycle(self, wall_ns: int, repeated: frozenset[str], more: Callable[[int], More] = _unlimited) -> Cycle:
        """One step at `wall_ns`: everything that the feeds have brought is folded, what is due is peeked.

        Live values of `repeated` are given whether they have changed or not. `more` starts a slice of so many ns, which
        one venue's warming up, or its refreshing, may take of this step.
        """
        joined: list[str] = []
        boundaries: list[tuple[str, Boundary]] = []
        live: list[Publication] = []
        behind = False
        for line in self._lines.values():
            sent_us = line.sent_us(wall_ns)
            told = line.venue.warm(more(WARMING_NS))
            joined += told
            line.owed |= repeated.union(told)
            now_ns = line.feed.now_ns()
            closed = self._fold(line, line.feed.drain(now_ns), now_ns, sent_us)
            boundaries += [(line.venue.name, boundary) for boundary in closed]
            if line.feed.behind:
                behind = True
                continue
            asked = frozenset(line.owed)
            live += self._owed(line, sent_us)
            live += self._refreshed(line, now_ns, sent_us, more(REFRESHING_NS))
            live += line.status.news(line.feed.status(), now_ns, asked, sent_us=sent_us)
        unfinished = any(line.rest is not None or line.venue.warming for line in self._lines.values())
        return Cycle(tuple(joined), tuple(boundaries), tuple(live), behind, unfinished)

    @staticmethod
    def _owed(line: _Line, sent_us: int | None) -> Sequence[Publication]:
        """What was asked for; what has not joined yet is owed again when it does."""
        if not line.owed:
            return ()
        told = line.venue.repeat(line.owed, sent_us=sent_us)
        line.owed.clear()
        return told

    @staticmethod
    def _refreshed(line: _Line, now_ns: int, sent_us: int | None, more: More) -> Iterator[Publication]:
        """All that has changed, a round at most every 100 ms; what time does not allow for is left to later steps.

        While nothing changes no round begins: so the next trade is told at once.
        """
        if line.rest is None:
            if line.live_ns is not None and now_ns - line.live_ns < LIVE_PERIOD_NS:
                return
            line.rest = line.venue.refresh(lambda: line.stamp_us)
            if line.rest is None:
                return
            line.live_ns = now_ns
        line.stamp_us = sent_us
        for published in line.rest:
            yield from published
            if not more():
                return
        line.rest = None
        line.refresh_ns = LIVE_PERIOD_NS if line.live_ns is None else max(LIVE_PERIOD_NS, now_ns - line.live_ns)

    def _line(self, channel: Channel) -> _Line:
        line = self._lines.get(channel.venue)
        if line is None:
            raise UnknownChannelError(f"no feed of venue {channel.venue}")
        return line

    @staticmethod
    def _fold(line: _Line, batch: TickBatch, now_ns: int, sent_us: int | None) -> Iterator[Boundary]:
        if len(batch):
            yield from line.venue.fold(batch, sent_us=sent_us)
        if (quotes := line.feed.take_quotes()) is not None:
            line.venue.quote(quotes)
        state = line.feed.status().state
        line.venue.interrupt(interrupted=state is FeedState.DOWN)
        if state is not FeedState.CLOSED:
            yield from line.venue.advance(now_ns, sent_us=sent_us)
        elif not line.finished:
            line.finished = True
            yield from line.venue.finish(sent_us=sent_us)
