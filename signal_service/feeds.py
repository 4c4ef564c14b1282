"""The feeds that a command line or a configuration asks for, opened."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from engine.feeds.errors import FeedError
from engine.feeds.feed import Feed
from engine.feeds.spec import FeedSpec, ReplaySpec, open_feed, parse_feed
from signal_service.errors import UsageError
from wire.market import NS_PER_S

COMPUTE_START_NS: Final = 1_704_067_200 * NS_PER_S
"""When a synthetic market begins in `compute`: 2024-01-01T00:00Z."""
HISTORY_NS: Final = 2 * 3600 * NS_PER_S
"""How much of the past a synthetic market plays first when it is live."""


def compute_feeds(texts: Sequence[str], clock_ns: Callable[[], int] | None = None) -> list[Feed]:
    """Feeds that end, and go with `clock_ns`, or else as fast as they are drained. Raises UsageError."""
    specs = [_parse(text) for text in texts]
    for text, spec in zip(texts, specs, strict=True):
        if spec.endless:
            raise UsageError(f"feed {text}: compute needs an end; give synthetic a duration, replay no loop")
    specs = [
        msgspec.structs.replace(s, speed=None if clock_ns is None else 1.0) if isinstance(s, ReplaySpec) else s
        for s in specs
    ]
    return _open(specs, COMPUTE_START_NS, clock_ns)


def live_feeds(texts: Sequence[str]) -> list[Feed]:
    """Feeds that go with the clock; a synthetic one has played its last two hours when it is first drained.

    Raises UsageError.
    """
    began_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    return _open(
        [_parse(text) for text in texts],
        began_ns - HISTORY_NS,
        lambda: began_ns + time.monotonic_ns() - monotonic_ns,
    )


def _parse(text: str) -> FeedSpec:
    try:
        return parse_feed(text)
    except FeedError as error:
        raise UsageError(str(error)) from error


def _open(specs: Sequence[FeedSpec], start_ns: int, clock_ns: Callable[[], int] | None) -> list[Feed]:
    try:
        feeds = [open_feed(spec, start_ns=start_ns, clock_ns=clock_ns) for spec in specs]
    except FeedError as error:
        raise UsageError(str(error)) from error
    venues = [feed.venue for feed in feeds]
    for venue in venues:
        if venues.count(venue) > 1:
            raise UsageError(
                f"two feeds give {venue}; join recordings of one venue as replay:FILE+FILE, or name one with venue="
            )
    return feeds
