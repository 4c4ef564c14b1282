"""When a venue trades, and where its bars begin and end. Pure; no I/O."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from wire.market import NS_PER_MS, Timeframe

DAY_NS: Final = Timeframe.D1.ns
# What no instant reaches: where the stretch lies that comes after the last of a table.
_BEYOND_NS: Final = 1 << 61

CALENDARS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NYSE": "XNYS",
        "NASDAQ": "XNYS",
        "AMEX": "XNYS",
        "ARCA": "XNYS",
        "BATS": "XNYS",
        "IEX": "XNYS",
        "TSX": "XTSE",
        "LSE": "XLON",
        "XETR": "XETR",
        "XETRA": "XETR",
        "FWB": "XFRA",
        "EURONEXT": "XPAR",
        "SIX": "XSWX",
        "TSE": "XTKS",
        "HKEX": "XHKG",
        "SSE": "XSHG",
        "SZSE": "XSHG",
        "NSE": "XBOM",
        "BSE": "XBOM",
        "ASX": "XASX",
        "KRX": "XKRX",
        "SGX": "XSES",
        "B3": "BVMF",
    }
)
"""The calendar of `calendar_exchange` by which a venue trades, by its name; one that is not here never closes."""


def grace_ns_of(venue: str) -> int:
    """How long a bar of a venue waits for trades behind the newest: 2 s where there is a calendar, 250 ms else."""
    return (2000 if venue in CALENDARS else 250) * NS_PER_MS


class Stretch(Struct, frozen=True):
    """Trading without a break over [open_ns, close_ns), part of the session [session_ns, session_end_ns); ns, UTC."""

    open_ns: int
    close_ns: int
    session_ns: int
    session_end_ns: int

    def bar(self, length_ns: int, at_ns: int) -> tuple[int, int]:
        """Where the bar of a timeframe so long opens and ends that holds an instant of this stretch.

        A day is the whole session; shorter bars are laid from the stretch's open, and its last one may be cut short.
        """
        if length_ns == DAY_NS:
            return self.session_ns, self.session_end_ns
        open_ns = at_ns - (at_ns - self.open_ns) % length_ns
        return open_ns, min(open_ns + length_ns, self.close_ns)


class Sessions(Protocol):
    """The stretches of time in which a venue trades, in their order; they begin and end at whole seconds."""

    def at(self, at_ns: int) -> Stretch:
        """The stretch that holds an instant, or else the next one."""
        ...

    def before(self, at_ns: int) -> Stretch | None:
        """The newest stretch that has ended by an instant; None when there is none."""
        ...

    def outside(self, event_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which instants lie in no stretch; None when all lie in one."""
        ...


class Always:
    """A venue that never closes: a session is a day from 00:00 UTC."""

    def at(self, at_ns: int) -> Stretch:
        """The day."""
        day_ns = at_ns - at_ns % DAY_NS
        return Stretch(day_ns, day_ns + DAY_NS, day_ns, day_ns + DAY_NS)

    def before(self, at_ns: int) -> Stretch | None:
        """The day before."""
        return self.at(at_ns - DAY_NS)

    def outside(self, event_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:  # noqa: ARG002 - none ever is
        """None: there is no outside."""
        return None


ALWAYS: Final[Sessions] = Always()


class Timetable:
    """Sessions out of a table of stretches, which rise and do not overlap.

    Before the first and after the last the venue counts as closed. ValueError when the stretches are not in order,
    or one begins or ends within a second.
    """

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._stretches = tuple(stretches)
        self._opens_ns = np.array([each.open_ns for each in stretches], np.int64)
        self._closes_ns = np.array([each.close_ns for each in stretches], np.int64)
        edges = np.stack((self._opens_ns, self._closes_ns), axis=1).reshape(-1)
        empty = (self._opens_ns >= self._closes_ns).any()
        if empty or (edges[1:] < edges[:-1]).any() or (edges % Timeframe.S1.ns).any():
            raise ValueError("expected stretches of whole seconds in rising order, found others")

    def at(self, at_ns: int) -> Stretch:
        """The stretch that holds an instant, or else the next one; O(log n)."""
        index = bisect_right(self._stretches, at_ns, key=lambda each: each.close_ns)
        if index < len(self._stretches):
            return self._stretches[index]
        return Stretch(_BEYOND_NS, _BEYOND_NS + DAY_NS, _BEYOND_NS, _BEYOND_NS + DAY_NS)

    def before(self, at_ns: int) -> Stretch | None:
        """The newest stretch that has ended by an instant; O(log n)."""
        index = bisect_right(self._stretches, at_ns, key=lambda each: each.close_ns)
        return self._stretches[index - 1] if index else None

    def outside(self, event_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which instants lie in no stretch; None when all lie in one."""
        if len(event_ns) == 0:
            return None
        # Almost every batch lies in one stretch.
        stretch = self.at(int(event_ns[0]))
        if stretch.open_ns <= event_ns.min() and event_ns.max() < stretch.close_ns:
            return None
        index = np.searchsorted(self._closes_ns, event_ns, side="right")
        opens_ns = np.append(self._opens_ns, _BEYOND_NS)
        beyond = opens_ns[index] > event_ns
        return beyond if beyond.any() else None
