"""What a connection stands on: a token, what the user service says of it, and when to ask again. Pure; no I/O.

Answers are asked for again before they end. While the user service gives none, a connection outlasts its answer by a
minute, and never its token.
"""

from enum import Enum
from typing import Final

from msgspec import Struct

from gateway.introspection import Answer, Introspection

GRACE_S: Final = 60.0
"""How long a connection stays without an answer, after its last one has ended."""
REVIEWED_AT: Final = (0.5, 0.9)
"""An answer is asked for again when this share of its time is over, at random between the two."""
RETRIED_AFTER_S: Final = (10.0, 20.0)
"""How long after a failure the user service is asked again, at random between the two."""
ANNOUNCED_EARLY_S: Final = 30
"""How long before a token's end its client is told to refresh, because SDKs do so exactly then."""

_NS_PER_S: Final = 1_000_000_000
_LONGEST_TTL_S: Final = 0x7FFF_FFFF


class Due(Enum):
    """What is to be done about a connection's standing."""

    NOTHING = "nothing"
    REVIEW = "review"
    """Ask the user service again."""
    EXPIRED = "expired"
    """The token has ended."""
    UNCONFIRMED = "unconfirmed"
    """Nobody has confirmed the token for too long."""


class Standing(Struct, frozen=True):
    """A token and what is known of it: `until_ns` the answer holds, at `review_ns` it is asked for again.

    Both are times of a monotonic clock; the token's own end is one of the wall clock.
    """

    token: str
    who: Introspection
    until_ns: int
    review_ns: int

    def due(self, wall_ns: int, monotonic_ns: int) -> Due:
        """What is to be done now."""
        if self.who.expired(wall_ns):
            return Due.EXPIRED
        if monotonic_ns >= self._last_ns:
            return Due.UNCONFIRMED
        return Due.REVIEW if monotonic_ns >= self.review_ns else Due.NOTHING

    def wait_s(self, wall_ns: int, monotonic_ns: int) -> float:
        """How long until something is due."""
        return min(self.left_s(wall_ns, monotonic_ns), max(self.review_ns - monotonic_ns, 0) / _NS_PER_S)

    def left_s(self, wall_ns: int, monotonic_ns: int) -> float:
        """How long the connection may stay, unless its token is confirmed."""
        left_ns = self._last_ns - monotonic_ns
        if self.who.exp is not None:
            left_ns = min(left_ns, self.who.exp * _NS_PER_S - wall_ns)
        return max(left_ns, 0) / _NS_PER_S

    def ttl_s(self, wall_ns: int) -> int | None:
        """After how many seconds the client is to refresh, at least 1; None when it never has to."""
        if self.who.exp is None:
            return None
        left_s = self.who.exp - wall_ns / _NS_PER_S
        early_s = min(ANNOUNCED_EARLY_S, left_s / 2)
        return min(max(int(left_s - early_s), 1), _LONGEST_TTL_S)

    def postponed(self, monotonic_ns: int, chance: float) -> "Standing":
        """The same after an attempt in vain: to be asked for again a while later."""
        after_s = _between(RETRIED_AFTER_S, chance)
        return Standing(self.token, self.who, self.until_ns, monotonic_ns + round(after_s * _NS_PER_S))

    @property
    def _last_ns(self) -> int:
        return self.until_ns + round(GRACE_S * _NS_PER_S)


def stand(token: str, answer: Answer, wall_ns: int, monotonic_ns: int, chance: float) -> Standing:
    """The standing that an answer gives; `chance` in [0, 1) spreads the reviews of many."""
    exp, left_ns = answer.who.exp, answer.until_ns - monotonic_ns
    if exp is not None and exp * _NS_PER_S - wall_ns < left_ns + _NS_PER_S:
        share = 2.0  # the answer holds to the token's end, which ends the connection: there is nothing to ask
    else:
        share = _between(REVIEWED_AT, chance)
    return Standing(token, answer.who, answer.until_ns, monotonic_ns + round(left_ns * share))


def _between(bounds: tuple[float, float], chance: float) -> float:
    low, high = bounds
    return low + (high - low) * chance
