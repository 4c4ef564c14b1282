"""What is wanted now, and what has changed about it. Pure; no I/O."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

GRACE_S: Final = 60.0
"""How long a channel that nobody wants any more is still computed."""


class Change(Struct, frozen=True):
    """What the next cycle has to do: watch `started`, forget `dropped`, repeat the live values of `repeated`."""

    started: tuple[str, ...]
    dropped: tuple[str, ...]
    repeated: frozenset[str]


class Demand:
    """The channels that subscribers want, over all topics of an engine. Times are of a monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._watched: dict[str, None] = {}
        self._unwanted_since: dict[str, float] = {}
        """Of those that are watched and not wanted any more."""
        self._rung: dict[str, None] = {}

    def ring(self, channels: Iterable[str]) -> None:
        """Somebody subscribes to `channels`: they are wanted, and their live values are to be repeated."""
        self._rung.update(dict.fromkeys(channels))

    def wanted(self, channels: frozenset[str], now_s: float) -> None:
        """`channels` is all that is wanted now. O(watched and wanted)."""
        unwanted = self._watched.keys() - channels
        since = self._unwanted_since
        self._unwanted_since = {channel: since.get(channel, now_s) for channel in sorted(unwanted)}
        missed = channels - self._watched.keys()
        self._rung.update(dict.fromkeys(sorted(missed)))

    def take(self, now_s: float) -> Change:
        """What has changed since it was last taken. O(changed and unwanted)."""
        started = tuple(channel for channel in self._rung if channel not in self._watched)
        repeated = frozenset(self._rung)
        for channel in self._rung:
            self._watched[channel] = None
            self._unwanted_since.pop(channel, None)
        self._rung.clear()
        dropped = tuple(channel for channel, since in self._unwanted_since.items() if now_s - since >= GRACE_S)
        for channel in dropped:
            del self._watched[channel], self._unwanted_since[channel]
        return Change(started, dropped, repeated)

    def forget(self, channel: str) -> None:
        """`channel` cannot be computed now: it is started again when somebody subscribes to it again."""
        self._watched.pop(channel, None)
        self._unwanted_since.pop(channel, None)
        self._rung.pop(channel, None)
