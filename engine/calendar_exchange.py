"""Sessions of stock exchanges out of the calendars of `exchange-calendars`; no I/O.

Importing this costs a second and 60 MB (pandas): only who opens a venue with a calendar does.
"""

import warnings
from itertools import pairwise

import exchange_calendars
import numpy as np
from exchange_calendars.errors import CalendarError

from engine.errors import EngineError
from engine.sessions import Stretch, Timetable


class CalendarMissingError(EngineError):
    """No calendar has this name, or it does not reach so far."""


def timetable(name: str, start: str | None = None, end: str | None = None) -> Timetable:
    """The sessions of a calendar from one date to another (ISO); of its last 20 years and the coming one otherwise.

    Half days, holidays, daylight saving and breaks are the calendar's. Raises CalendarMissingError.
    """
    try:
        with warnings.catch_warnings():
            # The library uses what pandas is to change in its next major version, which we do not allow yet.
            warnings.simplefilter("ignore", DeprecationWarning)
            calendar = exchange_calendars.get_calendar(name, start=start, end=end)
    except (CalendarError, ValueError) as error:
        raise CalendarMissingError(f"expected a calendar and dates that it knows, found {name}: {error}") from error
    schedule = calendar.schedule
    columns = ("open", "break_start", "break_end", "close")
    # Where there is no break pandas has its least integer.
    times = np.stack([schedule[each].to_numpy("datetime64[ns]").astype(np.int64) for each in columns], axis=1)
    stretches: list[Stretch] = []
    for session in times.tolist():
        edges = [each for each in session if each > 0]
        stretches += [Stretch(*part, session[0], session[-1]) for part in list(pairwise(edges))[::2]]
    return Timetable(stretches)
