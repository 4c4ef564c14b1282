"""Ticks of one venue into its bars of every timeframe."""

import math
from collections.abc import Iterable

import numpy as np

from engine.bars import Closed, VenueBars
from engine.columns import Columns
from engine.ticks import TickBatch, TickFlag
from wire.market import Timeframe

MS = 1_000_000
S = 1_000 * MS
T0 = 1_699_999_200 * S  # A whole hour, and the second of a pair.
GRACE = 250 * MS
S1, S5, S15, M1 = Timeframe.S1, Timeframe.S5, Timeframe.S15, Timeframe.M1

Trade = tuple[float, float] | tuple[float, float, int] | tuple[float, float, int, TickFlag]


def batch(*trades: Trade, lag: float = 0.01) -> TickBatch:
    """Trades (event in s after T0, price, slot, flags) of size 2, received a moment later."""
    rows = [(*trade, *(0, TickFlag.ORDINARY)[len(trade) - 2 :]) for trade in trades]
    event, price, slot, flags = zip(*rows, strict=True)
    events = np.array([T0 + round(each * S) for each in event], np.int64)
    received = np.maximum.accumulate(events) + round(lag * S)
    count = len(rows)
    columns = (np.array(slot, np.int32), np.array(price, np.float64), np.full(count, 2.0), events, received)
    return TickBatch(*columns, np.array(flags, np.uint8))


def bars_of(width: int = 1, *timeframes: Timeframe, history: int = 1024) -> VenueBars:
    return VenueBars(width, grace_ns=GRACE, timeframes=timeframes or tuple(Timeframe), history=history)


def closed_of(timeframe: Timeframe, closed: Iterable[Closed]) -> list[tuple[float, ...]]:
    """(open time in s after T0, open, high, low, close, volume, count) of slot 0 of each bar."""
    return [row_of(each.bar) for each in closed if each.timeframe is timeframe]


def row_of(bar: Columns, slot: int = 0) -> tuple[float, ...]:
    prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.count)
    return ((bar.open_ns - T0) / S, *(column.item(slot) for column in prices))


def order_of(closed: Iterable[Closed]) -> list[tuple[float, str]]:
    """(end in s after T0, timeframe) of each bar."""
    return [((each.bar.open_ns + each.timeframe.ns - T0) / S, each.timeframe.value) for each in closed]


def columns_of(bar: Columns) -> list[bytes]:
    floats = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)
    return [column.tobytes() for column in (*floats, bar.count, bar.event_ns)]


def test_a_bar_covers_from_its_open_time_to_just_before_the_next() -> None:
    bars = bars_of()
    closed = bars.fold(batch((0.0, 10.0), (0.999, 12.0), (0.5, 9.0), (1.0, 11.0), (2.3, 11.5)))
    assert closed_of(S1, closed) == [(0, 10.0, 12.0, 9.0, 12.0, 6.0, 3), (1, 11.0, 11.0, 11.0, 11.0, 2.0, 1)]


def test_a_bar_closes_when_the_watermark_reaches_its_end() -> None:
    bars = bars_of()
    assert bars.fold(batch((0.5, 10.0), (1.249, 11.0))) == []
    assert closed_of(S1, bars.fold(batch((1.25, 12.0)))) == [(0, 10.0, 10.0, 10.0, 10.0, 2.0, 1)]


def test_in_silence_the_clock_closes_bars() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), lag=0.0))
    assert bars.advance(T0 + round(1.749 * S)) == []
    assert len(closed_of(S1, bars.advance(T0 + round(1.75 * S)))) == 1
    assert len(closed_of(S1, bars.advance(T0 + round(4.75 * S)))) == 3


def test_before_the_first_tick_nothing_closes_and_nothing_forms() -> None:
    bars = bars_of()
    assert bars.advance(T0) == []
    assert bars.finish() == []
    assert bars.forming(S1) is None
    assert bars.fold(TickBatch.empty()) == []


def test_out_of_order_inside_a_bar_open_and_close_go_by_event_time() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (0.2, 11.0), (0.8, 12.0), (0.6, 13.0)))
    bars.fold(batch((0.1, 14.0), (0.7, 15.0)))
    assert closed_of(S1, bars.finish()) == [(0, 14.0, 15.0, 10.0, 12.0, 12.0, 6)]


def test_of_equal_event_times_the_first_to_arrive_opens_and_the_last_closes() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (0.5, 11.0)))
    bars.fold(batch((0.5, 9.0), (0.5, 12.0)))
    assert closed_of(S1, bars.finish()) == [(0, 10.0, 12.0, 9.0, 12.0, 8.0, 4)]


def test_a_second_without_a_trade_is_a_flat_bar() -> None:
    bars = bars_of()
    closed = bars.fold(batch((0.5, 10.0), (2.5, 12.0)))
    assert closed_of(S1, closed)[1] == (1, 10.0, 10.0, 10.0, 10.0, 0.0, 0)


def test_a_slot_is_nan_before_its_first_trade_ever_and_flat_after() -> None:
    bars = bars_of(2)
    closed = [each.bar for each in bars.fold(batch((0.5, 10.0), (1.5, 20.0, 1), (2.5, 11.0), (3.5, 12.0)))]
    seconds = [row_of(bar, slot=1) for bar in closed]
    assert all(math.isnan(price) for price in seconds[0][1:5])
    assert seconds[0][5:] == (0.0, 0)
    assert seconds[1:] == [(1, 20.0, 20.0, 20.0, 20.0, 2.0, 1), (2, 20.0, 20.0, 20.0, 20.0, 0.0, 0)]


def test_a_longer_bar_opens_at_its_own_first_trade_not_at_the_close_before() -> None:
    bars = bars_of()
    closed = bars.fold(batch((4.0, 99.0), (6.5, 10.0), (8.5, 11.0), (10.5, 12.0)))
    assert closed_of(S5, closed)[1] == (5, 10.0, 11.0, 10.0, 11.0, 4.0, 2)


def test_a_longer_bar_without_a_trade_is_flat() -> None:
    bars = bars_of()
    closed = bars.fold(batch((4.0, 99.0), (10.5, 12.0)))
    assert closed_of(S5, closed)[1] == (5, 99.0, 99.0, 99.0, 99.0, 0.0, 0)


def test_the_first_bar_counts_as_whole_for_every_timeframe() -> None:
    bars = bars_of()
    closed = bars.fold(batch((58.0, 10.0), (59.5, 11.0), (60.5, 12.0)))
    assert closed_of(M1, closed) == [(0, 10.0, 11.0, 10.0, 11.0, 4.0, 2)]
    assert closed_of(S1, closed)[0][0] == 58


def test_one_boundary_closes_shortest_first_and_boundaries_in_order() -> None:
    bars = bars_of()
    closed = bars.fold(batch((13.5, 10.0), (60.5, 12.0)))
    assert order_of(closed)[:5] == [(14, "1s"), (15, "1s"), (15, "5s"), (15, "15s"), (16, "1s")]
    assert [name for end, name in order_of(closed) if end == 60] == ["1s", "5s", "15s", "30s", "1m"]


def test_a_tick_whose_bar_has_ended_is_late_and_kept_aside() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), (1.3, 11.0)))
    closed = bars.fold(batch((0.9, 99.0), (1.4, 12.0), (0.1, 98.0)))
    assert bars.late == 2
    assert bars.late_ticks.price.tolist() == [99.0, 98.0]
    assert closed_of(S1, closed + bars.finish()) == [(1, 11.0, 12.0, 11.0, 12.0, 4.0, 2)]
    bars.fold(TickBatch.empty())
    assert len(bars.late_ticks) == 0
    assert (bars.late, bars.ticks) == (2, 5)


def test_a_tick_is_late_by_what_the_clock_alone_had_closed_at_its_receipt() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), lag=0.0))
    bars.fold(batch((0.9, 11.0), lag=0.85))
    assert bars.late == 1
    assert bars.fold(batch((0.95, 12.0), lag=0.799)) == []
    assert bars.late == 2, "time does not go back"


def test_a_tick_of_before_the_venues_first_bar_is_late() -> None:
    bars = bars_of()
    bars.fold(batch((1.1, 10.0), (0.99, 11.0)))
    assert bars.late == 1


def test_a_refused_tick_is_neither_folded_nor_late() -> None:
    bars = bars_of()
    bars.fold(batch((0.5, 10.0), lag=0.0))
    ahead = batch((90.0, 99.0))
    bars.fold(
        TickBatch(ahead.instrument, ahead.price, ahead.size, ahead.event_ns, ahead.event_ns - 89 * S, ahead.flags)
    )
    assert (bars.refused, bars.late, bars.ticks) == (1, 0, 2)
    assert closed_of(S1, bars.finish()) == [(0, 10.0, 10.0, 10.0, 10.0, 2.0, 1)]


def test_event_time_is_that_of_the_slots_newest_tick_and_goes_through_flat_bars() -> None:
    bars = bars_of(2)
    closed = bars.fold(batch((0.5, 10.0), (0.7, 11.0), (0.6, 12.0), (1.5, 20.0, 1), (3.5, 13.0)))
    seconds = [each.bar.event_ns.tolist() for each in closed if each.timeframe is S1]
    assert seconds == [
        [T0 + 700 * MS, 0],
        [T0 + 700 * MS, T0 + 1500 * MS],
        [T0 + 700 * MS, T0 + 1500 * MS],
    ]
    forming = bars.forming(M1)
    assert forming is not None
    assert forming.event_ns.tolist() == [T0 + 3500 * MS, T0 + 1500 * MS]


def test_flags_say_what_of_a_bar_a_trade_sets() -> None:
    bars = bars_of()
    bars.fold(
        batch(
            (0.1, 50.0, 0, TickFlag.SETS_RANGE | TickFlag.SETS_VOLUME),
            (0.2, 10.0, 0, TickFlag.ORDINARY | TickFlag.BUY),
            (0.3, 11.0, 0, TickFlag.SETS_OPEN_CLOSE | TickFlag.SELL),
            (0.4, 1.0, 0, TickFlag.SETS_VOLUME),
            (0.5, 2.0, 0, TickFlag(0)),
        )
    )
    assert closed_of(S1, bars.finish()) == [(0, 10.0, 50.0, 10.0, 11.0, 6.0, 5)]


def test_open_and_close_always_lie_within_the_range() -> None:
    bars = bars_of()
    bars.fold(batch((0.1, 10.0, 0, TickFlag.SETS_OPEN_CLOSE), (1.1, 12.0, 0, TickFlag.SETS_RANGE)))
    assert closed_of(S1, bars.finish()) == [(0, 10.0, 10.0, 10.0, 10.0, 0.0, 1), (1, 10.0, 12.0, 10.0, 10.0, 0.0, 1)]


def test_turnover_is_the_sum_of_price_times_size() -> None:
    bars = bars_of()
    bars.fold(batch((0.1, 10.0), (0.2, 11.0), (1.1, 12.0)))
    assert [each.bar.turnover.tolist() for each in bars.finish() if each.timeframe is S5] == [[66.0]]


def test_the_forming_bar_is_the_oldest_open_one_with_what_forms_below_it() -> None:
    bars = bars_of()
    bars.fold(batch((61.5, 10.0), (62.5, 12.0), (63.2, 11.0), (64.1, 14.0)))
    second, minute = bars.forming(S1), bars.forming(M1)
    assert second is not None
    assert minute is not None
    assert row_of(second) == (63, 11.0, 11.0, 11.0, 11.0, 2.0, 1), "the trade of 64.1 lies in the next bar"
    assert row_of(minute) == (60, 10.0, 12.0, 10.0, 11.0, 6.0, 3)


def test_a_forming_bar_without_a_trade_is_flat() -> None:
    bars = bars_of()
    bars.fold(batch((1.5, 10.0), lag=0.0))
    bars.advance(T0 + 8 * S)
    for timeframe in (S1, S5):
        bar = bars.forming(timeframe)
        assert bar is not None
        assert row_of(bar)[1:] == (10.0, 10.0, 10.0, 10.0, 0.0, 0)


def test_what_forms_is_another_bar_when_time_has_closed_one() -> None:
    bars = bars_of()
    bars.fold(batch((1.5, 10.0), lag=0.0))
    before = bars.forming(S1)
    bars.advance(T0 + 3 * S)
    after = bars.forming(S1)
    assert before is not None
    assert after is not None
    assert (row_of(before)[0], row_of(after)[0]) == (1, 2)


def test_a_bar_handed_out_is_not_written_to_again() -> None:
    bars = bars_of()
    closed = bars.fold(batch((0.5, 10.0), (1.5, 11.0)))
    forming = [bars.forming(timeframe) for timeframe in Timeframe]
    before = [columns_of(bar) for bar in [*(each.bar for each in closed), *forming] if bar is not None]
    bars.fold(batch((1.6, 5.0), (1.7, 50.0), (2.5, 9.0), (70.0, 8.0)))
    after = [columns_of(bar) for bar in [*(each.bar for each in closed), *forming] if bar is not None]
    assert before == after


def test_the_last_closed_bars_of_every_timeframe_are_kept_oldest_first() -> None:
    bars = bars_of(1, S1, S5, history=3)
    bars.fold(batch(*((each + 0.5, 10.0 + each) for each in range(13))))
    assert [row_of(bar)[:2] for bar in bars.history(S1)] == [(9, 19.0), (10, 20.0), (11, 21.0)]
    assert [row_of(bar)[:2] for bar in bars.history(S5)] == [(0, 10.0), (5, 15.0)]


def test_changed_slots_are_those_with_a_trade_since_asked_last() -> None:
    bars = bars_of(4)
    assert bars.take_changed().tolist() == []
    bars.fold(batch((0.5, 10.0, 2), (0.6, 10.0, 0)))
    assert bars.take_changed().tolist() == [0, 2]
    assert bars.take_changed().tolist() == []
    bars.fold(batch((0.7, 10.0, 2)))
    assert bars.take_changed().tolist() == [2]
    bars.fold(batch((0.8, 11.0, 1), (1.1, 11.0, 3)))
    assert bars.take_changed().tolist() == [1], "slot 3 traded in a bar that nobody sees yet"
    bars.fold(batch((0.9, 12.0, 0), (1.3, 12.0, 2)))
    assert bars.take_changed().tolist() == [0, 2, 3], "the bar of slot 0 has closed meanwhile, the next one is seen"


def test_the_end_closes_each_bar_that_has_begun_by_its_end_shortest_first() -> None:
    bars = bars_of()
    bars.fold(batch((197.4, 10.0), lag=0.0))
    assert order_of(bars.finish()) == [
        (198, "1s"),
        (200, "5s"),
        (210, "15s"),
        (210, "30s"),
        (240, "1m"),
        (300, "5m"),
        (360, "3m"),
        (900, "15m"),
        (1800, "30m"),
        (3600, "1h"),
        (7200, "2h"),
        (7200, "4h"),
        (7200, "1d"),
    ]


def test_the_end_closes_later_open_bars_that_have_ticks_and_none_that_has_not_begun() -> None:
    bars = bars_of()
    bars.fold(batch((3.5, 10.0), (4.2, 11.0), lag=0.0))
    closed = bars.finish()
    assert closed_of(S1, closed) == [(3, 10.0, 10.0, 10.0, 10.0, 2.0, 1), (4, 11.0, 11.0, 11.0, 11.0, 2.0, 1)]
    assert closed_of(S5, closed) == [(0, 10.0, 11.0, 10.0, 11.0, 4.0, 2)]
    assert order_of(closed)[:4] == [(4, "1s"), (5, "1s"), (5, "5s"), (15, "15s")]


def test_a_bar_of_which_only_flat_seconds_have_closed_has_begun() -> None:
    bars = bars_of()
    bars.fold(batch((3.5, 10.0), lag=0.0))
    bars.advance(T0 + 8 * S)
    assert closed_of(S5, bars.finish()) == [(5, 10.0, 10.0, 10.0, 10.0, 0.0, 0)]


def test_after_the_end_nothing_forms_closes_or_is_folded() -> None:
    bars = bars_of()
    bars.fold(batch((3.5, 10.0)))
    bars.finish()
    assert bars.forming(S1) is None
    assert bars.finish() == []
    assert bars.fold(batch((9.5, 10.0))) == []
    assert bars.advance(T0 + 99 * S) == []
    assert bars.late == 1


def test_a_night_without_a_trade_closes_in_a_moment() -> None:
    bars = bars_of(100)
    bars.fold(batch((0.5, 10.0)))
    closed = bars.advance(T0 + 20_000 * S)
    assert len(closed_of(S1, closed)) == 19_999
    assert row_of(closed[-1].bar)[1:] == (10.0, 10.0, 10.0, 10.0, 0.0, 0)
