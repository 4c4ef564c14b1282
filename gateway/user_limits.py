"""How many connections a user may have, and how often it may connect: the seam, and what one process knows. No I/O."""

from enum import Enum
from typing import Final, Protocol

from gateway.config import LimitsConfig
from gateway.token_bucket import Rate, TokenBuckets, rate
from runtime.clock import Clock

MAX_USERS: Final = 100_000
"""Users whose connects are remembered, at most."""


class Excess(Enum):
    """What a user has too much of."""

    CONNECTIONS = "connections"
    CONNECTS = "connects"


class UserLimits(Protocol):
    """Counts the connections of users."""

    async def admit(self, user: str, connection: str, limit: int | None) -> Excess | None:
        """Say why a user may not have one more connection; None when it may, and it counts until `leave`.

        `limit`: how many connections its plan allows; None where it does not say. `leave` ends this too, at any time.
        """

    def leave(self, user: str, connection: str) -> object:
        """A connection is gone; without effect when it does not count."""


class UserPlan:
    """What the configuration allows a user, given what its plan says."""

    __slots__ = ("_burst", "_connections", "_per_s")

    def __init__(self, limits: LimitsConfig) -> None:
        self._connections = None if limits.connections_per_user == 0 else limits.connections_per_user
        self._per_s = limits.connects_per_user_per_s
        self._burst = limits.connect_burst_per_user

    def connections(self, limit: int | None) -> int | None:
        """How many connections it may have; None: any number."""
        return self._connections if limit is None else limit

    def connects(self, limit: int | None) -> Rate | None:
        """How often it may connect: as many at once at least as it may have, or not all of them could come back."""
        return rate(self._per_s, max(self._burst, self.connections(limit) or 0))


class LocalUserLimits:
    """The connections of users to this process alone."""

    def __init__(self, plan: UserPlan, clock: Clock) -> None:
        self.plan = plan
        self._clock = clock
        self._connects = TokenBuckets(MAX_USERS)
        # most users have one connection, and a set of one takes 216 bytes
        self._connections: dict[str, str | set[str]] = {}

    @property
    def users(self) -> list[str]:
        """Who has connections here."""
        return list(self._connections)

    def connections_of(self, user: str) -> tuple[str, ...]:
        """The connections of a user."""
        found = self._connections.get(user, ())
        return (found,) if isinstance(found, str) else tuple(found)

    async def admit(self, user: str, connection: str, limit: int | None) -> Excess | None:
        """Say why a user may not have one more connection; None when it may."""
        return self.take(user, connection, limit)

    def take(self, user: str, connection: str, limit: int | None) -> Excess | None:
        """The same, at once."""
        most, often = self.plan.connections(limit), self.plan.connects(limit)
        here = self._connections.get(user)
        count = len(here) if isinstance(here, set) else int(here is not None)
        if most is not None and count >= most:
            return Excess.CONNECTIONS
        if often is not None and not self._connects.take(user, often, self._clock.monotonic_ns()):
            return Excess.CONNECTS
        if isinstance(here, set):
            here.add(connection)
        else:
            self._connections[user] = connection if here is None else {here, connection}
        return None

    def leave(self, user: str, connection: str) -> bool:
        """A connection is gone: whether it counted."""
        here = self._connections.get(user)
        if here == connection:
            del self._connections[user]
            return True
        if not isinstance(here, set) or connection not in here:
            return False
        here.discard(connection)
        if len(here) == 1:
            (self._connections[user],) = here
        return True
