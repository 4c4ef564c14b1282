"""A recording as a feed."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine.feeds.errors import FeedError
from engine.feeds.feed import FeedState
from engine.feeds.replay import Replay
from engine.ticks import TickBatch
from standins.clock import ManualClock
from tests.engine.feeds.frames import T0, S, combined, raw, record, trade


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Ten trades, one a second, at 0 s to 9 s; the last frame, at 10.5 s, is none."""
    frames = [(float(number), raw(trade(100 + number, at_ms=number * 1000 - 20))) for number in range(10)]
    return record(tmp_path / "ten", [*frames, (10.5, raw({"e": "depthUpdate"}))])


def drained(feed: Replay) -> list[float]:
    """The times of receipt, in s after T0, of what the feed gives now."""
    return [(received_ns - T0) / S for received_ns in feed.drain(feed.now_ns()).received_ns.tolist()]


def test_a_replay_says_what_it_plays_before_its_first_tick(file: str) -> None:
    feed = Replay([file])
    assert (feed.venue, feed.instruments, feed.grace_ns, feed.recorded) == ("BINANCE", ("BTCUSDT",), 250_000_000, True)
    assert feed.status().state is FeedState.UP
    assert feed.status().ticks == 0


def test_the_venue_is_as_told(file: str) -> None:
    assert Replay([file], venue="BINANCEUSDM").venue == "BINANCEUSDM"


def test_its_clock_starts_at_the_first_receipt_and_goes_with_the_clock_given(file: str, clock: ManualClock) -> None:
    feed = Replay([file], clock_ns=clock.monotonic_ns)
    clock.advance(100)
    assert feed.now_ns() == T0
    clock.advance(2.5)
    assert feed.now_ns() == T0 + 5 * S // 2


def test_ticks_come_when_they_came(file: str, clock: ManualClock) -> None:
    feed = Replay([file], clock_ns=clock.monotonic_ns)
    assert drained(feed) == [0]
    assert drained(feed) == []
    clock.advance(2.999)
    assert drained(feed) == [1, 2]
    clock.advance(0.001)
    assert drained(feed) == [3]


def test_at_another_speed_so_many_recorded_seconds_pass_in_one(file: str, clock: ManualClock) -> None:
    feed = Replay([file], speed=4, clock_ns=clock.monotonic_ns)
    assert drained(feed) == [0]
    clock.advance(1.5)
    assert feed.now_ns() == T0 + 6 * S
    assert drained(feed) == [1, 2, 3, 4, 5, 6]
    slow = Replay([file], speed=0.5, clock_ns=clock.monotonic_ns)
    slow.now_ns()
    clock.advance(3)
    assert drained(slow) == [0, 1]


def test_the_clock_stays_at_the_last_tick_when_that_was_given(file: str, clock: ManualClock) -> None:
    feed = Replay([file], clock_ns=clock.monotonic_ns)
    feed.now_ns()
    clock.advance(1000)
    assert feed.now_ns() == T0 + 9 * S
    assert len(feed.drain(feed.now_ns())) == 10
    assert feed.now_ns() == T0 + 9 * S
    assert not feed.behind


def test_after_the_end_it_is_closed_since_its_last_tick(file: str) -> None:
    feed = Replay([file])
    assert drained(feed) == list(range(10))
    status = feed.status()
    assert (status.state, status.since_ms, status.ticks) == (FeedState.CLOSED, T0 // 1_000_000 + 9000, 10)
    assert status.lag_ms == 20
    assert drained(feed) == []


def test_without_a_clock_nothing_is_waited_for_and_the_clock_goes_in_bounded_steps(tmp_path: Path) -> None:
    frames = ((number / 1000, raw(trade(number, at_ms=number))) for number in range(20_000))
    feed = Replay([record(tmp_path / "many", frames)])
    sizes = []
    while feed.status().state is not FeedState.CLOSED:
        now_ns = feed.now_ns()
        assert feed.now_ns() == now_ns, "it stays until it is drained"
        assert feed.behind
        batch = feed.drain(now_ns)
        assert batch.received_ns[-1] == now_ns
        sizes.append(len(batch))
    assert sum(sizes) == 20_000
    assert max(sizes) < 10_000
    feed.now_ns()
    assert not feed.behind


def test_a_clock_that_outruns_the_replay_is_held_back(tmp_path: Path, clock: ManualClock) -> None:
    frames = ((number / 1000, raw(trade(number, at_ms=number))) for number in range(5000))
    feed = Replay([record(tmp_path / "many", frames)], clock_ns=clock.monotonic_ns)
    feed.drain(feed.now_ns())
    clock.advance(4)
    reached: list[int] = []
    while not reached or feed.behind:
        reached.append(feed.now_ns())
        feed.drain(reached[-1])
    assert reached == sorted(set(reached))
    assert reached[-1] == T0 + 4 * S
    assert 2 < len(reached) < 10


def ticks_of(batches: Sequence[TickBatch]) -> list[bytes]:
    batch = TickBatch.join(batches)
    columns = (batch.instrument, batch.price, batch.size, batch.event_ns, batch.received_ns, batch.flags)
    assert batch.trade_id is not None
    assert batch.connection is not None
    return [column.tobytes() for column in (*columns, batch.trade_id, batch.connection)]


@pytest.mark.parametrize("seed", range(3))
def test_any_cut_of_the_drains_gives_the_same_ticks(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    at = np.sort(random.integers(0, 4000, 3000)) / 1000
    files = [
        record(
            tmp_path / symbol,
            [(each, raw(trade(number, symbol=symbol, p=number + 1))) for number, each in enumerate(at)],
        )
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    whole = ticks_of([Replay(files).drain(T0 + 9 * S)])
    feed = Replay(files)
    times = np.sort(random.integers(0, 4_100_000_000, 400))
    assert ticks_of([feed.drain(T0 + int(each)) for each in [*times, 9 * S]]) == whole


def test_several_files_of_one_venue_are_merged_by_receipt(tmp_path: Path) -> None:
    one = record(tmp_path / "one", [(float(each), raw(trade(each, p="1"))) for each in (0, 2, 4, 5)])
    two = record(
        tmp_path / "two", [(float(each), combined(trade(each, p="2", symbol="ETHUSDT"))) for each in (1, 2, 3)]
    )
    feed = Replay([two, one])
    assert feed.instruments == ("BTCUSDT", "ETHUSDT")
    batch = feed.drain(T0 + 9 * S)
    assert [(each - T0) // S for each in batch.received_ns.tolist()] == [0, 1, 2, 2, 3, 4, 5]
    assert batch.instrument.tolist() == [0, 1, 1, 0, 1, 0, 0], "at one time the first file's come first"
    assert batch.connection is not None
    assert batch.connection.tolist() == [1, 0, 0, 1, 0, 1, 1], "each recording is a connection of its own"


def test_two_files_that_give_one_symbol_at_one_time_are_an_error(tmp_path: Path, file: str) -> None:
    other = record(tmp_path / "other", [(0.0, raw(trade()))])
    with pytest.raises(FeedError, match=r"ten\+.*other.*BTCUSDT"):
        Replay([file, other])


def test_a_symbol_may_go_on_in_another_file_in_any_order_of_the_files(tmp_path: Path, file: str) -> None:
    later = record(tmp_path / "later", [(11.0, raw(trade(200, at_ms=11_000)))])
    for files in ([file, later], [later, file]):
        feed = Replay(files)
        assert feed.instruments == ("BTCUSDT",)
        assert [(each - T0) // S for each in feed.drain(T0 + 20 * S).received_ns.tolist()] == [*range(10), 11]


def test_one_recording_is_one_connection(file: str) -> None:
    assert Replay([file]).drain(T0 + 20 * S).connection is None


def test_quotes_come_when_they_came_and_of_several_only_the_newest(tmp_path: Path, clock: ManualClock) -> None:
    def quote(bid: str) -> bytes:
        return raw({"u": 1, "s": "BTCUSDT", "b": bid, "B": "1", "a": "9", "A": "1"})

    bids = [(float(number), quote(f"{number + 1}")) for number in range(8)]
    file = record(tmp_path / "a", [(0.0, raw(trade(1))), *bids, (8.0, raw(trade(2, at_ms=8000)))])
    feed = Replay([file], clock_ns=clock.monotonic_ns)
    assert feed.take_quotes() is None, "nothing was drained yet"
    found = []
    for seconds in (0, 2.5, 0.4, 10):
        feed.now_ns()
        clock.advance(seconds)
        feed.drain(feed.now_ns())
        quotes = feed.take_quotes()
        found.append(None if quotes is None else (quotes.bid.tolist(), quotes.received_ns.tolist()))
    assert found == [([1.0], [T0]), ([3.0], [T0 + 2 * S]), None, ([8.0], [T0 + 7 * S])]


def test_quotes_of_a_loop_are_later_too(tmp_path: Path) -> None:
    quote = raw({"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "9", "A": "1"})
    feed = Replay([record(tmp_path / "a", [(0.0, quote), (0.0, raw(trade(1)))])], loop=True)
    times = []
    for _ in range(3):
        feed.drain(feed.now_ns())
        quotes = feed.take_quotes()
        assert quotes is not None
        times.append((quotes.event_ns.item(0) - T0, quotes.received_ns.item(0) - T0))
    assert times == [(0, 0), (60 * S, 60 * S), (120 * S, 120 * S)]


def test_duplicates_holes_unknown_and_senseless_frames_are_counted(tmp_path: Path) -> None:
    messages = [trade(1), trade(1), trade(5), trade(6, q="0"), {"e": "kline"}, {"e": "bookTicker"}]
    feed = Replay([record(tmp_path / "a", [(1.0, raw(each)) for each in messages])])
    feed.drain(feed.now_ns())
    status = feed.status()
    found = (status.ticks, status.duplicates, status.gaps, status.refused, status.unknown)
    assert found == (2, 1, 1, 1, 1)
    assert list(feed.take_new_kinds()) == ["kline"]


def test_a_loop_starts_over_later_by_the_length_rounded_up_to_a_minute(file: str) -> None:
    feed = Replay([file], loop=True)
    batches = [feed.drain(feed.now_ns()) for _ in range(3)]
    for earlier, later in pairwise(batches):
        for column in ("event_ns", "received_ns"):
            assert (getattr(later, column) - getattr(earlier, column) == 60 * S).all()
        assert later.price.tolist() == earlier.price.tolist()
    status = feed.status()
    assert status.state is FeedState.UP
    assert (status.ticks, status.duplicates, status.gaps, status.refused) == (30, 0, 0, 0)


def test_a_loop_of_over_a_minute_is_shifted_by_two(tmp_path: Path) -> None:
    feed = Replay([record(tmp_path / "a", [(0.0, raw(trade(1))), (60.001, raw(trade(2, at_ms=60_000)))])], loop=True)
    received = [feed.drain(feed.now_ns()).received_ns[0] for _ in range(2)]
    assert received == [T0, T0 + 120 * S]


def test_a_loop_keeps_time_between_its_rounds(file: str, clock: ManualClock) -> None:
    feed = Replay([file], loop=True, clock_ns=clock.monotonic_ns)
    assert drained(feed) == [0]
    clock.advance(30)
    while feed.now_ns() < T0 + 30 * S:
        feed.drain(feed.now_ns())
    assert drained(feed) == []
    clock.advance(31)
    assert drained(feed) == [60, 61]


def test_a_loop_of_many_days_is_still_sound(file: str) -> None:
    feed = Replay([file], loop=True)
    for _ in range(1500):
        assert len(feed.drain(feed.now_ns())) == 10


@pytest.mark.parametrize(
    ("name", "count"), [("binance-usdm-btcusdt-20240808.gz", 21_313), ("binance-spot-ethusdt-20240808.gz", 6_106)]
)
def test_every_trade_of_a_real_recording_is_given(recordings: Path, name: str, count: int) -> None:
    feed = Replay([str(recordings / name)])
    while feed.status().state is not FeedState.CLOSED:
        feed.drain(feed.now_ns())
    status = feed.status()
    assert (status.ticks, status.unknown, status.duplicates, status.gaps, status.refused) == (count, 0, 0, 0, 0)


def test_real_recordings_of_one_venue_play_together(recordings: Path) -> None:
    names = ("binance-usdm-btcusdt-20240808.gz", "binance-spot-ethusdt-20240808.gz")
    feed = Replay([str(recordings / name) for name in names])
    assert feed.instruments == ("BTCUSDT", "ETHUSDT")
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    batch = TickBatch.join(batches)
    assert np.bincount(batch.instrument).tolist() == [21_313, 6_106]
    assert (np.diff(batch.received_ns) >= 0).all()


def test_the_quotes_of_a_real_recording_lie_around_its_trades(recordings: Path) -> None:
    feed = Replay([str(recordings / "binance-usdm-btcusdt-20240808.gz")])
    seen = 0
    while feed.status().state is not FeedState.CLOSED:
        batch = feed.drain(feed.now_ns())
        quotes = feed.take_quotes()
        assert quotes is not None
        assert quotes.instrument.tolist() == [0]
        assert (quotes.bid < quotes.ask).all()
        assert abs(quotes.bid.item(0) / batch.price.item(-1) - 1) < 1e-3
        assert 0 <= batch.received_ns.item(-1) - quotes.received_ns.item(0) < S
        assert abs(quotes.event_ns.item(0) - quotes.received_ns.item(0) - 1.27 * S) < S / 10
        seen += 1
    assert seen > 10
