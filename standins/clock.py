"""A clock that stands still until it is told otherwise. Pure; no I/O."""

from typing import Final

_NS_PER_S: Final = 1_000_000_000


class ManualClock:
    """A :class:`runtime.clock.Clock` that moves only by :meth:`advance`: both of its times by the same span.

    ``wall_ns`` is where the wall clock starts, 2024-01-01T00:00Z unless given; the monotonic one starts at 0.
    """

    def __init__(self, wall_ns: int = 1_704_067_200 * _NS_PER_S) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = 0

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return self._wall_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since this clock was made."""
        return self._monotonic_ns

    def advance(self, seconds: float) -> None:
        """Move both times on. Raises ValueError if seconds is negative: monotonic time never goes back."""
        if seconds < 0:
            raise ValueError(f"expected a span of 0 s or more, found {seconds} s")
        span_ns = round(seconds * _NS_PER_S)
        self._wall_ns += span_ns
        self._monotonic_ns += span_ns

    def set_wall_ns(self, wall_ns: int) -> None:
        """Let the wall clock jump, as a corrected one does; the monotonic one stays."""
        self._wall_ns = wall_ns
