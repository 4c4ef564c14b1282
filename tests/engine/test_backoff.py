"""Waiting after failures: longer each time, never over a second, and not for all the same."""

from engine.backoff import FIRST_S, MOST_S, delay_s


def test_the_wait_doubles_from_a_twentieth_of_a_second_to_a_second() -> None:
    waits = [delay_s(failures, 0.999_999) for failures in range(1, 9)]
    assert [round(wait, 3) for wait in waits] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


def test_the_wait_is_spread_over_the_upper_half() -> None:
    assert delay_s(1, 0.0) == FIRST_S / 2
    assert delay_s(20, 0.0) == MOST_S / 2


def test_any_number_of_failures_has_a_wait() -> None:
    assert delay_s(1_000_000, 0.0) == MOST_S / 2
