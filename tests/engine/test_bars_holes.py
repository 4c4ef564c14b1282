"""Trades that are known to be missing: which bars say so, and how they are mended when the trades are found."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import VenueBars
from engine.columns import Columns
from engine.ticks import TickBatch, TickFlag
from tests.engine.streams import MS, START_NS, random_stream
from tests.engine.test_bars import GRACE, M1, S1, S5, S15, T0, S, batch, columns_of, row_of
from tests.engine.test_bars_properties import rows_of
from wire.market import Timeframe

AFTER_GAP = TickFlag.ORDINARY | TickFlag.AFTER_GAP


def bars_of(width: int = 2, *timeframes: Timeframe) -> VenueBars:
    return VenueBars(width, grace_ns=GRACE, timeframes=timeframes or (S1, S5, S15), history=1 << 20)


def gaps(bars: VenueBars, timeframe: Timeframe, slot: int = 0) -> list[float]:
    """When the closed bars opened that have a gap in a slot, in s after T0."""
    return [(bar.open_ns - T0) / S for bar in bars.history(timeframe) if bar.gap is not None and bar.gap[slot]]


def prices(bars: VenueBars, timeframe: Timeframe, slot: int = 0) -> list[tuple[float, ...]]:
    return [row_of(bar, slot) for bar in bars.history(timeframe)]


def slots(*some: int) -> np.ndarray:
    return np.array(some, np.intp)


def fetched(*trades: tuple[float, float] | tuple[float, float, int]) -> TickBatch:
    return batch(*trades, lag=60.0)


def test_a_hole_in_the_ids_marks_the_open_bars_it_touches_for_its_slot_alone() -> None:
    bars = bars_of()
    bars.fold(batch((6.3, 10.0), (6.4, 20.0, 1), (6.9, 11.0, 0, AFTER_GAP), (7.5, 12.0), (21.0, 12.0)))
    assert gaps(bars, S1) == [6]
    assert gaps(bars, S5) == [5]
    assert gaps(bars, S15) == [0]
    assert gaps(bars, S1, slot=1) == []
    assert bars.history(S1)[1].gap is None, "no slot has one"
    assert bars.state().open.holes.marks == ()
    assert bars.take_revisions() == []


def test_a_hole_over_bars_that_had_closed_is_told_by_revisions() -> None:
    bars = bars_of()
    bars.fold(batch((6.3, 10.0), (8.2, 20.0, 1), (9.6, 11.0, 0, AFTER_GAP)))
    before = [columns_of(bar) for bar in bars.history(S1)]
    bars.fold(batch((21.0, 12.0)))
    assert gaps(bars, S1) == [8, 9], "when the tick came in 8 s had not closed"
    assert gaps(bars, S5) == [5]
    revised = bars.take_revisions()
    assert [(each.timeframe, (each.open_ns - T0) / S, each.slot, each.rev, each.gap) for each in revised] == [
        (S1, 6, 0, 1, True),
        (S1, 7, 0, 1, True),
        (S5, 5, 0, 1, True),
        (S15, 0, 0, 1, True),
    ]
    assert (revised[1].open, revised[1].close, revised[1].count) == (10.0, 10.0, 0)
    assert before == [columns_of(bar) for bar in bars.history(S1)[: len(before)]]


def test_a_hole_before_a_slots_first_trade_marks_the_bar_of_that_trade() -> None:
    bars = bars_of()
    bars.fold(batch((0.3, 10.0), (4.5, 20.0, 1, AFTER_GAP), (9.0, 10.0)))
    assert gaps(bars, S1, slot=1) == [4]


def test_a_forming_bar_says_that_trades_are_missing() -> None:
    bars = bars_of()
    bars.fold(batch((0.3, 10.0), (0.4, 10.0, 0, AFTER_GAP)))
    for timeframe in (S1, S15):
        bar = bars.forming(timeframe)
        assert bar is not None
        assert bar.gap is not None
        assert bar.gap.tolist() == [True, False]


def test_a_hole_is_known_once() -> None:
    bars = bars_of()
    bars.fold(batch((0.3, 10.0), (3.5, 10.0, 0, AFTER_GAP), (1.2, 11.0, 0, AFTER_GAP)))
    bars.fold(batch((9.0, 10.0)))
    assert all(each.rev == 1 for each in bars.take_revisions())


def test_a_hole_longer_than_a_quarter_of_an_hour_is_told_as_far_back_as_that() -> None:
    bars = bars_of(2, S1, M1)
    bars.fold(batch((0.3, 10.0), (2000.5, 10.0, 0, AFTER_GAP)))
    marked = [(each.open_ns - T0) / S for each in bars.take_revisions() if each.timeframe is S1]
    assert marked == list(map(float, range(1099, 1999)))


def test_while_interrupted_every_bar_misses_trades_of_all_slots() -> None:
    bars = bars_of()
    bars.fold(batch((0.3, 10.0), (3.5, 10.0), lag=0.0))
    bars.interrupt()
    forming = bars.forming(S1)
    assert forming is not None
    assert forming.gap is not None
    assert forming.gap.all()
    bars.advance(T0 + round(8.2 * S))
    bars.resume()
    bars.fold(batch((8.3, 11.0), (20.0, 11.0), lag=0.0))
    for slot in (0, 1):
        assert gaps(bars, S1, slot) == [3, 4, 5, 6, 7, 8], "the last one began before the trades came again"
        assert gaps(bars, S5, slot) == [0, 5]
    assert bars.history(S1)[9].gap is None


def test_to_resume_what_was_not_interrupted_changes_nothing() -> None:
    bars = bars_of()
    bars.fold(batch((0.3, 10.0), (3.5, 10.0)))
    bars.resume()
    bars.fold(batch((9.5, 10.0)))
    assert gaps(bars, S1) == []


def test_found_trades_become_part_of_the_bars_as_used() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (1.5, 11.0), (4.5, 12.0, 0, AFTER_GAP), (4.6, 20.0, 1), (16.0, 13.0)))
    handed_out = [(bar, columns_of(bar)) for each in (S1, S5, S15) for bar in bars.history(each)]
    bars.take_revisions()
    found = bars.backfill(fetched((1.8, 15.0), (2.5, 9.0)), T0 + round(1.5 * S), T0 + round(4.5 * S), slots(0))
    assert found is not None
    assert (found.slots, dict(found.first)) == ((0,), {S1: T0 + S, S5: T0, S15: T0})
    assert prices(bars, S1)[1:5] == [
        (1, 11.0, 15.0, 11.0, 15.0, 4.0, 2),
        (2, 9.0, 9.0, 9.0, 9.0, 2.0, 1),
        (3, 9.0, 9.0, 9.0, 9.0, 0.0, 0),
        (4, 12.0, 12.0, 12.0, 12.0, 2.0, 1),
    ]
    assert prices(bars, S5)[0] == (0, 10.0, 15.0, 9.0, 12.0, 10.0, 5)
    assert prices(bars, S15)[0] == (0, 10.0, 15.0, 9.0, 12.0, 10.0, 5)
    assert gaps(bars, S1) == gaps(bars, S5) == gaps(bars, S15) == []
    assert all(columns_of(bar) == before for bar, before in handed_out), "what was handed out is what it was"
    assert [(each.timeframe, (each.open_ns - T0) / S, each.gap) for each in bars.take_revisions()] == [
        (S1, 1, False),
        (S1, 2, False),
        (S1, 3, False),
        (S1, 4, False),
        (S5, 0, False),
        (S15, 0, False),
    ]


def test_found_trades_become_part_of_longer_bars_that_still_form() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (3.5, 12.0, 0, AFTER_GAP), lag=0.0))
    bars.backfill(fetched((1.8, 15.0)), T0, T0 + 3 * S, slots(0))
    forming = bars.forming(S15)
    assert forming is not None
    assert row_of(forming) == (0, 10.0, 15.0, 10.0, 12.0, 6.0, 3)
    bars.advance(T0 + 16 * S)
    assert prices(bars, S15)[0] == (0, 10.0, 15.0, 10.0, 12.0, 6.0, 3)


@pytest.mark.parametrize("price", [15.0, 10.0])
def test_the_close_of_found_trades_goes_through_the_flat_bars_behind_them(price: float) -> None:
    bars = bars_of(1, S1)
    bars.fold(batch((0.5, 10.0), lag=0.0))
    bars.advance(T0 + 6 * S)
    bars.backfill(fetched((2.5, price)), T0 + 2 * S, T0 + 3 * S, slots(0))
    bars.advance(T0 + 9 * S)
    assert [row[4] for row in prices(bars, S1)] == [10.0, 10.0, *[price] * 6]
    assert [(bar.event_ns[0] - T0) / S for bar in bars.history(S1)] == [0.5, 0.5, *[2.5] * 6]


def test_a_gap_that_was_only_revised_is_revised_again() -> None:
    bars = bars_of(1, S1, S5)
    bars.fold(batch((0.5, 10.0), (3.5, 12.0, 0, AFTER_GAP), (9.0, 12.0)))
    assert [each.gap for each in bars.take_revisions()] == [True] * 3, "of 0 s and 1 s"
    bars.backfill(TickBatch.empty(), T0, T0 + 4 * S, slots(0))
    again = bars.take_revisions()
    assert {(each.timeframe, each.rev, each.gap) for each in again if each.rev == 2} == {(S1, 2, False), (S5, 2, False)}
    assert not any(each.gap for each in again)


def test_a_longer_bar_keeps_the_gap_of_the_hole_that_was_not_mended() -> None:
    bars = bars_of(1, S1, S15)
    bars.fold(batch((0.2, 10.0), (0.5, 12.0, 0, AFTER_GAP), (5.2, 1.0), (5.5, 12.0, 0, AFTER_GAP), (20.0, 12.0)))
    assert gaps(bars, S15) == [0]
    bars.backfill(TickBatch.empty(), T0, T0 + S, slots(0))
    assert (gaps(bars, S1), gaps(bars, S15)) == ([5], [0])
    bars.backfill(TickBatch.empty(), T0 + 5 * S, T0 + 6 * S, slots(0))
    assert (gaps(bars, S1), gaps(bars, S15)) == ([], [])


def test_a_hole_over_bars_of_another_hole_is_mended_with_it() -> None:
    bars = bars_of(1, S1)
    bars.fold(batch((0.5, 10.0), (3.5, 12.0, 0, AFTER_GAP), lag=0.0))
    again = batch((1.2, 11.0, 0, AFTER_GAP))
    bars.fold(replace(again, received_ns=again.received_ns + 3 * S))
    assert any(each.gap for each in bars.take_revisions())
    bars.backfill(TickBatch.empty(), T0, T0 + 4 * S, slots(0))
    assert not any(each.gap for each in bars.take_revisions())


def test_a_longer_bar_that_forms_keeps_the_gap_of_the_hole_that_was_not_mended() -> None:
    bars = bars_of(1, S1, S15)
    bars.fold(batch((0.2, 10.0), (0.5, 12.0, 0, AFTER_GAP), (6.2, 1.0), (6.5, 12.0, 0, AFTER_GAP), (8.0, 12.0)))
    bars.backfill(TickBatch.empty(), T0 + 6 * S, T0 + 7 * S, slots(0))
    bars.fold(batch((20.0, 12.0)))
    assert (gaps(bars, S1), gaps(bars, S15)) == ([0], [0])


def test_a_hole_in_a_bar_that_is_still_open_can_be_mended_before_it_closes() -> None:
    bars = bars_of(2, S1)
    bars.fold(batch((0.2, 10.0), (0.2, 10.0, 1), (0.5, 12.0, 0, AFTER_GAP), (0.5, 12.0, 1, AFTER_GAP)))
    bars.backfill(TickBatch.empty(), T0, T0 + S, slots(0))
    bars.fold(batch((3.0, 12.0)))
    assert (gaps(bars, S1), gaps(bars, S1, slot=1)) == ([], [0])


def test_found_trades_of_other_slots_or_too_old_or_of_open_bars_are_counted_and_left_out() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (1000.5, 10.0)))
    before = [rows_of(bar) for bar in bars.history(S5)]
    found = bars.backfill(fetched((50.0, 9.0), (950.0, 9.0, 1), (1000.6, 9.0)), T0, T0 + 1001 * S, slots(0))
    assert found is None
    assert bars.too_late == 3
    assert [rows_of(bar) for bar in bars.history(S5)] == before


def test_late_trades_stay_apart_from_found_ones() -> None:
    bars = bars_of(1, S1)
    bars.fold(batch((0.5, 10.0), (3.5, 12.0), lag=0.0))
    late = batch((1.5, 30.0))
    bars.fold(replace(late, received_ns=late.received_ns + 2 * S))
    bars.backfill(fetched((1.2, 20.0)), T0, T0 + 3 * S, slots(0))
    assert prices(bars, S1)[1] == (1, 20.0, 20.0, 20.0, 20.0, 2.0, 1)
    revision = bars.take_revisions()[0]
    assert (revision.open, revision.close, revision.count, revision.rev) == (20.0, 30.0, 2, 2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 300), max_size=20), timer=st.booleans())
def test_any_cut_gives_the_same_gaps_in_bars_as_used_and_as_corrected(
    seed: int, cuts: list[int], *, timer: bool
) -> None:
    stream = random_stream(seed, 300)
    random = np.random.default_rng(seed)
    flags = np.where(random.random(300) < 0.1, int(AFTER_GAP), int(TickFlag.ORDINARY)).astype(np.uint8)
    stream = replace(stream, flags=flags)

    def told(places: list[int]) -> object:
        bars = bars_of(6, S1, S5, M1)
        for start, stop in pairwise(sorted({0, 300, *places})):
            if timer and places:
                bars.advance(int(stream.received_ns[start]))
            bars.fold(stream[start:stop])
        bars.finish()
        return [
            (
                rows_of(bar),
                None if bar.gap is None else bar.gap.tolist(),
                [gap_of(bars, each, bar, s) for s in range(6)],
            )
            for each in (S1, S5, M1)
            for bar in bars.history(each)
        ]

    assert told(cuts) == told([])


def gap_of(bars: VenueBars, timeframe: Timeframe, bar: Columns, slot: int) -> tuple[bool, int] | None:
    revision = bars.corrected(timeframe, bar.open_ns, slot)
    return None if revision is None else (revision.gap, revision.count)


def market(seed: int, pause: int) -> TickBatch:
    """Trades of three slots in order, none late, with a pause of some seconds before one of them."""
    random = np.random.default_rng(seed)
    event = START_NS + np.cumsum(random.integers(1, 2000, 150)) * MS
    event[pause:] += 5 * S
    price, size = np.round(100 + random.normal(0, 1, 150), 2), np.round(random.random(150) + 0.01, 2)
    flags = np.full(150, int(TickFlag.ORDINARY), np.uint8)
    return TickBatch(random.integers(0, 3, 150).astype(np.int32), price, size, event, event + MS, flags)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    first=st.integers(1, 100),
    count=st.integers(1, 45),
    wait=st.integers(1, 30),
    apart=st.sampled_from([1, 30]),
)
def test_bars_with_a_mended_hole_are_those_of_an_unbroken_market(
    seed: int, first: int, count: int, wait: int, apart: int
) -> None:
    end = min(149, first + count + wait)
    every = market(seed, end)
    every = replace(every, instrument=every.instrument * apart)
    index, slot = np.arange(150), int(every.instrument[first])
    missing = (every.instrument == slot) & (index >= first) & (index < first + count)
    flags = every.flags.copy()
    flags[np.flatnonzero((every.instrument == slot) & (index >= first + count))[:1]] = int(AFTER_GAP)
    holed, whole = (VenueBars(3 * apart, grace_ns=GRACE, history=1 << 20) for _ in range(2))
    holed.fold(replace(every, flags=flags)[:end].pick(~missing[:end]))
    whole.fold(every[:end])
    for bars in (holed, whole):
        bars.advance(int(every.received_ns[end - 1]) + 3 * S)
    holed.backfill(every.pick(missing), int(every.event_ns[0]), int(every.event_ns[end]), slots(slot))
    for bars in (holed, whole):
        bars.fold(every[end:])
        bars.finish()
        assert (bars.late, bars.too_late) == (0, 0)
    for timeframe in (S1, S5, M1, Timeframe.M3, Timeframe.D1):
        mine, wanted = holed.history(timeframe), whole.history(timeframe)
        assert [exact(bar) for bar in mine] == [exact(bar) for bar in wanted]
        for one, other in zip(mine, wanted, strict=True):
            assert one.gap is None
            assert np.allclose(one.volume, other.volume, rtol=1e-13, atol=0)
            assert np.allclose(one.turnover, other.turnover, rtol=1e-13, atol=0)


def exact(bar: Columns) -> list[tuple[str, ...]]:
    """What does not depend on the order in which sizes were added."""
    columns = (bar.open, bar.high, bar.low, bar.close, bar.count, bar.event_ns)
    return [(str(bar.open_ns), *map(repr, row)) for row in zip(*(each.tolist() for each in columns), strict=True)]
