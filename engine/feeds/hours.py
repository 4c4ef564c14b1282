"""When a venue trades, by its name. Loads a calendar where there is one."""

import importlib

from engine.sessions import ALWAYS, CALENDARS, Sessions


def sessions_of(venue: str) -> Sessions:
    """The sessions of a venue; one without a calendar never closes."""
    calendar = CALENDARS.get(venue)
    if calendar is None:
        return ALWAYS
    # A second and 60 MB, which an engine of other venues is spared.
    exchange = importlib.import_module("engine.calendar_exchange")
    sessions: Sessions = exchange.timetable(calendar)
    return sessions
