"""What this gateway offers: a name to the channel that it spells, or to its refusal. Pure; no I/O."""

from functools import lru_cache

from msgspec import Struct

from gateway.errors import GatewayError
from wire import channel as channels
from wire import close
from wire.channel import Channel, ChannelError, MalformedChannelError
from wire.close import ErrorCode
from wire.expression import ExpressionError


class Refusal(Struct, frozen=True):
    """Why something is refused. `column` is the place in an expression, from 1; None where there is none."""

    error: ErrorCode
    message: str
    column: int | None = None


class RefusedError(GatewayError):
    """A command is refused; `message` says more than the code's own."""

    def __init__(self, error: ErrorCode, message: str | None = None) -> None:
        super().__init__(message or error.message)
        self.error = error


@lru_cache(maxsize=1024)
def offered(name: str) -> Channel | Refusal:
    """The channel that `name` spells; refused in the protocol's order: malformed, unknown.

    Remembered, because many spell the same one.
    """
    try:
        return channels.parse(name)
    except MalformedChannelError as error:
        cause = error.__cause__
        return Refusal(close.MALFORMED, str(error), cause.at + 1 if isinstance(cause, ExpressionError) else None)
    except ChannelError as error:
        return Refusal(close.UNKNOWN_CHANNEL, str(error))


def with_past(name: str) -> Channel | Refusal:
    """The channel that `name` spells; one without finals is refused too."""
    channel = offered(name)
    if isinstance(channel, Channel) and not channel.kind.has_finals:
        return Refusal(close.NOT_AVAILABLE, f"{channel.kind.value} channels have no history")
    return channel
