"""Which sockets may come in, by how many are here and how fast they come. Pure; no I/O, no clock."""

from enum import Enum
from typing import Final

from msgspec import Struct

from gateway.client_address import Proxies, counted
from gateway.config import LimitsConfig
from gateway.token_bucket import TokenBucket, TokenBuckets, rate

MAX_ADDRESSES: Final = 100_000
"""Addresses whose handshakes are remembered, at most: some 20 MB."""
MAX_TURNED_AWAY: Final = 1_000
"""Sockets that may still be here to take their refusal; above it they are cut without one."""
FULL_RETRY_S: Final = 10
"""When a client is told to come back where nobody knows when there will be room."""

_NS_PER_S: Final = 1_000_000_000


class Cause(Enum):
    """Which limit a socket has met."""

    CONNECTIONS = "connections"
    CONNECTIONS_PER_ADDRESS = "connections_per_address"
    HANDSHAKES = "handshakes"
    HANDSHAKES_PER_ADDRESS = "handshakes_per_address"


class Overload(Struct, frozen=True):
    """Why a socket may not come in, and in how many seconds it may try again."""

    cause: Cause
    retry_s: int = FULL_RETRY_S


class Admission:
    """What this process has let in of late; it is told how many are here. Times in ns of a monotonic clock."""

    def __init__(self, limits: LimitsConfig) -> None:
        """Take the limits. Raises ValueError for a trusted proxy that is no network."""
        self._limits = limits
        self._proxies = Proxies(limits.trusted_proxies)
        handshakes = rate(limits.handshakes_per_s, limits.handshake_burst)
        self._handshakes = None if handshakes is None else TokenBucket(handshakes)
        self._rate_of_address = rate(limits.handshakes_per_address_per_s, limits.handshake_burst_per_address)
        self._addresses = TokenBuckets(MAX_ADDRESSES)
        self._turned_away = 0

    def address(self, peer: str) -> str | None:
        """The address that a socket's limits count; None while only its proxy is known."""
        return None if self._proxies.trusted(peer) else counted(peer)

    def forwarded(self, peer: str, forwarded_for: tuple[str, ...]) -> str:
        """The address that the limits of a proxy's socket count."""
        return counted(self._proxies.client_of(peer, forwarded_for))

    def enter(self, here: int) -> Overload | None:
        """Say why one more socket may not be open besides the `here` that are; None when it may."""
        limit = self._limits.connections
        return Overload(Cause.CONNECTIONS) if 0 < limit <= here - self._turned_away else None

    def admit(self, address: str, here: int, now_ns: int) -> Overload | None:
        """Say why one more may not come from an address that `here` others are from; None when it may, and counts."""
        limit = self._limits.connections_per_address
        if 0 < limit <= here:
            return Overload(Cause.CONNECTIONS_PER_ADDRESS)
        of_address, handshakes = self._rate_of_address, self._handshakes
        if of_address is not None and not self._addresses.take(address, of_address, now_ns):
            return Overload(
                Cause.HANDSHAKES_PER_ADDRESS, _seconds(self._addresses.wait_ns(address, of_address, now_ns))
            )
        if handshakes is not None and not handshakes.take(now_ns):
            return Overload(Cause.HANDSHAKES, _seconds(handshakes.wait_ns(now_ns)))
        return None

    def turn_away(self) -> bool:
        """A socket was refused: whether it may stay for its answer. Then `turned_away` is to be called at its end."""
        if self._turned_away >= MAX_TURNED_AWAY:
            return False
        self._turned_away += 1
        return True

    def turned_away(self) -> None:
        """A socket that was refused is gone."""
        self._turned_away -= 1


def _seconds(wait_ns: int) -> int:
    return max(-(-wait_ns // _NS_PER_S), 1)
