"""What the bus need not hold: what is older than ten minutes, or behind the newest 32 MB."""

from engine.retention import KEPT_BYTES, KEPT_S, Retention
from wire.position import Offset


def test_finals_are_held_for_ten_minutes() -> None:
    retention = Retention()
    retention.note(0, Offset(7), 1)
    retention.note(10, Offset(9), 1)
    assert retention.forget(KEPT_S - 0.1) == 0
    assert retention.forget(KEPT_S) == 7
    assert retention.forget(KEPT_S + 9.9) == 7
    assert retention.forget(KEPT_S + 10) == 9


def test_finals_are_held_up_to_a_size() -> None:
    retention = Retention()
    for offset in (1, 2, 3):
        retention.note(0, Offset(offset), KEPT_BYTES // 2)
    assert retention.forget(0) == 1
    retention.note(0, Offset(4), 1)
    assert retention.forget(0) == 2


def test_what_is_forgotten_stays_forgotten() -> None:
    retention = Retention()
    retention.note(0, Offset(5), 1)
    assert retention.forget(KEPT_S) == 5
    retention.note(KEPT_S, Offset(6), 1)
    assert retention.forget(KEPT_S) == 5
