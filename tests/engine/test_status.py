"""How a feed is, told when it has changed."""

import json

import pytest

from engine.feeds.feed import FeedState, FeedStatus
from engine.status import PERIOD_NS, Status

CHANNEL = "status:DEMO"
UP = FeedStatus(FeedState.UP, since_ms=5, lag_ms=20)


@pytest.fixture
def status() -> Status:
    made = Status()
    assert made.watch(CHANNEL)
    return made


def told(made: Status, status: FeedStatus, now_ns: int, *repeated: str) -> list[tuple[str, int]]:
    news = made.news(status, now_ns, repeated, sent_us=None)
    assert all(p.channel == CHANNEL for p in news)
    return [(data["state"], data["lag_ms"]) for data in (json.loads(p.payload) for p in news)]


def test_it_is_told_with_all_its_fields(status: Status) -> None:
    (publication,) = status.news(UP, 3_000, (), sent_us=9)
    assert json.loads(publication.payload) == {"state": "up", "since": 5, "lag_ms": 20, "event": 3, "sent": 9}


def test_what_the_feed_has_become_is_told_at_once_and_once(status: Status) -> None:
    assert told(status, UP, 0) == [("up", 20)]
    assert told(status, UP, 1) == []
    assert told(status, FeedStatus(FeedState.DOWN, since_ms=6, lag_ms=20), 2) == [("down", 20)]


def test_how_late_it_is_is_told_once_a_second(status: Status) -> None:
    assert told(status, UP, 0) == [("up", 20)]
    later = FeedStatus(FeedState.UP, since_ms=5, lag_ms=30)
    assert told(status, later, PERIOD_NS - 1) == []
    assert told(status, later, PERIOD_NS) == [("up", 30)]
    assert told(status, later, 3 * PERIOD_NS) == []


def test_it_is_repeated_when_it_is_asked_for(status: Status) -> None:
    assert told(status, UP, 0) == [("up", 20)]
    assert told(status, UP, 1, CHANNEL) == [("up", 20)]


def test_unwatched_it_is_silent_and_watched_again_it_is_told_anew(status: Status) -> None:
    assert not status.watch(CHANNEL)
    assert told(status, UP, 0) == [("up", 20)]
    status.unwatch()
    assert told(status, UP, 1, CHANNEL) == []
    status.watch(CHANNEL)
    assert told(status, UP, 2) == [("up", 20)]
