"""``signal-service compute``: runs a feed through the engine as fast as it goes and prints what would be published."""

import argparse
import heapq
import json
import sys
from collections.abc import Iterator
from typing import Final

from engine.errors import UnknownChannelError
from engine.feeds.feed import Feed, FeedState
from engine.venue import Boundary, Venue
from signal_service.arguments import FEED_HELP
from signal_service.errors import UsageError
from signal_service.feeds import compute_feeds
from wire import channel as channels
from wire.channel import Channel, ChannelError

EXAMPLE: Final = """example:
  signal-service compute 'bars:DEMO:S01@1m' 'signals:DEMO:S01@1m:rsi(14)' --feed synthetic:duration=1h
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "compute",
        help="run a feed through the engine and print the finals",
        description="Runs a feed through the engine, without sockets and as fast as it goes, and prints every final as "
        'a JSON line {"channel", "data"}: by boundary, timeframe, then the order of the channels here. The same input '
        "gives the same bytes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("channels", nargs="+", metavar="CHANNEL")
    parser.add_argument("--feed", action="append", required=True, metavar="FEED", help=FEED_HELP)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    feeds = compute_feeds(arguments.feed)
    venues = {feed.venue: Venue(feed.venue, feed.instruments, grace_ns=feed.grace_ns) for feed in feeds}
    wanted = {json.dumps(name): _channel(name) for name in arguments.channels}
    for channel in wanted.values():
        _watch(venues, channel)
    canonical = [(spelling, channel.name) for spelling, channel in wanted.items()]
    streams = [_boundaries(venues[feed.venue], feed) for feed in feeds]
    for boundary in heapq.merge(*streams, key=_instant):
        payloads = {final.channel: final.payload for final in boundary.finals}
        for spelling, name in canonical if payloads else ():
            if name in payloads:
                print(f'{{"channel":{spelling},"data":{payloads[name].decode()}}}')
    sys.stdout.flush()
    return 0


def _channel(name: str) -> Channel:
    try:
        return channels.parse(name)
    except ChannelError as error:
        raise UsageError(f"{name}: {error}") from error


def _watch(venues: dict[str, Venue], channel: Channel) -> None:
    venue = venues.get(channel.venue)
    if venue is None:
        raise UsageError(f"{channel.name}: no feed of venue {channel.venue}; expected one of {', '.join(venues)}")
    try:
        venue.watch(channel)
    except UnknownChannelError as error:
        raise UsageError(str(error)) from error


def _boundaries(venue: Venue, feed: Feed) -> Iterator[Boundary]:
    """Every boundary of the feed, to its end. ``sent`` is the event's time, so that bytes repeat."""
    while feed.status().state is not FeedState.CLOSED:
        yield from venue.fold(feed.drain(feed.now_ns()), sent_us=None)
    yield from venue.finish(sent_us=None)


def _instant(boundary: Boundary) -> tuple[int, int]:
    """When the boundary closes, and the length of its bars: shortest first."""
    length_ns = boundary.timeframe.ns
    return boundary.open_ns + length_ns, length_ns
