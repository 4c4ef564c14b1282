"""How far the exchange's time has surely come."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.offset_window import NEVER
from engine.watermark import Watermark
from tests.engine.plain_bars import PlainBars
from tests.engine.streams import cut, random_stream

MS = 1_000_000
S = 1_000 * MS
T0 = 1_700_000_000 * S
GRACE = 250 * MS
IDLE = 500 * MS


def watermark() -> Watermark:
    return Watermark(grace_ns=GRACE, idle_ns=IDLE)


def observe(mark: Watermark, *ticks: tuple[float, float]) -> list[bool]:
    """Take in ticks given as (event, received) in s after T0; which of them were refused."""
    events, received = (
        np.array([T0 + round(each * S) for each in times], np.int64) for times in zip(*ticks, strict=True)
    )
    passage = mark.observe(events, received)
    return [False] * len(ticks) if passage.refused is None else passage.refused.tolist()


def seconds(mark: Watermark) -> float:
    """The watermark in s after T0."""
    return (mark.value_ns - T0) / S


def test_it_stays_a_grace_behind_the_newest_tick() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1), (3.0, 3.1), (2.0, 3.2))
    assert seconds(mark) == 2.75


def test_before_any_tick_it_is_nowhere_whatever_the_time() -> None:
    mark = watermark()
    assert mark.advance(T0) == NEVER


def test_in_silence_the_clock_moves_it_a_grace_and_the_idle_time_behind() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1))
    mark.advance(T0 + 3 * S)
    assert seconds(mark) == pytest.approx(3.0 - 0.1 - 0.75, abs=1e-9)


def test_a_venue_clock_ahead_of_ours_is_corrected_by_the_least_lag() -> None:
    mark = watermark()
    observe(mark, (2.27, 1.0), (2.4, 1.2))
    mark.advance(T0 + 3 * S)
    assert seconds(mark) == pytest.approx(3.0 + 1.27 - 0.75, abs=1e-9)


def test_it_never_goes_back() -> None:
    mark = watermark()
    observe(mark, (5.0, 5.0))
    mark.advance(T0 + 9 * S)
    reached = mark.value_ns
    mark.advance(T0 + 2 * S)
    observe(mark, (8.0, 9.5))
    assert mark.value_ns >= reached


def test_a_tick_meets_what_the_clock_alone_has_done_by_its_receipt() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.0))
    passage = mark.observe(np.array([T0 + 2 * S]), np.array([T0 + 9 * S]))
    assert (passage.before_ns[0] - T0) / S == 9.0 - 0.75


def test_the_offset_is_the_least_lag_of_the_last_sixty_seconds_of_receipt() -> None:
    mark = watermark()
    observe(mark, (0.5, 0.1), *((each + 0.0, each + 0.2) for each in range(1, 60)))
    mark.advance(T0 + round(59.9 * S))
    assert seconds(mark) == pytest.approx(59.9 + 0.4 - 0.75, abs=1e-9), "the first lag, -0.4 s, still counts"
    mark.advance(T0 + round(62 * S))
    assert seconds(mark) == pytest.approx(62 - 0.2 - 0.75, abs=1e-9), "from its 60th second on it does not"


def test_when_the_offset_rises_the_clock_waits_instead_of_going_back() -> None:
    mark = watermark()
    observe(mark, (0.5, 0.1), (30.0, 30.2))
    mark.advance(T0 + 60 * S)
    assert mark.value_ns - T0 == 60 * S - 1 + 400 * MS - GRACE - IDLE, "as at the last moment of the minute"
    mark.advance(T0 + 60 * S + 300 * MS)
    assert mark.value_ns - T0 == 60 * S - 1 + 400 * MS - GRACE - IDLE


def test_a_tick_meets_what_the_clock_had_done_before_the_offset_rose_whether_anyone_looked_or_not() -> None:
    mark = watermark()
    observe(mark, (0.5, 0.1), (30.0, 30.2))
    passage = mark.observe(np.array([T0 + 60 * S]), np.array([T0 + 60 * S + 300 * MS]))
    assert passage.before_ns.tolist() == [T0 + 60 * S - 1 + 400 * MS - GRACE - IDLE]


def test_after_a_minute_of_silence_the_last_offset_stands() -> None:
    mark = watermark()
    observe(mark, (0.0, 0.2))
    mark.advance(T0 + 300 * S)
    assert seconds(mark) == pytest.approx(300 - 0.2 - 0.75, abs=1e-9)


def test_the_offset_from_before_a_silence_counts_for_the_second_of_the_next_tick() -> None:
    mark = watermark()
    observe(mark, (0.0, 0.2))
    assert observe(mark, (300.0, 305.0)) == [False], "a straggler"
    assert observe(mark, (306.0, 306.2)) == [False], "which has not unmade the offset"
    late = watermark()
    observe(late, (0.0, 0.2))
    observe(late, (300.0, 305.0))
    observe(late, (325.0, 330.0))
    late.advance(T0 + 365 * S)
    assert late.value_ns - T0 == 365 * S - 1 - 200 * MS - GRACE - IDLE, "a minute on it has"


def test_a_stamp_over_a_second_ahead_of_the_corrected_clock_is_refused_and_counted() -> None:
    mark = watermark()
    assert observe(mark, (1.0, 1.1), (2.701, 1.8)) == [False, True], "the corrected clock says 1.7 s"
    assert mark.refused == 1
    assert observe(mark, (2.7, 1.8)) == [False]
    assert mark.refused == 1


def test_what_is_refused_moves_neither_watermark_nor_offset() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1), (90.0, 1.2))
    assert seconds(mark) == 0.75
    assert observe(mark, (2.0, 2.1), (4.0, 2.2)) == [False, True]


def test_three_refused_in_a_row_that_agree_are_the_new_offset() -> None:
    mark = watermark()
    refused = observe(mark, (1.0, 1.1), (6.0, 1.2), (6.3, 1.3), (6.2, 1.4), (6.4, 1.5))
    assert refused == [False, True, True, True, False]
    assert seconds(mark) == 6.4 - 0.25
    assert mark.refused == 3


def test_refused_ticks_that_disagree_or_are_apart_change_nothing() -> None:
    mark = watermark()
    disagreeing = [(6.0 + 2 * each, 1.2 + each / 10) for each in range(5)]
    assert all(observe(mark, (1.0, 1.1), *disagreeing)[1:])
    apart = [(3.0, 3.1), (9.0, 3.2), (9.1, 3.3), (3.4, 3.5), (9.3, 3.6), (9.4, 3.7)]
    assert observe(mark, *apart) == [False, True, True, False, True, True]


@pytest.mark.parametrize(("spread", "agree"), [(1.0, True), (1.001, False)])
def test_the_three_agree_within_a_second(spread: float, *, agree: bool) -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1), (6.0, 1.2), (6.1 + spread, 1.3), (6.2, 1.4))
    assert observe(mark, (6.3, 1.5)) == [not agree]


def test_an_accepted_tick_in_a_batch_of_its_own_parts_refused_ones() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1), (6.0, 1.2), (6.1, 1.3))
    assert observe(mark, (1.3, 1.4)) == [False]
    assert [observe(mark, (6.0 + each, 1.2 + each))[0] for each in (0.3, 0.4, 0.5, 0.6)] == [True, True, True, False]


def test_the_bound_is_the_same_for_ticks_judged_one_by_one() -> None:
    mark = watermark()
    assert observe(mark, (1.0, 1.1), (9.0, 1.2), (2.7, 1.8)) == [False, True, False]
    other = watermark()
    assert observe(other, (1.0, 1.1), (9.0, 1.2), (2.701, 1.8)) == [False, True, True]


def test_the_three_may_come_in_three_batches() -> None:
    mark = watermark()
    observe(mark, (1.0, 1.1))
    assert [observe(mark, (6.0 + each, 1.2 + each))[0] for each in (0.0, 0.1, 0.2, 0.3)] == [True, True, True, False]


def test_a_receipt_stamped_before_the_one_ahead_of_it_counts_as_received_with_it() -> None:
    mark, plain = watermark(), watermark()
    observe(mark, (1.0, 1.1), (1.05, 0.3))
    observe(mark, (1.06, 0.2))
    observe(plain, (1.0, 1.1), (1.05, 1.1), (1.06, 1.1))
    for each in (mark, plain):
        each.advance(T0 + 5 * S)
    assert mark.value_ns == plain.value_ns


def passages(seed: int, pieces: int, *, timer: bool) -> tuple[list[int], list[int], list[int], int]:
    batch = random_stream(seed, 1500)
    random = np.random.default_rng(seed)
    mark = watermark()
    before: list[int] = []
    after: list[int] = []
    refused: list[int] = []
    for part in cut(random, len(batch), pieces):
        if timer:
            mark.advance(int(batch.received_ns[part.start]) - int(random.integers(0, 2)))
        passage = mark.observe(batch.event_ns[part], batch.received_ns[part])
        before += passage.before_ns.tolist()
        after += passage.after_ns.tolist()
        if passage.refused is not None:
            refused += (np.flatnonzero(passage.refused) + part.start).tolist()
    return before, after, refused, mark.value_ns


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_plain_tick_by_tick_code_says(seed: int) -> None:
    plain = PlainBars(GRACE)
    plain.fold(random_stream(seed, 1500))
    before, after, refused, value = passages(seed, 1, timer=False)
    assert refused == plain.refused
    assert before == plain.befores
    assert after == plain.afters
    assert value == plain.watermark


@pytest.mark.parametrize("seed", range(8))
def test_neither_cuts_nor_a_timer_change_what_a_tick_meets(seed: int) -> None:
    whole = passages(seed, 1, timer=False)
    for pieces, timer in ((1500, False), (90, True), (900, True), (40, False)):
        assert passages(seed, pieces, timer=timer) == whole


def refused_by_the_thousand(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A straggler of 10 s sets the offset; then lags of 0 and 5 s alternate, of which no three agree."""
    received = T0 + np.arange(count + 1) * MS
    lag = np.where(np.arange(count + 1) % 2, 0, 5 * S)
    lag[0] = 10 * S
    return received - lag, received


def test_a_hundred_thousand_refused_in_one_batch_take_no_longer_than_a_moment() -> None:
    mark = watermark()
    started = time.process_time()
    passage = mark.observe(*refused_by_the_thousand(100_000))
    assert time.process_time() - started < 5.0
    assert mark.refused == 100_000
    assert passage.refused is not None
    assert not passage.refused[0]


def seconds_to_observe(count: int, every: int) -> float:
    """Processor time for a batch of which each so manieth tick is refused; the better of two runs."""
    received = T0 + np.arange(count) * MS
    events = received - 20 * MS
    events[every::every] += 90 * S
    times = []
    for _ in range(2):
        mark = watermark()
        started = time.process_time()
        mark.observe(events, received)
        times.append(time.process_time() - started)
        assert mark.refused == len(events[every::every])
    return min(times)


def test_the_cost_of_refused_ticks_among_good_ones_grows_with_their_number_and_no_faster() -> None:
    assert seconds_to_observe(480_000, every=65) < 16 * seconds_to_observe(60_000, every=65)
