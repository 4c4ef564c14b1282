"""Spellings whose frames a test can read, and a sink that keeps what it is given."""

from msgspec import Struct

from gateway.options import DEFAULT, Options
from gateway.subscription import Interest, Subscription
from wire.close import Unsubscribe


class Plain(Struct, frozen=True):
    """A spelling in plain text: the channel's name, if there is one, the payload and the offset."""

    name: bytes = b""

    def publication(self, payload: bytes, offset: int) -> bytes:
        return b"%b %b @%d" % (self.name, payload, offset) if self.name else b"%b %d" % (payload, offset)

    def unsubscribe(self, reason: Unsubscribe) -> bytes:
        return b"%b unsubscribed %d" % (self.name, reason.code)


def interest(
    channel: str, *, topic: int = 0, name: bytes = b"", has_finals: bool = True, options: Options = DEFAULT
) -> Interest:
    """What a subscription is for."""
    return Interest(channel, topic, name.decode() or channel, Plain(name), has_finals, options)


class Sink:
    """A connection as the hub sees it."""

    def __init__(self) -> None:
        self.pending: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self.pending.append(frame)

    def flush(self) -> None:
        self.pending.clear()

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise AssertionError("a hub evicts nobody by itself")
