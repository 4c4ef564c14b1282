"""At no more than its rate, and not much less."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.pace import TICK_S, Pace, Wheel


@given(st.floats(0.05, 1000), st.integers(0, 500))
def test_between_two_turns_lies_a_period_at_least_and_two_ticks_more_at_most(rate: float, idle: int) -> None:
    wheel, pace = Wheel(), Pace(rate)
    for _ in range(idle):
        wheel.tick()
    wheel.take(pace)
    ticks = 0
    while not pace.free:
        wheel.tick()
        ticks += 1
    # taken just before the first of these ticks, it has waited for one tick less than were told
    assert 1 / rate <= (ticks - 1) * TICK_S + 1e-9
    assert (ticks - 2) * TICK_S < 1 / rate + 1e-9


def test_a_wheel_is_at_rest_when_nobody_waits() -> None:
    wheel = Wheel()
    wheel.take(Pace(50))
    assert wheel
    while wheel:
        wheel.tick()
    assert wheel.tick() == []
