"""When a venue trades, and where its bars begin and end."""

from datetime import datetime
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calendar_exchange import CalendarMissingError, timetable
from engine.sessions import ALWAYS, CALENDARS, Stretch, Timetable, grace_ns_of
from wire.market import Timeframe

S = 1_000_000_000
HOUR = 3600 * S
DAY = 24 * HOUR
NEW_YORK, TOKYO, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def at(zone: ZoneInfo, text: str) -> int:
    """A local time as ns, UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * S


@pytest.fixture(scope="module")
def new_york() -> Timetable:
    return timetable("XNYS", "2013-01-02", "2014-12-31")


def hours(zone: ZoneInfo, stretch: Stretch) -> tuple[str, str]:
    edges = (datetime.fromtimestamp(each / S, zone) for each in (stretch.open_ns, stretch.close_ns))
    opened, closed = (each.strftime("%m-%d %H:%M") for each in edges)
    return opened, closed


def test_a_venue_without_hours_has_a_session_a_day_from_midnight_utc() -> None:
    stretch = ALWAYS.at(5 * DAY + 7 * HOUR)
    assert stretch == Stretch(5 * DAY, 6 * DAY, 5 * DAY, 6 * DAY)
    assert ALWAYS.before(5 * DAY) == ALWAYS.at(5 * DAY - 1)
    assert ALWAYS.outside(np.array([0, 5 * DAY])) is None


def test_a_session_is_found_by_an_instant_in_it_or_before_it(new_york: Timetable) -> None:
    for text in ("2013-10-08 16:00:00", "2013-10-09 03:00:00", "2013-10-09 09:30:00", "2013-10-09 15:59:59"):
        assert hours(NEW_YORK, new_york.at(at(NEW_YORK, text))) == ("10-09 09:30", "10-09 16:00")


@pytest.mark.parametrize(
    ("after", "next_open"),
    [
        ("2013-10-11 17:00", "10-14 09:30"),  # a weekend
        ("2013-11-27 17:00", "11-29 09:30"),  # Thanksgiving
        ("2013-03-08 17:00", "03-11 09:30"),  # daylight saving begins on the Sunday
        ("2013-11-01 17:00", "11-04 09:30"),  # and ends
    ],
)
def test_nights_weekends_and_holidays_are_closed(new_york: Timetable, after: str, next_open: str) -> None:
    assert hours(NEW_YORK, new_york.at(at(NEW_YORK, after)))[0] == next_open


def test_half_days_close_early(new_york: Timetable) -> None:
    assert hours(NEW_YORK, new_york.at(at(NEW_YORK, "2013-11-29 12:00"))) == ("11-29 09:30", "11-29 13:00")


def test_daylight_saving_moves_the_session_in_utc() -> None:
    table = timetable("XETR", "2024-03-25", "2024-04-05")
    before, after = (table.at(at(BERLIN, f"2024-{day} 10:00")) for day in ("03-28", "04-02"))
    assert hours(BERLIN, before)[0].endswith("09:00")
    assert hours(BERLIN, after)[0].endswith("09:00")
    assert (before.open_ns % DAY, after.open_ns % DAY) == (8 * HOUR, 7 * HOUR)


def test_a_break_parts_a_session_into_two_stretches() -> None:
    table = timetable("XTKS", "2024-07-01", "2024-07-10")
    morning, afternoon = (table.at(at(TOKYO, f"2024-07-03 {hour}")) for hour in ("10:00", "12:00"))
    assert hours(TOKYO, morning) == ("07-03 09:00", "07-03 11:30")
    assert hours(TOKYO, afternoon) == ("07-03 12:30", "07-03 15:00")
    assert (morning.session_ns, morning.session_end_ns) == (afternoon.session_ns, afternoon.session_end_ns)
    assert table.before(at(TOKYO, "2024-07-03 12:00")) == morning


def test_the_newest_stretch_that_has_ended(new_york: Timetable) -> None:
    ended = new_york.before(at(NEW_YORK, "2013-10-09 16:00"))
    assert ended is not None
    assert hours(NEW_YORK, ended) == ("10-09 09:30", "10-09 16:00")
    assert new_york.before(at(NEW_YORK, "2013-01-02 10:00")) is None


def test_before_and_after_the_table_the_venue_is_closed(new_york: Timetable) -> None:
    assert hours(NEW_YORK, new_york.at(0))[0] == "01-02 09:30"
    never = new_york.at(at(NEW_YORK, "2015-06-01 10:00"))
    assert never.open_ns > at(NEW_YORK, "2030-01-01 10:00")
    outside = new_york.outside(np.array([at(NEW_YORK, "2015-06-01 10:00")]))
    assert outside is not None
    assert outside.tolist() == [True]


def test_what_is_outside_is_marked_and_none_where_nothing_is(new_york: Timetable) -> None:
    times = ["2013-10-09 09:29:59", "2013-10-09 09:30", "2013-10-09 15:59:59", "2013-10-09 16:00", "2013-10-10 12:00"]
    events = np.array([at(NEW_YORK, text) for text in times])
    outside = new_york.outside(events)
    assert outside is not None
    assert outside.tolist() == [True, False, False, True, False]
    assert new_york.outside(events[1:3]) is None
    assert new_york.outside(events[[1, 4]]) is None, "in two sessions"
    assert new_york.outside(events[:0]) is None


def test_bars_are_laid_from_the_open_and_the_last_one_ends_with_the_session(new_york: Timetable) -> None:
    stretch = new_york.at(at(NEW_YORK, "2013-10-09 15:45"))
    for timeframe, opened, ended in (
        (Timeframe.M30, "15:30", "16:00"),
        (Timeframe.H1, "15:30", "16:00"),
        (Timeframe.H2, "15:30", "16:00"),
        (Timeframe.H4, "13:30", "16:00"),
        (Timeframe.D1, "09:30", "16:00"),
    ):
        wanted = tuple(at(NEW_YORK, f"2013-10-09 {each}") for each in (opened, ended))
        assert stretch.bar(timeframe.ns, at(NEW_YORK, "2013-10-09 15:45")) == wanted


@given(st.integers(0, 1 << 61), st.sampled_from(list(Timeframe)))
def test_without_hours_bars_lie_as_if_counted_from_the_epoch(at_ns: int, timeframe: Timeframe) -> None:
    open_ns = at_ns // timeframe.ns * timeframe.ns
    assert ALWAYS.at(at_ns).bar(timeframe.ns, at_ns) == (open_ns, open_ns + timeframe.ns)


@pytest.mark.parametrize("edges", [[(0, 5), (4, 8)], [(5, 8), (0, 4)], [(3, 3)], [(4, 2)], [(0, 5), (5, 5)]], ids=str)
def test_stretches_out_of_order_are_refused(edges: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="rising order"):
        Timetable([Stretch(start * S, stop * S, start * S, stop * S) for start, stop in edges])


def test_stretches_begin_and_end_at_whole_seconds() -> None:
    with pytest.raises(ValueError, match="whole seconds"):
        Timetable([Stretch(0, 5 * S + 1, 0, 5 * S + 1)])


def test_every_calendar_that_is_named_exists() -> None:
    assert set(CALENDARS.values()) <= set(exchange_calendars.get_calendar_names())


@pytest.mark.parametrize(("name", "start"), [("NOWHERE", "2024-07-01"), ("XNYS", "2024-12-01"), ("XNYS", "no date")])
def test_what_no_calendar_knows_is_an_error(name: str, start: str) -> None:
    with pytest.raises(CalendarMissingError, match=name):
        timetable(name, start, "2024-07-12")


def test_shares_wait_longer_for_stragglers_than_coins() -> None:
    assert (grace_ns_of("NYSE"), grace_ns_of("BINANCE")) == (2 * S, S // 4)
