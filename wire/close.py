"""Every code by which a client is refused, unsubscribed or closed: the only place that names them. Pure; no I/O.

Codes are those of the Centrifuge client protocol. SDKs reconnect after a close below 3500 and stop at 3500 to 3999;
they retry an error marked temporary and stop at any other (109 on connect excepted: there they ask for a new token).
Reasons are never empty and never valid JSON, because SDKs try to parse them.
"""

from typing import Final

from msgspec import Struct


class Close(Struct, frozen=True):
    """A WebSocket close; `reason` is short plain ASCII (a close frame holds 123 bytes of it)."""

    code: int
    reason: str

    @property
    def terminal(self) -> bool:
        """True when SDKs do not reconnect after it."""
        return 3500 <= self.code < 4000 or 4500 <= self.code < 5000

    def because(self, detail: str) -> "Close":
        """The same code with a detail behind the reason, as one printable line, cut to what a close frame holds."""
        line = "".join(each if " " <= each <= "~" else "?" for each in f"{self.reason}: {detail}"[:123])
        return Close(self.code, line)


SHUTDOWN: Final = Close(3001, "shutdown")
INTERNAL_ERROR: Final = Close(3004, "internal server error")
EXPIRED: Final = Close(3005, "connection expired")
SLOW_CONSUMER: Final = Close(3008, "slow consumer")
NO_PONG: Final = Close(3012, "no pong")
TOO_FAST: Final = Close(3013, "too many requests")
INVALID_TOKEN: Final = Close(3500, "invalid token")
BAD_REQUEST: Final = Close(3501, "bad request")
STALE: Final = Close(3502, "no connect in time")
FORCED: Final = Close(3503, "disconnected by an operator")
NOT_OFFERED: Final = Close(3508, "not available")

CLOSES: Final = (
    SHUTDOWN,
    INTERNAL_ERROR,
    EXPIRED,
    SLOW_CONSUMER,
    NO_PONG,
    TOO_FAST,
    INVALID_TOKEN,
    BAD_REQUEST,
    STALE,
    FORCED,
    NOT_OFFERED,
)


class Unsubscribe(Struct, frozen=True):
    """An unsubscribe push; SDKs subscribe again at 2500 and above, and stop below."""

    code: int
    reason: str


UNSUBSCRIBED_BY_SERVER: Final = Unsubscribe(2000, "server unsubscribe")
ENTITLEMENT_LOST: Final = Unsubscribe(2100, "entitlement lost")
POSITION_LOST: Final = Unsubscribe(2500, "insufficient state")
SUBSCRIPTION_EXPIRED: Final = Unsubscribe(2501, "subscription expired")

UNSUBSCRIBES: Final = (UNSUBSCRIBED_BY_SERVER, ENTITLEMENT_LOST, POSITION_LOST, SUBSCRIPTION_EXPIRED)


class ErrorCode(Struct, frozen=True):
    """An error in a reply; `temporary` tells SDKs to try again with backoff."""

    code: int
    message: str
    temporary: bool = False


UNAVAILABLE: Final = ErrorCode(100, "internal server error", temporary=True)
UNKNOWN_CHANNEL: Final = ErrorCode(102, "unknown channel")
PERMISSION_DENIED: Final = ErrorCode(103, "permission denied")
METHOD_NOT_FOUND: Final = ErrorCode(104, "method not found")
ALREADY_SUBSCRIBED: Final = ErrorCode(105, "already subscribed")
LIMIT_EXCEEDED: Final = ErrorCode(106, "limit exceeded")
MALFORMED: Final = ErrorCode(107, "bad request")
NOT_AVAILABLE: Final = ErrorCode(108, "not available")
TOKEN_EXPIRED: Final = ErrorCode(109, "token expired")
TOO_MANY_REQUESTS: Final = ErrorCode(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION: Final = ErrorCode(112, "unrecoverable position")

ERRORS: Final = (
    UNAVAILABLE,
    UNKNOWN_CHANNEL,
    PERMISSION_DENIED,
    METHOD_NOT_FOUND,
    ALREADY_SUBSCRIBED,
    LIMIT_EXCEEDED,
    MALFORMED,
    NOT_AVAILABLE,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
)
