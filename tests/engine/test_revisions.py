"""Trades that come too late for their bar: it stays what it was, and a revision says what it would have been."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import VenueBars
from engine.revisions import Revision
from engine.ticks import TickBatch, TickFlag
from tests.engine.plain_bars import PlainBar, PlainBars, roll_up
from tests.engine.streams import random_stream
from tests.engine.test_bars import GRACE, M1, S1, S5, T0, S, Trade, batch, columns_of, row_of
from tests.engine.test_bars_properties import rows_of
from wire.market import Timeframe


def late(bars: VenueBars, received: float, *trades: Trade) -> TickBatch:
    """Trades that all come in at `received`, in s after T0."""
    ticks = batch(*trades)
    return replace(ticks, received_ns=np.full(len(ticks), T0 + round(received * S)))


def bars_at(received: float, *trades: Trade, timeframes: Sequence[Timeframe] = (S1, S5)) -> VenueBars:
    """Bars after some trades without lag, and the time since."""
    bars = VenueBars(2, grace_ns=GRACE, timeframes=timeframes)
    bars.fold(batch(*trades, lag=0.0))
    bars.advance(T0 + round(received * S))
    return bars


def said(revisions: Sequence[Revision]) -> list[tuple[object, ...]]:
    """(timeframe, open in s after T0, slot, rev, open, high, low, close, volume, count) of each."""
    return [
        (each.timeframe.value, (each.open_ns - T0) / S, each.slot, each.rev, *figures_of(each)[:5], each.count)
        for each in revisions
    ]


def test_a_late_trade_corrects_every_closed_bar_that_holds_it_and_none_of_those_used() -> None:
    bars = bars_at(6.5, (0.5, 10.0), (1.5, 11.0), (4.5, 12.0))
    before = [columns_of(bar) for each in (S1, S5) for bar in bars.history(each)]
    bars.fold(late(bars, 6.5, (1.2, 20.0)))
    assert said(bars.take_revisions()) == [
        ("1s", 1, 0, 1, 20.0, 20.0, 11.0, 11.0, 4.0, 2),
        ("5s", 0, 0, 1, 10.0, 20.0, 10.0, 12.0, 8.0, 4),
    ]
    assert before == [columns_of(bar) for each in (S1, S5) for bar in bars.history(each)]
    assert (bars.late, bars.too_late) == (1, 0)


def test_revisions_come_by_boundary_then_timeframe_then_slot_and_once() -> None:
    bars = bars_at(11.5, (0.5, 10.0), (0.5, 10.0, 1), (9.5, 11.0))
    bars.fold(late(bars, 11.5, (8.2, 5.0, 1), (4.2, 7.0), (8.3, 6.0), (4.9, 8.0), (4.1, 3.0, 1)))
    assert [row[:4] for row in said(bars.take_revisions())] == [
        ("1s", 4, 0, 1),
        ("1s", 4, 1, 1),
        ("5s", 0, 0, 1),
        ("5s", 0, 1, 1),
        ("1s", 8, 0, 1),
        ("1s", 8, 1, 1),
        ("5s", 5, 0, 1),
        ("5s", 5, 1, 1),
    ]
    assert bars.take_revisions() == []


def test_a_second_late_trade_of_a_bar_makes_its_second_revision() -> None:
    bars = bars_at(3.5, (0.5, 10.0), timeframes=(S1,))
    bars.fold(late(bars, 3.5, (0.6, 12.0)))
    bars.fold(late(bars, 3.6, (0.7, 11.0)))
    assert said(bars.take_revisions()) == [("1s", 0, 0, 2, 10.0, 12.0, 10.0, 11.0, 6.0, 3)]


def test_a_longer_bar_that_still_forms_is_corrected_when_it_has_closed() -> None:
    bars = bars_at(3.0, (0.5, 10.0), (2.5, 11.0))
    bars.fold(late(bars, 3.0, (0.8, 15.0)))
    assert [row[0] for row in said(bars.take_revisions())] == ["1s"]
    forming = bars.forming(S5)
    assert forming is not None
    assert row_of(forming) == (0, 10.0, 11.0, 10.0, 11.0, 4.0, 2), "it goes by its seconds as they closed"
    closed = bars.advance(T0 + 6 * S)
    assert row_of(closed[-1].bar) == (0, 10.0, 11.0, 10.0, 11.0, 4.0, 2)
    assert said(bars.take_revisions()) == [("5s", 0, 0, 1, 10.0, 15.0, 10.0, 11.0, 6.0, 3)]


def test_a_late_trade_into_a_second_without_one_makes_a_bar_of_it() -> None:
    bars = bars_at(3.5, (0.5, 10.0), timeframes=(S1,))
    bars.fold(late(bars, 3.5, (1.5, 12.0)))
    revision = bars.take_revisions()[0]
    assert said([revision]) == [("1s", 1, 0, 1, 12.0, 12.0, 12.0, 12.0, 2.0, 1)]
    assert revision.event_ns == T0 + 1_500_000_000
    assert not revision.gap


def test_flags_say_what_a_late_trade_may_set() -> None:
    bars = bars_at(3.5, (0.5, 10.0), timeframes=(S1,))
    only_range, only_volume = TickFlag.SETS_RANGE, TickFlag.SETS_VOLUME
    bars.fold(late(bars, 3.5, (0.7, 12.0, 0, only_range), (0.8, 9.0, 0, only_volume), (1.5, 11.0, 0, only_range)))
    assert said(bars.take_revisions()) == [
        ("1s", 0, 0, 1, 10.0, 12.0, 10.0, 10.0, 4.0, 3),
        ("1s", 1, 0, 1, 10.0, 11.0, 10.0, 10.0, 0.0, 1),
    ]


def test_a_slot_whose_first_trade_ever_is_late_has_prices_in_the_revision_alone() -> None:
    bars = bars_at(3.5, (0.5, 10.0), timeframes=(S1,))
    bars.fold(late(bars, 3.5, (0.7, 7.0, 1), (1.7, 8.0, 1, TickFlag.SETS_VOLUME)))
    first, second = bars.take_revisions()
    assert said([first]) == [("1s", 0, 1, 1, 7.0, 7.0, 7.0, 7.0, 2.0, 1)]
    assert all(math.isnan(price) for price in (second.open, second.high, second.low, second.close))
    assert (second.volume, second.turnover, second.count) == (2.0, 16.0, 1)


def test_of_equal_times_the_late_one_closes_and_does_not_open() -> None:
    bars = bars_at(3.5, (0.5, 10.0), (0.5, 11.0), timeframes=(S1,))
    bars.fold(late(bars, 3.5, (0.5, 12.0)))
    assert said(bars.take_revisions()) == [("1s", 0, 0, 1, 10.0, 12.0, 10.0, 12.0, 6.0, 3)]


def test_a_trade_later_than_a_quarter_of_an_hour_is_counted_and_dropped() -> None:
    bars = bars_at(901.75, (0.5, 10.0), timeframes=(S1,))
    bars.fold(late(bars, 901.75, (0.6, 12.0)))
    assert len(bars.take_revisions()) == 1, "its bar ended 900 s before the watermark"
    bars.fold(late(bars, 901.76, (0.7, 12.0)))
    assert (bars.late, bars.too_late, bars.take_revisions()) == (2, 1, [])


def test_a_trade_of_before_the_first_bar_or_after_the_end_corrects_nothing() -> None:
    bars = bars_at(3.5, (0.5, 10.0))
    bars.fold(late(bars, 3.5, (-0.5, 12.0)))
    bars.finish()
    bars.fold(late(bars, 4.5, (0.6, 12.0), (4.4, 12.0)))
    assert (bars.late, bars.too_late, bars.take_revisions()) == (3, 3, [])


def test_the_newest_corrected_form_of_a_bar_can_be_asked_for_as_long_as_it_is_held() -> None:
    bars = VenueBars(1, grace_ns=GRACE, timeframes=(S1, M1), history=1000)
    bars.fold(batch((0.5, 10.0), (1.5, 11.0), lag=0.0))
    bars.advance(T0 + 4 * S)
    bars.fold(late(bars, 4.0, (0.7, 12.0)))
    bars.fold(late(bars, 4.0, (0.8, 13.0)))
    taken = bars.take_revisions()
    assert bars.corrected(S1, T0, 0) == taken[0]
    assert bars.corrected(S1, T0 + S, 0) is None
    assert bars.corrected(M1, T0, 0) is None
    bars.advance(T0 + 1000 * S)
    assert bars.corrected(S1, T0, 0) == taken[0], "later than it can be corrected"
    assert bars.corrected(M1, T0, 0) is not None
    bars.advance(T0 + 1010 * S)
    assert bars.corrected(S1, T0, 0) is None, "no bar to be shown with"
    with pytest.raises(KeyError):
        bars.corrected(S5, T0, 0)


def test_what_is_remembered_of_late_trades_is_bounded() -> None:
    bars = VenueBars(5000, grace_ns=GRACE, timeframes=(S1,), history=10)
    bars.fold(batch(*((each + 0.5, 10.0) for each in range(30)), lag=0.0))
    slots = np.repeat(np.arange(5000, dtype=np.int32), 8)
    event = T0 + np.tile(np.arange(8), 5000) * S
    received = np.full(40_000, T0 + 30 * S)
    some = np.ones(40_000)
    bars.fold(TickBatch(slots, some, some, event, received, np.full(40_000, TickFlag.ORDINARY, np.uint8)))
    assert bars.late == 40_000
    assert 10_000 < len(bars.take_revisions()) < 20_000


def lateness(seed: int, *, ordinary: bool = True) -> TickBatch:
    """A stream of which many ticks are delayed by seconds."""
    stream = random_stream(seed, 400, ordinary=ordinary)
    random = np.random.default_rng(seed)
    received = stream.received_ns + np.where(random.random(400) < 0.15, random.integers(0, 40, 400), 0) * S
    return replace(stream, received_ns=received).pick(np.argsort(received, kind="stable"))


def newest_revisions(
    stream: TickBatch, places: Sequence[int]
) -> tuple[VenueBars, dict[tuple[str, int, int], Revision]]:
    bars = VenueBars(6, grace_ns=GRACE, history=1 << 20)
    found: list[Revision] = []
    for start, stop in pairwise(sorted({0, len(stream), *places})):
        bars.fold(stream[start:stop])
        found += bars.take_revisions()
    bars.finish()
    found += bars.take_revisions()
    return bars, {(each.timeframe.value, each.open_ns, each.slot): each for each in found}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 400), max_size=30))
def test_a_revised_bar_is_the_one_that_would_have_been_built_had_every_trade_come_in_time(
    seed: int, cuts: list[int]
) -> None:
    stream = lateness(seed)
    bars, found = newest_revisions(stream, cuts)
    plain = PlainBars(GRACE)
    plain.fold(stream)
    plain.finish()
    for timeframe in Timeframe:
        used, whole = (roll_up(each, timeframe.seconds) for each in (plain.closed, plain.whole))
        late_bars = {
            (timeframe.value, open_ns, slot): bar
            for open_ns, slots in whole.items()
            for slot, bar in slots.items()
            if bar.count != used.get(open_ns, {}).get(slot, PlainBar()).count
        }
        mine = {key: each for key, each in found.items() if key[0] == timeframe.value}
        assert mine.keys() == late_bars.keys()
        for key, wanted in late_bars.items():
            revision = mine[key]
            assert revision == bars.corrected(timeframe, *key[1:])
            figures = (revision.open, revision.high, revision.low, revision.close, revision.count, revision.event_ns)
            assert figures == (wanted.open, wanted.high, wanted.low, wanted.close, wanted.count, wanted.newest)
            assert revision.volume == pytest.approx(wanted.volume, rel=1e-13)
            assert revision.turnover == pytest.approx(wanted.turnover, rel=1e-13)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 400), max_size=30), ordinary=st.booleans())
def test_any_cut_gives_the_same_newest_revisions_to_the_last_bit_but_for_their_number(
    seed: int, cuts: list[int], *, ordinary: bool
) -> None:
    stream = lateness(seed, ordinary=ordinary)

    def told(places: Sequence[int]) -> object:
        bars, found = newest_revisions(stream, places)
        figures = {key: repr(figures_of(each)) for key, each in found.items()}
        return figures, bars.late, bars.too_late, [rows_of(bar) for bar in bars.history(Timeframe.S5)]

    assert told(cuts) == told([])


def figures_of(each: Revision) -> tuple[float, ...]:
    return (each.open, each.high, each.low, each.close, each.volume, each.turnover, each.count, each.event_ns, each.gap)
