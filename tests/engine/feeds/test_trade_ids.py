"""Which trade ids have come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.trade_ids import TradeIds


def screen(ids: TradeIds, *pairs: tuple[int, int]) -> list[bool]:
    slots, values = zip(*pairs, strict=True)
    fresh = ids.screen(np.array(slots, np.int32), np.array(values, np.int64)).fresh
    return [bool(each) for each in fresh]


def test_ids_in_line_are_fresh_each_slot_in_its_own() -> None:
    ids = TradeIds(2)
    assert screen(ids, (0, 5), (1, 70), (0, 6), (0, 7), (1, 71)) == [True] * 5
    assert screen(ids, (1, 72), (0, 8)) == [True] * 2
    assert (ids.duplicates, ids.gaps) == (0, 0)


def test_an_id_that_came_before_is_a_duplicate() -> None:
    ids = TradeIds(1)
    assert screen(ids, (0, 5), (0, 5), (0, 6)) == [True, False, True]
    assert screen(ids, (0, 6), (0, 5), (0, 7), (0, 4)) == [False, False, True, False]
    assert (ids.duplicates, ids.gaps) == (4, 0)


def test_a_hole_is_one_gap_however_wide() -> None:
    ids = TradeIds(1)
    assert screen(ids, (0, 5), (0, 9)) == [True, True]
    assert screen(ids, (0, 11), (0, 12)) == [True, True]
    assert (ids.duplicates, ids.gaps) == (0, 2)


def test_what_fills_a_hole_later_is_fresh_but_once() -> None:
    ids = TradeIds(1)
    assert screen(ids, (0, 5), (0, 9), (0, 7), (0, 7), (0, 8), (0, 6), (0, 6), (0, 10)) == [
        True,
        True,
        True,
        False,
        True,
        True,
        False,
        True,
    ]
    assert (ids.duplicates, ids.gaps) == (2, 1)


def test_an_id_right_behind_a_hole_is_told_but_none_that_fills_one() -> None:
    ids = TradeIds(2)
    slots, values = np.array([0, 1, 0, 0, 1, 0, 0], np.int32), np.array([5, 1, 6, 9, 4, 8, 10], np.int64)
    assert ids.screen(slots, values).behind_gap.tolist() == [3, 4]
    assert ids.screen(slots[:1], np.array([12], np.int64)).behind_gap.tolist() == [0]
    assert ids.screen(slots[:1], np.array([13], np.int64)).behind_gap.tolist() == []
    assert ids.gaps == 3


def test_after_forgetting_any_id_is_the_first() -> None:
    ids = TradeIds(1)
    screen(ids, (0, 5), (0, 9))
    ids.forget()
    assert screen(ids, (0, 2), (0, 3)) == [True, True]
    assert (ids.duplicates, ids.gaps) == (0, 1)


def test_no_ids_at_all_are_no_trouble() -> None:
    assert TradeIds(1).screen(np.zeros(0, np.int32), np.zeros(0, np.int64)).fresh.tolist() == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=60), st.integers(1, 60))
def test_an_id_is_fresh_exactly_when_it_is_new_and_not_older_than_the_first(
    pairs: list[tuple[int, int]], size: int
) -> None:
    ids = TradeIds(3)
    gaps = 0
    found = [fresh for start in range(0, len(pairs), size) for fresh in screen(ids, *pairs[start : start + size])]
    seen: dict[int, list[int]] = {}
    wanted = []
    for slot, value in pairs:
        before = seen.setdefault(slot, [])
        gaps += bool(before) and value > max(before) + 1
        wanted.append(value not in before and (not before or value > before[0]))
        before.append(value)
    assert found == wanted
    assert ids.duplicates == wanted.count(False)
    assert ids.gaps == gaps
