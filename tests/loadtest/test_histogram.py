"""How long things took, in buckets."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtest.histogram import BUCKETS, MAX_US, Histogram, bucket_of, longest_of

durations = st.integers(0, MAX_US) | st.integers(0, 300) | st.integers(0, 5_000_000)


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(durations)
def test_a_bucket_is_no_wider_than_a_64th_of_what_is_in_it(duration_us: int) -> None:
    longest_us = longest_of(bucket_of(duration_us))

    assert duration_us <= longest_us <= duration_us + duration_us // 64


@given(durations, durations)
def test_buckets_are_in_the_order_of_their_durations(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) == (one <= other or bucket_of(one) == bucket_of(other))
    assert 0 <= bucket_of(one) < BUCKETS


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_is_that_of_the_sorted_durations_up_to_the_width_of_a_bucket(
    values: list[int], percent: float
) -> None:
    exact = sorted(values)[max(1, math.ceil(percent * len(values) / 100)) - 1]

    assert exact <= histogram_of(values).percentile_us(percent) <= exact + exact // 64


@given(st.lists(durations), st.lists(durations))
def test_what_is_merged_is_as_if_it_had_been_counted_together(ours: list[int], theirs: list[int]) -> None:
    merged = histogram_of(ours)
    merged.merge(histogram_of(theirs))

    together = histogram_of(ours + theirs)
    assert (merged.counts, merged.count, merged.total_us) == (together.counts, together.count, together.total_us)


def test_of_nothing_all_percentiles_are_zero() -> None:
    assert Histogram().percentiles_ms([50, 99.9]) == {"p50": 0.0, "p99.9": 0.0}


def test_what_two_clocks_make_negative_counts_as_nothing_and_what_is_longest_as_the_most() -> None:
    histogram = histogram_of([-5, MAX_US * 2])

    assert (histogram.percentile_us(50), histogram.percentile_us(100)) == (0, MAX_US)
