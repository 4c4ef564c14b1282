"""Clocks: what time it is, given to those who ask instead of taken. No I/O but reading the system's clocks."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time. The two times are not comparable with each other."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC; may jump either way."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""


class SystemClock:
    """The clocks of this machine."""

    __slots__ = ()

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC; may jump either way."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        return time.monotonic_ns()
