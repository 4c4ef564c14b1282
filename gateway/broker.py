"""The gateway's half of the bus: the seam that the in-memory broker and the Redis broker satisfy."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from wire.envelope import Description, Envelope, Held
from wire.position import Offset


class Listener(Protocol):
    """Who is told what a topic says. Both are called on the event loop, in order, and must not block."""

    def heard(self, topic: int, envelope: Envelope) -> None:
        """An envelope of `topic` came in."""

    def cut(self, topic: int) -> None:
        """Envelopes of `topic` may have been lost: what was heard last says nothing about what comes next."""


class Broker(Protocol):
    """What a gateway asks of the bus, by the rules of docs/bus.md. Every method may raise BusUnavailableError."""

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        """All topics are heard from entering to leaving."""

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        """What the topic holds, in one step: finals above `since` (None: none) and the newest final of `channels`.

        Renews the demand of `channels` and asks their owner to repeat their live values.
        """

    async def renew(self, topic: int, channels: Sequence[str]) -> None:
        """Keep `channels` computed for another 30 s."""

    async def describe(self, topic: int, channel: str) -> Description:
        """What the topic's owner says of `channel`; it may never answer: the caller sets the time."""

    async def instruments(self, venue: str) -> frozenset[str] | None:
        """The symbols of `venue`; None when no engine has named it."""

    async def unowned(self) -> bool:
        """True while any topic has no owner: what is not there may only be late."""
