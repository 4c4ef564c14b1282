"""Bars of a venue with hours."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import Closed, VenueBars
from engine.sessions import Stretch, Timetable
from engine.ticks import TickBatch, TickFlag
from tests.engine.test_bars import GRACE, S1, S, row_of
from tests.engine.test_bars_properties import rows_of
from wire.market import Timeframe

DAY = 86_400
T0 = 1_700_006_400 * S  # 00:00 UTC.
HOURS = (34_200, 43_200, 46_800, 57_630)  # 09:30 to 12:00 and 13:00 to 16:00:30
OPEN, NOON, AFTER, CLOSE = HOURS
AUCTION = TickFlag.ORDINARY | TickFlag.CLOSING
MINUTES = (34_200, 34_245, 34_260, 34_298)
Trade = tuple[float, float] | tuple[float, float, TickFlag]


def table(days: Sequence[int] = (0, 1), hours: tuple[int, int, int, int] = HOURS) -> Timetable:
    """Sessions with a break at noon."""
    stretches = []
    for day in days:
        opened, noon, after, closed = (T0 + (day * DAY + each) * S for each in hours)
        stretches += [Stretch(opened, noon, opened, closed), Stretch(after, closed, opened, closed)]
    return Timetable(stretches)


def bars_of(*timeframes: Timeframe, sessions: Timetable | None = None) -> VenueBars:
    sessions = table() if sessions is None else sessions
    return VenueBars(1, grace_ns=GRACE, timeframes=timeframes, history=1 << 20, sessions=sessions)


def batch(*trades: Trade, lag: float = 0.0) -> TickBatch:
    """Trades (event in s after T0, price, flags) of size 2."""
    rows = [(*trade, TickFlag.ORDINARY)[:3] for trade in trades]
    event, price, flags = zip(*rows, strict=True)
    events = np.array([T0 + round(each * S) for each in event], np.int64)
    received = np.maximum.accumulate(events) + round(lag * S)
    count = len(rows)
    columns = (np.zeros(count, np.int32), np.array(price, np.float64), np.full(count, 2.0), events, received)
    return TickBatch(*columns, np.array(flags, np.uint8))


def opens_of(closed: Sequence[Closed], timeframe: Timeframe) -> list[float]:
    """When the bars opened, in hours after T0."""
    return [(each.bar.open_ns - T0) / S / 3600 for each in closed if each.timeframe is timeframe]


def test_bars_begin_with_the_session_and_the_last_one_ends_with_it() -> None:
    bars = bars_of(Timeframe.M30, Timeframe.H1, Timeframe.H2, Timeframe.D1)
    closed = bars.fold(batch((OPEN + 1, 10.0), (NOON - 1, 12.0), (AFTER + 1, 11.0), (CLOSE - 1, 13.0)))
    closed += bars.advance(T0 + (CLOSE + 1) * S)
    assert opens_of(closed, Timeframe.H1) == [9.5, 10.5, 11.5, 13, 14, 15, 16]
    assert opens_of(closed, Timeframe.H2) == [9.5, 11.5, 13, 15]
    assert opens_of(closed, Timeframe.M30)[-2:] == [15.5, 16]
    assert opens_of(closed, Timeframe.D1) == [9.5]
    day = next(each.bar for each in closed if each.timeframe is Timeframe.D1)
    assert row_of(day)[1:] == (10.0, 13.0, 10.0, 13.0, 8.0, 4)
    assert {each.bar.session_ns for each in closed} == {T0 + OPEN * S}


def test_flat_bars_fill_the_session_and_nothing_lies_outside_it() -> None:
    bars = bars_of(S1, Timeframe.D1)
    closed = bars.fold(batch((OPEN, 10.0), (DAY + OPEN + 0.5, 11.0), (DAY + OPEN + 2.5, 11.0)))
    inside = [*range(OPEN, NOON), *range(AFTER, CLOSE), DAY + OPEN, DAY + OPEN + 1]
    assert [(each.bar.open_ns - T0) // S for each in closed if each.timeframe is S1] == inside
    assert {each.bar.session_ns for each in closed[-2:]} == {T0 + (DAY + OPEN) * S}


def test_years_of_closed_hours_are_passed_in_one_step() -> None:
    bars = bars_of(S1, sessions=table((0, 3000)))
    bars.fold(batch((CLOSE - 1, 10.0)))
    assert len(bars.advance(T0 + (3000 * DAY) * S)) == 1
    assert bars.advance(T0 + (3000 * DAY + OPEN + 2) * S)[0].bar.open_ns == T0 + (3000 * DAY + OPEN) * S


def test_between_sessions_nothing_forms_until_the_time_has_come_or_a_trade() -> None:
    bars = bars_of(S1, Timeframe.H1)
    bars.fold(batch((CLOSE - 1, 10.0)))
    assert bars.forming(S1) is not None
    bars.advance(T0 + (CLOSE + 1) * S)
    assert bars.forming(S1) is None
    assert bars.forming(Timeframe.H1) is None
    bars.advance(T0 + (DAY + OPEN) * S)
    assert bars.forming(S1) is None, "the watermark is still a grace behind"
    bars.fold(batch((DAY + OPEN + 0.1, 11.0)))
    forming = bars.forming(Timeframe.H1)
    assert forming is not None
    assert (forming.open_ns, forming.session_ns) == (T0 + (DAY + OPEN) * S, T0 + (DAY + OPEN) * S)
    assert row_of(forming)[1:] == (11.0, 11.0, 11.0, 11.0, 2.0, 1)
    quiet = bars_of(S1)
    quiet.fold(batch((CLOSE - 1, 10.0)))
    quiet.advance(T0 + (DAY + OPEN + 1) * S)
    assert quiet.forming(S1) is not None, "flat, for the session has begun"


def test_trades_outside_the_session_are_counted_and_not_folded() -> None:
    bars = bars_of(S1)
    closed = bars.fold(batch((OPEN - 60, 9.0), (OPEN, 10.0), (NOON + 60, 11.0), (CLOSE, 12.0)))
    assert (bars.outside, bars.late, bars.too_late) == (3, 0, 0)
    assert closed[0].bar.open_ns == T0 + OPEN * S
    assert sum(int(each.bar.count[0]) for each in closed) == 1
    assert len(closed) == NOON - OPEN + CLOSE - AFTER - 1, "yet they say what time it is"


def test_a_refused_trade_outside_the_session_counts_as_refused() -> None:
    bars = bars_of(S1)
    bars.fold(batch((CLOSE - 9, 10.0)))
    ahead = batch((CLOSE + 60, 11.0))
    bars.fold(replace(ahead, received_ns=ahead.event_ns - 60 * S))
    assert (bars.refused, bars.outside) == (1, 0)


def test_a_closing_auction_belongs_to_the_last_bar_of_its_session() -> None:
    bars = bars_of(S1, Timeframe.D1)
    bars.fold(batch((CLOSE - 10, 10.0), (CLOSE + 0.1, 12.0, AUCTION)))
    bars.advance(T0 + (CLOSE + 9) * S)
    assert (bars.outside, bars.late) == (0, 0)
    for timeframe, count in ((S1, 1), (Timeframe.D1, 2)):
        bar = bars.history(timeframe)[-1]
        assert (bar.close[0], bar.count[0]) == (12.0, count)


@pytest.mark.parametrize("after", [0.0, 1.5, 899.9])
def test_a_closing_auction_behind_the_close_corrects_that_bar(after: float) -> None:
    bars = bars_of(S1, Timeframe.D1)
    bars.fold(batch((CLOSE - 10, 10.0), (CLOSE + 0.5, 11.0), (CLOSE + after, 12.0, AUCTION)))
    assert (bars.outside, bars.late, bars.too_late) == (1, 1, 0)
    assert [(each.timeframe, each.close, each.count) for each in bars.take_revisions()] == [
        (S1, 12.0, 1),
        (Timeframe.D1, 12.0, 2),
    ]
    assert row_of(bars.history(Timeframe.D1)[-1])[1:] == (10.0, 10.0, 10.0, 10.0, 2.0, 1)


def test_a_closing_auction_reported_later_than_a_quarter_of_an_hour_is_outside() -> None:
    bars = bars_of(S1)
    bars.fold(batch((CLOSE - 10, 10.0), (CLOSE + 900, 12.0, AUCTION)))
    assert (bars.outside, bars.late) == (1, 0)


def test_a_closing_auction_inside_the_session_is_a_trade_like_any_other() -> None:
    bars = bars_of(S1)
    closed = bars.fold(batch((CLOSE - 10, 10.0, AUCTION), (CLOSE - 5, 11.0)))
    assert row_of(closed[0].bar)[1:] == (10.0, 10.0, 10.0, 10.0, 2.0, 1)


def test_the_end_closes_what_has_begun_of_the_session() -> None:
    bars = bars_of(S1, Timeframe.H4, Timeframe.D1)
    bars.fold(batch((AFTER + 1.5, 10.0)))
    assert [(each.timeframe, (each.bar.open_ns - T0) // S) for each in bars.finish()] == [
        (S1, AFTER + 1),
        (Timeframe.H4, AFTER),
        (Timeframe.D1, OPEN),
    ]
    ended = bars_of(S1, Timeframe.D1)
    ended.fold(batch((CLOSE - 1, 10.0)))
    ended.advance(T0 + (CLOSE + 9) * S)
    assert ended.finish() == []


@settings(max_examples=20, deadline=None)
@given(
    trades=st.lists(
        st.tuples(
            st.sampled_from([*MINUTES, DAY + MINUTES[0]]),
            st.floats(-4, 4),
            st.sampled_from([TickFlag.ORDINARY, AUCTION]),
        ),
        min_size=1,
        max_size=60,
    ),
    cuts=st.lists(st.integers(0, 60), max_size=10),
    timer=st.booleans(),
)
def test_any_cut_gives_the_same_bytes_around_opens_and_closes(
    trades: list[tuple[int, float, TickFlag]], cuts: list[int], *, timer: bool
) -> None:
    times = sorted(near + after for near, after, _ in trades)
    ticks = batch(
        *((time, 10.0 + index % 7, each[2]) for index, (time, each) in enumerate(zip(times, trades, strict=True)))
    )
    frames = (S1, Timeframe.S15, Timeframe.D1)

    def told(places: set[int]) -> object:
        bars = bars_of(*frames, sessions=table(hours=MINUTES))
        for start, stop in pairwise(sorted({0, len(ticks), *(each for each in places if each < len(ticks))})):
            if timer and places:
                bars.advance(int(ticks.received_ns[start]))
            bars.fold(ticks[start:stop])
        bars.finish()
        revised = [(each.timeframe, each.open_ns, each.close, each.volume) for each in bars.take_revisions()]
        return bars.outside, bars.late, bars.too_late, revised, [[rows_of(b) for b in bars.history(f)] for f in frames]

    assert told(set(cuts)) == told(set())
