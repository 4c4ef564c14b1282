"""What every feed keeps to, whatever its kind."""

import asyncio
import heapq
from pathlib import Path

import numpy as np
import pytest

from engine.feeds.feed import Feed, FeedState
from engine.feeds.replay import Replay
from engine.feeds.synthetic import Synthetic
from standins.clock import ManualClock
from tests.engine.feeds.frames import T0, raw, record, trade

KINDS = ("replay", "looping replay", "replay at full speed", "synthetic", "synthetic at full speed")


@pytest.fixture(params=KINDS)
def feed(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Feed:
    trades = ((number / 50, raw(trade(number, at_ms=number * 20))) for number in range(2000))
    quotes = (
        (number / 25, raw({"s": "BTCUSDT", "b": "61800", "B": "1", "a": "61801", "A": "2"})) for number in range(1000)
    )
    file = record(tmp_path / "a", heapq.merge(trades, quotes))
    feeds: dict[str, Feed] = {
        "replay": Replay([file], clock_ns=clock.wall_ns),
        "looping replay": Replay([file], clock_ns=clock.wall_ns, loop=True),
        "replay at full speed": Replay([file]),
        "synthetic": Synthetic(duration_s=60, start_ns=clock.wall_ns(), clock_ns=clock.wall_ns),
        "synthetic at full speed": Synthetic(duration_s=60, start_ns=T0),
    }
    return feeds[request.param]


def test_venue_and_symbols_are_known_at_once_and_upper_case(feed: Feed) -> None:
    assert feed.venue.isupper()
    assert len(feed.instruments) > 0
    assert all(symbol == symbol.upper() for symbol in feed.instruments)
    assert feed.grace_ns > 0


def test_its_clock_never_goes_back_and_ticks_lie_between_its_readings(feed: Feed, clock: ManualClock) -> None:
    before_ns = None
    total = 0
    for _ in range(300):
        now_ns = feed.now_ns()
        batch = feed.drain(now_ns)
        assert before_ns is None or now_ns >= before_ns
        if len(batch):
            assert batch.received_ns.max() <= now_ns
            assert before_ns is None or batch.received_ns.min() > before_ns
            assert batch.instrument.min() >= 0
            assert batch.instrument.max() < len(feed.instruments)
        before_ns = now_ns
        total += len(batch)
        clock.advance(0.25)
    assert total == feed.status().ticks > 0


def test_what_was_given_is_not_given_again(feed: Feed, clock: ManualClock) -> None:
    clock.advance(5)
    now_ns = feed.now_ns()
    feed.drain(now_ns)
    assert len(feed.drain(now_ns)) == 0


def test_quotes_are_those_received_by_the_last_drain_and_come_once(feed: Feed, clock: ManualClock) -> None:
    assert feed.take_quotes() is None
    newest_ns = 0
    for _ in range(20):
        now_ns = feed.now_ns()
        feed.drain(now_ns)
        quotes = feed.take_quotes()
        assert feed.take_quotes() is None
        if quotes is not None:
            assert len(quotes) > 0
            assert quotes.received_ns.max() <= now_ns
            assert quotes.received_ns.max() > newest_ns
            assert (np.diff(quotes.received_ns) >= 0).all()
            assert 0 <= quotes.instrument.min() <= quotes.instrument.max() < len(feed.instruments)
            assert (quotes.bid < quotes.ask).all()
            newest_ns = quotes.received_ns.max()
        clock.advance(0.25)
    assert newest_ns > 0


def test_it_is_up_until_its_last_tick_was_given(feed: Feed, clock: ManualClock) -> None:
    assert feed.status().state is FeedState.UP
    if isinstance(feed, Replay) and feed.endless:
        return
    for _ in range(300):
        feed.drain(feed.now_ns())
        clock.advance(1)
    status = feed.status()
    assert status.state is FeedState.CLOSED
    assert status.since_ms * 1_000_000 <= feed.now_ns()
    assert len(feed.drain(feed.now_ns() + 10**15)) == 0


async def test_its_own_task_may_end_at_once(feed: Feed) -> None:
    async with asyncio.timeout(5):
        await feed.run()
