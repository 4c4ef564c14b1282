"""What one connection may send: how many bytes and frames, which commands how often. Pure; no I/O, no clock.

All times are of one monotonic clock, in nanoseconds. A connection that has sent little costs little: a bucket that was
never used is None.
"""

from typing import Final

from msgspec import Struct

from gateway.config import LimitsConfig
from gateway.token_bucket import Rate, rate
from wire.client_messages import Command

LOST_NS: Final = 10_000_000_000
"""A channel whose position was lost twice within this time may be subscribed again after as much."""
MAX_LOST: Final = 1_000
"""Channels that a connection has lost of late, at most; of more the first are forgotten."""


class ConnectionRates(Struct, frozen=True):
    """What each connection of a gateway may send; None is no limit."""

    commands: Rate | None = None
    subscribes: Rate | None = None
    frames: Rate | None = None
    bytes: Rate | None = None


def connection_rates(limits: LimitsConfig) -> ConnectionRates:
    """What the configuration says."""
    return ConnectionRates(
        commands=rate(limits.commands_per_s, limits.command_burst),
        subscribes=rate(limits.subscribes_per_s, limits.subscribe_burst),
        frames=rate(limits.frames_per_s, limits.frame_burst),
        bytes=rate(limits.bytes_per_s, limits.byte_burst),
    )


class ReadRates:
    """The bytes and frames of one connection."""

    __slots__ = ("_bytes_full_ns", "_frames_full_ns", "_rates")

    def __init__(self, rates: ConnectionRates) -> None:
        self._rates = rates
        self._bytes_full_ns: int | None = None
        self._frames_full_ns: int | None = None

    def take_bytes(self, count: int, now_ns: int) -> bool:
        """So many came: whether they may."""
        self._bytes_full_ns, taken = _take(self._rates.bytes, self._bytes_full_ns, now_ns, count)
        return taken

    def take_frames(self, count: int, now_ns: int) -> bool:
        """So many came: whether they may."""
        self._frames_full_ns, taken = _take(self._rates.frames, self._frames_full_ns, now_ns, count)
        return taken


class CommandRates:
    """The commands of one connection that is known."""

    __slots__ = ("_commands_full_ns", "_lost", "_rates", "_subscribes_full_ns")

    def __init__(self, rates: ConnectionRates) -> None:
        self._rates = rates
        self._commands_full_ns: int | None = None
        self._subscribes_full_ns: int | None = None
        self._lost: dict[str, _Loss] | None = None

    def admits(self, command: Command, subscriptions: int, now_ns: int) -> bool:
        """Whether a command may run now; `subscriptions`: how many the plan allows, and so may come at once.

        An unsubscribe always may: SDKs take a refused one for a broken connection.
        """
        if command.unsubscribe is not None:
            return True
        if command.subscribe is None:
            self._commands_full_ns, taken = _take(self._rates.commands, self._commands_full_ns, now_ns, 1)
            return taken
        loss = None if self._lost is None else self._lost.get(command.subscribe.channel)
        if loss is not None and now_ns < loss.barred_until_ns:
            return False
        subscribes = self._rates.subscribes
        if subscribes is not None and subscribes.burst < subscriptions:
            subscribes = Rate(subscribes.interval_ns, subscriptions)
        self._subscribes_full_ns, taken = _take(subscribes, self._subscribes_full_ns, now_ns, 1)
        return taken

    def lose(self, name: str, now_ns: int) -> None:
        """The position of the channel that the client calls `name` is lost: it comes back at once, but not for ever."""
        lost = {} if self._lost is None else self._lost
        before = lost.pop(name, None)
        while lost and (len(lost) >= MAX_LOST or next(iter(lost.values())).over(now_ns)):
            del lost[next(iter(lost))]
        again = before is not None and now_ns - before.at_ns < LOST_NS
        lost[name] = _Loss(now_ns, now_ns + LOST_NS if again else now_ns)
        self._lost = lost


class _Loss(Struct, frozen=True):
    """When a position was lost last, and until when the channel may not be subscribed again."""

    at_ns: int
    barred_until_ns: int

    def over(self, now_ns: int) -> bool:
        return now_ns - self.at_ns >= LOST_NS


def _take(rate: Rate | None, full_ns: int | None, now_ns: int, count: int) -> tuple[int | None, bool]:
    """A bucket after an attempt, and whether it had so many tokens; None is full."""
    if rate is None:
        return full_ns, True
    after_ns = rate.take(now_ns if full_ns is None else full_ns, now_ns, count)
    return (full_ns, False) if after_ns is None else (after_ns, True)
