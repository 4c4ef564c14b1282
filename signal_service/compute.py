"""``signal-service compute``: runs a feed through the engine as fast as it goes and prints what would be published."""

import argparse
import heapq
import sys
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final

from engine.budget import Budget, BudgetError
from engine.errors import UnknownChannelError
from engine.feeds.feed import Feed, FeedState
from engine.shard import LIVE_PERIOD_NS, Shard
from engine.venue import Boundary, Venue
from signal_service.arguments import FEED_HELP
from signal_service.errors import UsageError
from signal_service.feeds import compute_feeds
from signal_service.lines import Csv, Format, JsonLines
from wire import channel as channels
from wire.channel import Channel, ChannelError
from wire.envelope import Publication

_Instant = tuple[int, int]

EXAMPLE: Final = """example:
  signal-service compute 'bars:DEMO:S01@1m' 'signals:DEMO:S01@1m:rsi(14)' --feed synthetic:duration=1h
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "compute",
        help="run a feed through the engine and print what it would publish",
        description="Runs a feed through the engine, without sockets and as fast as it goes, and prints every final as "
        'a JSON line {"channel", "data"}: by boundary, timeframe, then the order of the channels here. The same input '
        "gives the same bytes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("channels", nargs="+", metavar="CHANNEL")
    parser.add_argument("--feed", action="append", required=True, metavar="FEED", help=FEED_HELP)
    parser.add_argument("--live", action="store_true", help="live values too, every 100 ms of the feed's clock")
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="how lines look (jsonl)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    wanted = {name: _channel(name) for name in arguments.channels}
    form: Format = Csv(list(wanted.values())) if arguments.format == "csv" else JsonLines()
    published = _live(arguments.feed, wanted) if arguments.live else _finals(arguments.feed, wanted)
    head = form.head()
    if head is not None:
        print(head)
    for publications in published:
        for spelling, payload in _ordered(wanted, publications):
            print(form.line(spelling, payload))
    sys.stdout.flush()
    return 0


def _ordered(wanted: Mapping[str, Channel], publications: Sequence[Publication]) -> Iterator[tuple[str, bytes]]:
    """By the order of the command line; several of one channel as they came."""
    if not publications:
        return
    payloads: dict[str, list[bytes]] = {}
    for publication in publications:
        payloads.setdefault(publication.channel, []).append(publication.payload)
    for spelling, channel in wanted.items():
        for payload in payloads.get(channel.name, ()):
            yield spelling, payload


def _channel(name: str) -> Channel:
    try:
        return channels.parse(name)
    except ChannelError as error:
        raise UsageError(f"{name}: {error}") from error


def _watch(venues: Mapping[str, Venue | Shard], channel: Channel) -> None:
    venue = venues.get(channel.venue)
    if venue is None:
        raise UsageError(f"{channel.name}: no feed of venue {channel.venue}; expected one of {', '.join(venues)}")
    try:
        venue.watch(channel)
    except (UnknownChannelError, BudgetError) as error:
        raise UsageError(str(error)) from error


def _finals(texts: Sequence[str], wanted: Mapping[str, Channel]) -> Iterator[Sequence[Publication]]:
    """The finals of each boundary. ``sent`` is the event's time, so that bytes repeat."""
    feeds = compute_feeds(texts)
    budget = Budget()
    venues = {feed.venue: Venue.of(feed, budget) for feed in feeds}
    for spelling, channel in wanted.items():
        if not channel.kind.has_finals:
            raise UsageError(f"{spelling}: {channel.kind.value} have live values only: expected --live with them")
        _watch(venues, channel)
    for venue in venues.values():
        venue.warm(lambda: True)
    streams = [_boundaries(venues[feed.venue], feed) for feed in feeds]
    return (boundary.finals for _, boundary in heapq.merge(*streams, key=itemgetter(0)))


def _boundaries(venue: Venue, feed: Feed) -> Iterator[tuple[_Instant, Boundary]]:
    """Every boundary of the feed, to its end: by when it closes, shortest bars first; corrections where they come."""
    instant = (0, 0)
    for boundary in _folded(venue, feed):
        length_ns = boundary.timeframe.ns
        instant = max(instant, (boundary.open_ns + length_ns, length_ns))
        yield instant, boundary


def _folded(venue: Venue, feed: Feed) -> Iterator[Boundary]:
    while feed.status().state is not FeedState.CLOSED:
        yield from venue.fold(feed.drain(feed.now_ns()), sent_us=None)
    yield from venue.finish(sent_us=None)


def _live(texts: Sequence[str], wanted: Mapping[str, Channel]) -> Iterator[Sequence[Publication]]:
    """Finals and live values, cycle by cycle of the feeds' clock, which is moved on by 100 ms."""
    clock = _Steps()
    feeds = compute_feeds(texts, clock.now_ns)
    shard = Shard(feeds)
    for channel in wanted.values():
        _watch(dict.fromkeys(shard.instruments, shard), channel)
    running = True
    while running:
        running = any(feed.status().state is not FeedState.CLOSED for feed in feeds)
        cycle = shard.cycle(0, frozenset())
        yield from (boundary.finals for _, boundary in cycle.boundaries)
        yield cycle.live
        if not cycle.behind:
            clock.step()


class _Steps:
    """A clock that goes on by the period of live values."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def step(self) -> None:
        self._now_ns += LIVE_PERIOD_NS
