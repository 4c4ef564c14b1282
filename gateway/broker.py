"""The gateway's half of the bus: the seam that the in-memory broker and the Redis broker satisfy."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wire.envelope import Chart, Description, Envelope, Held
from wire.position import Offset
from wire.revocation import Place, Revocation, Revoked


class Listener(Protocol):
    """Who is told what a topic says. Both are called on the event loop, in order, and must not block."""

    def attached(self, topic: int) -> None:
        """Envelopes of `topic` are heard from now on; of those published before, any may have been missed."""

    def heard(self, topic: int, envelope: Envelope) -> None:
        """An envelope of `topic` came in."""


class Broker(Protocol):
    """What a gateway asks of the bus, by the rules of docs/bus.md. Every method may raise BusUnavailableError."""

    @property
    def unavailable(self) -> str | None:
        """Why not all topics are heard; None while they are."""

    @property
    def unreadable(self) -> int:
        """Messages so far that could not be read: another version's."""

    def listen(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        """Hear all topics, from entering to leaving; a lost connection comes back by itself."""

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        """What the topic holds, in one step: finals above `since` (None: none) and the newest final of `channels`.

        Renews the demand of `channels` and asks their owner to repeat their live values.
        """

    async def renew(self, channels: Mapping[int, Sequence[str]]) -> None:
        """Keep the channels, by topic, computed for another 30 s."""

    async def describe(self, topic: int, channel: str) -> Description:
        """What the topic's owner says of `channel`; it may never answer: the caller sets the time."""

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` said of the newest `limit` closed bars; it may never answer: the caller sets the time."""

    async def venues(self) -> frozenset[str]:
        """The venues whose instruments an engine has named."""

    async def instruments(self, venue: str) -> frozenset[str] | None:
        """The symbols of `venue`; None when no engine has named it."""

    async def unowned(self) -> bool:
        """True while any topic has no owner: what is not there may only be late."""


class RevocationLog(Protocol):
    """Where revocations are told. Both methods may raise BusUnavailableError."""

    async def revoke(self, revocation: Revocation) -> None:
        """Tell every gateway that somebody may no longer be served."""

    async def revoked(self, place: Place | None) -> Revoked:
        """What was revoked since `place`; with None, what was lately."""


class Bus(Broker, RevocationLog, Protocol):
    """All that a gateway asks of the bus."""
