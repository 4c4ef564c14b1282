"""Buckets never give more than their rate and burst allow, never less, and forget what is full."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.token_bucket import Rate, TokenBucket, TokenBuckets, rate

NS = 1_000_000_000
RATES = st.builds(Rate, st.integers(1, 50), st.integers(1, 20))
TAKES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 25)), max_size=100)


class PlainBucket:
    """The textbook's: tokens that trickle in, up to the burst, counted exactly."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._tokens = Fraction(rate.burst)
        self._now = 0

    def at(self, now: int) -> Fraction:
        self._tokens = min(self._tokens + Fraction(now - self._now, self._rate.interval_ns), Fraction(self._rate.burst))
        self._now = now
        return self._tokens

    def take(self, now: int, count: int) -> bool:
        if self.at(now) < count:
            return False
        self._tokens -= count
        return True


@given(RATES, TAKES, st.integers(-1000, 1000))
def test_a_bucket_gives_what_the_textbook_gives(rate: Rate, takes: list[tuple[int, int]], start: int) -> None:
    bucket, plain, now = TokenBucket(rate), PlainBucket(rate), 0
    for pause, count in takes:
        now += pause
        assert bucket.take(start + now, count) == plain.take(now, count)


@given(RATES, TAKES, st.integers(1, 20))
def test_what_it_says_to_wait_is_enough_and_no_more(rate: Rate, takes: list[tuple[int, int]], wanted: int) -> None:
    bucket, now = TokenBucket(rate), 0
    for pause, count in takes:
        now += pause
        bucket.take(now, count)
    wanted = min(wanted, rate.burst)
    wait_ns = bucket.wait_ns(now, wanted)
    if wait_ns > 0:
        assert not bucket.take(now + wait_ns - 1, wanted)
    assert bucket.take(now + wait_ns, wanted)


@given(RATES, st.lists(st.tuples(st.integers(0, 200), st.sampled_from("abc")), max_size=200))
def test_each_key_has_a_bucket_of_its_own(rate: Rate, takes: list[tuple[int, str]]) -> None:
    buckets, single, now = TokenBuckets(10), {key: TokenBucket(rate) for key in "abc"}, 0
    for pause, key in takes:
        now += pause
        assert buckets.wait_ns(key, rate, now) == single[key].wait_ns(now)
        assert buckets.take(key, rate, now) == single[key].take(now)


@given(RATES, st.integers(1, 5), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=100))
def test_no_more_keys_are_kept_than_the_capacity(rate: Rate, capacity: int, takes: list[tuple[int, int]]) -> None:
    buckets, now = TokenBuckets(capacity), 0
    for pause, key in takes:
        now += pause
        buckets.take(str(key), rate, now)
        assert len(buckets) <= capacity


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets, rate = TokenBuckets(1000), Rate(NS, 1)
    for key in range(100):
        buckets.take(str(key), rate, key)
    for turn in range(50):
        buckets.take("another", rate, (200 + turn) * NS)
    assert len(buckets) == 1


def test_when_the_capacity_is_used_up_the_key_not_used_for_longest_makes_room() -> None:
    buckets, two = TokenBuckets(2), Rate(NS, 2)
    assert buckets.take("a", two, 0)
    assert buckets.take("b", two, 0)
    assert buckets.take("a", two, 0)
    assert buckets.take("c", two, 0)
    assert not buckets.take("a", two, 0)
    assert buckets.take("b", two, 0)


@pytest.mark.parametrize(
    ("per_s", "interval_ns"), [(1, NS), (0.1, 10 * NS), (3, 333_333_333), (1e9, 1), (32_768, 30_518), (1e-300, 10**18)]
)
def test_a_rate_is_an_interval(per_s: float, interval_ns: int) -> None:
    assert rate(per_s, 7) == Rate(interval_ns, 7)


def test_none_a_second_is_no_limit() -> None:
    assert rate(0, 7) is None
