"""Clocks tell two times that are not to be mixed; the manual one moves only when told."""

import pytest

from runtime.clock import Clock, SystemClock
from standins.clock import ManualClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()])
def test_every_clock_tells_both_times_in_nanoseconds(clock: Clock) -> None:
    assert clock.wall_ns() > 1_700_000_000 * 1_000_000_000
    assert clock.monotonic_ns() >= 0


def test_the_system_clock_never_goes_back() -> None:
    clock = SystemClock()
    times = [clock.monotonic_ns() for _ in range(100)]

    assert times == sorted(times)


def test_a_manual_clock_stands_still_until_it_is_told() -> None:
    clock = ManualClock(wall_ns=5)
    before = clock.wall_ns(), clock.monotonic_ns()
    clock.advance(1.5)

    assert before == (5, 0)
    assert (clock.wall_ns(), clock.monotonic_ns()) == (1_500_000_005, 1_500_000_000)


def test_a_jump_of_the_wall_clock_leaves_the_monotonic_one() -> None:
    clock = ManualClock(wall_ns=5)
    clock.set_wall_ns(1)

    assert (clock.wall_ns(), clock.monotonic_ns()) == (1, 0)


def test_a_manual_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="expected a span of 0 s or more, found -1 s"):
        ManualClock().advance(-1)
