"""A market that nobody trades on."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.bars import VenueBars
from engine.feeds.feed import FeedState
from engine.feeds.synthetic import Synthetic
from engine.ticks import TickBatch
from standins.clock import ManualClock

S = 1_000_000_000
T0 = 1_704_067_200 * S


def everything(feed: Synthetic) -> TickBatch:
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    return TickBatch.join(batches)


def bytes_of(batches: Sequence[TickBatch]) -> list[bytes]:
    batch = TickBatch.join(batches)
    columns = (batch.instrument, batch.price, batch.size, batch.event_ns, batch.received_ns, batch.flags)
    assert batch.trade_id is not None
    return [column.tobytes() for column in (*columns, batch.trade_id)]


def test_it_says_what_it_is() -> None:
    feed = Synthetic(instruments=3, start_ns=T0)
    assert (feed.venue, feed.instruments, feed.grace_ns) == ("DEMO", ("S01", "S02", "S03"), 250_000_000)
    assert Synthetic(instruments=100, start_ns=T0).instruments[-1] == "S100"


def test_the_same_seed_gives_the_same_ticks_and_another_seed_others() -> None:
    first, second, other = (Synthetic(seed=seed, duration_s=60, start_ns=T0) for seed in (1, 1, 2))
    ticks = bytes_of([everything(first)])
    assert bytes_of([everything(second)]) == ticks
    assert bytes_of([everything(other)]) != ticks


@pytest.mark.parametrize("seed", range(3))
def test_any_cut_of_the_drains_gives_the_same_ticks(seed: int) -> None:
    random = np.random.default_rng(seed)
    whole = bytes_of([Synthetic(rate=50, start_ns=T0).drain(T0 + 100 * S)])
    feed = Synthetic(rate=50, start_ns=T0)
    times = np.sort(random.integers(-S, 100 * S, 300))
    assert bytes_of([feed.drain(T0 + int(each)) for each in [*times, 100 * S]]) == whole


def test_a_longer_market_begins_as_a_shorter_one() -> None:
    short, long = (everything(Synthetic(duration_s=duration, start_ns=T0)) for duration in (37, 61))
    assert bytes_of([long.pick(long.event_ns < T0 + 37 * S)]) == bytes_of([short])


def test_it_trades_at_about_its_rate_on_every_instrument_the_first_ones_most() -> None:
    batch = everything(Synthetic(instruments=20, rate=200, duration_s=300, start_ns=T0))
    assert len(batch) == pytest.approx(60_000, rel=0.03)
    trades = np.bincount(batch.instrument, minlength=20)
    assert trades.min() > 0
    assert trades[0] > 4 * trades[-1]


@pytest.mark.parametrize("rate", [0.2, 3.0, 30_000.0])
def test_slow_and_fast_markets_keep_their_rate_too(rate: float) -> None:
    seconds = 2000 if rate < 10 else 3
    assert len(everything(Synthetic(rate=rate, duration_s=seconds, start_ns=T0))) == pytest.approx(
        rate * seconds, rel=0.2
    )


def test_prices_walk_and_stay_plausible() -> None:
    batch = everything(Synthetic(instruments=5, duration_s=1800, start_ns=T0))
    for slot in range(5):
        prices = batch.price[batch.instrument == slot]
        assert prices.min() > 0.3
        assert prices.max() < 70_000
        assert prices.max() / prices.min() < 1.2
        assert len(np.unique(prices)) > 20
        assert np.abs(np.diff(np.log(prices))).max() < 0.01
    assert (batch.size > 0).all()
    assert (batch.price == np.round(batch.price, 8)).all()


def test_trades_are_irregular_lie_in_their_time_and_come_a_moment_later_in_order() -> None:
    batch = everything(Synthetic(rate=5000, duration_s=20, start_ns=T0))
    assert batch.event_ns[0] >= T0
    assert batch.event_ns[-1] < T0 + 20 * S
    assert (np.diff(batch.received_ns) >= 0).all()
    lag = batch.received_ns - batch.event_ns
    assert lag.min() >= 1_000_000
    assert lag.max() <= 50_000_000
    gaps = np.diff(batch.event_ns)
    assert gaps.std() > 0.5 * gaps.mean()


def test_trades_of_each_instrument_are_numbered_from_one() -> None:
    batch = everything(Synthetic(instruments=5, duration_s=60, start_ns=T0))
    assert batch.trade_id is not None
    for slot in range(5):
        ids = batch.trade_id[batch.instrument == slot]
        assert ids.tolist() == list(range(1, len(ids) + 1))


def test_quotes_are_the_newest_of_each_instrument_around_its_last_price() -> None:
    feed = Synthetic(instruments=30, rate=20, start_ns=T0)
    assert feed.take_quotes() is None
    last: dict[int, float] = {}
    for second in range(1, 60):
        traded = []
        for part in (0, 0.3):  # More than one drain between two looks.
            batch = feed.drain(T0 + second * S + int(part * S))
            traded += batch.instrument.tolist()
            last.update(zip(batch.instrument.tolist(), batch.price.tolist(), strict=True))
        quotes = feed.take_quotes()
        assert quotes is not None
        assert sorted(quotes.instrument.tolist()) == sorted(set(traded))
        prices = np.array([last[slot] for slot in quotes.instrument.tolist()])
        assert (quotes.bid > 0).all()
        assert (quotes.bid < quotes.ask).all()
        assert ((prices == quotes.bid) | (prices == quotes.ask)).all()
        assert (quotes.ask / quotes.bid < 1 + 5e-4).all()
        assert (np.diff(quotes.received_ns) >= 0).all()
        assert (quotes.received_ns <= T0 + second * S + 0.3 * S).all()
        assert feed.take_quotes() is None


def test_all_its_ticks_fold_none_late_and_none_refused() -> None:
    feed = Synthetic(duration_s=600, start_ns=T0)
    bars = VenueBars(20, grace_ns=feed.grace_ns)
    while feed.status().state is not FeedState.CLOSED:
        now_ns = feed.now_ns()
        bars.fold(feed.drain(now_ns))
        bars.advance(now_ns)
    assert bars.ticks == feed.status().ticks
    assert (bars.late, bars.refused) == (0, 0)


def test_it_starts_at_a_whole_second() -> None:
    one, other = (Synthetic(duration_s=5, start_ns=T0 + odd) for odd in (0, 999_999_999))
    assert bytes_of([everything(one)]) == bytes_of([everything(other)])


def test_without_a_clock_it_is_recorded_goes_in_bounded_steps_and_ends() -> None:
    feed = Synthetic(duration_s=600, start_ns=T0)
    assert feed.recorded
    largest = 0
    while feed.status().state is not FeedState.CLOSED:
        now_ns = feed.now_ns()
        assert feed.now_ns() == now_ns
        assert feed.behind == (now_ns <= T0 + 600 * S)
        largest = max(largest, len(feed.drain(now_ns)))
    assert 0 < largest < 50_000
    assert feed.status().since_ms == (T0 + 600 * S) // 1_000_000
    assert len(feed.drain(feed.now_ns())) == 0


def test_live_it_first_catches_up_in_bounded_steps_then_keeps_to_the_clock(clock: ManualClock) -> None:
    now_ns = clock.wall_ns()
    feed = Synthetic(start_ns=now_ns - 1800 * S, clock_ns=clock.wall_ns)
    assert not feed.recorded
    steps: list[int] = []
    while not steps or feed.behind:
        reached_ns = feed.now_ns()
        steps.append(len(feed.drain(reached_ns)))
        assert reached_ns <= now_ns
    assert feed.now_ns() == now_ns
    assert sum(steps) == pytest.approx(360_000, rel=0.02)
    assert max(steps) < 50_000
    assert len(feed.drain(feed.now_ns())) == 0
    clock.advance(0.5)
    batch = feed.drain(feed.now_ns())
    assert 40 < len(batch) < 160
    assert (batch.received_ns > now_ns).all()
    assert (batch.received_ns <= now_ns + S // 2).all()


def test_a_clock_before_its_start_gives_nothing_yet(clock: ManualClock) -> None:
    feed = Synthetic(start_ns=clock.wall_ns() + 10 * S, clock_ns=clock.wall_ns)
    assert len(feed.drain(feed.now_ns())) == 0
    clock.advance(15)
    assert len(feed.drain(feed.now_ns())) > 0


def test_live_with_a_duration_it_ends_when_the_last_tick_was_given(clock: ManualClock) -> None:
    feed = Synthetic(duration_s=5, start_ns=clock.wall_ns(), clock_ns=clock.wall_ns)
    for _ in range(4):
        clock.advance(1)
        feed.drain(feed.now_ns())
        assert feed.status().state is FeedState.UP
    clock.advance(100)
    feed.drain(feed.now_ns())
    assert feed.status().state is FeedState.CLOSED
    assert not feed.behind
