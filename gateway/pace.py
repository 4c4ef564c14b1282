"""Live values at no more than a rate: the newest waits until its subscription may have one again. Pure; no I/O.

Time is counted in ticks: whoever owns the wheel says when one has passed. A tick that comes late makes a rate lower,
never higher.
"""

import math
from typing import Final

TICK_S: Final = 0.01


class Pace:
    """One subscription's turn: free, or taken until its period is over."""

    __slots__ = ("free", "ticks")

    def __init__(self, max_rate: float) -> None:
        self.ticks = math.ceil(1 / (max_rate * TICK_S)) + 1  # the tick that runs has begun already
        self.free = True


class Wheel:
    """Whose turn comes when: what a tick costs does not depend on how many wait for a later one."""

    __slots__ = ("_now", "_slots")

    def __init__(self) -> None:
        self._now = 0
        self._slots: dict[int, list[Pace]] = {}

    def __bool__(self) -> bool:
        """True while somebody's turn is still to come: ticks have to be told."""
        return bool(self._slots)

    def take(self, pace: Pace) -> None:
        """A live value goes out now: the next one may when the period is over."""
        pace.free = False
        self._slots.setdefault(self._now + pace.ticks, []).append(pace)

    def tick(self) -> list[Pace]:
        """A tick has passed: those whose period is over; each is free unless it is taken again."""
        self._now += 1
        due = self._slots.pop(self._now, [])
        for pace in due:
            pace.free = True
        return due
