"""What the conformance tests ask of an official SDK, whichever its language: commands, and the events that follow.

Events are dicts. All have ``event``; those of a subscription have ``channel``:

``connecting`` and ``disconnected`` (code, reason), ``connected`` (client, data), ``error`` (code, message),
``subscribing`` and ``unsubscribed`` (code, reason), ``subscribed`` (recoverable, positioned, position {offset, epoch}
or None, was_recovering, recovered, data), ``publication`` (offset or None, data), ``subscription_error`` (code,
message), ``history`` (offset, epoch, publications of {offset or None, data}). An rpc is followed by ``rpc`` (method,
data); either of the two may be followed by ``refused`` (code, message) instead.
"""

import asyncio
from typing import Any, Protocol

Event = dict[str, Any]


class OfficialClient(Protocol):
    """An official SDK, connected to one gateway; opened and closed as an async context manager."""

    events: "Events"

    async def connect(self) -> None:
        """Begin to connect, for the first time or again after a disconnect, with the subscriptions there are."""

    async def disconnect(self) -> None:
        """Disconnect, keeping the subscriptions and their positions."""

    async def subscribe(
        self, channel: str, since: tuple[str, int] | None = None, options: object | None = None
    ) -> None:
        """Begin to subscribe, perhaps from a position (epoch, offset); or again, after an unsubscribe.

        `options` is the `data` of the request.
        """

    async def unsubscribe(self, channel: str) -> None:
        """End a subscription."""

    async def history(
        self, channel: str, limit: int, since: tuple[str, int] | None = None, *, reverse: bool = False
    ) -> None:
        """Ask for a channel's past, perhaps from a position (epoch, offset)."""

    async def rpc(self, method: str, data: object) -> None:
        """Call a method of the server's."""

    async def stop_reading(self) -> None:
        """Leave in the socket whatever comes, as a client does that is stuck."""

    async def read_again(self) -> None:
        """Read on, if there is still a socket."""


class Events:
    """The events of one client, in their order, each of which a test takes at most once."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        """Every event so far, taken or not."""
        self._left: list[Event] = []
        self._news = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add the next event."""
        self.all.append(event)
        self._left.append(event)
        self._news.set()

    async def expect(self, event: str, timeout_s: float = 10.0, **fields: object) -> Event:
        """Take the first event of this kind, not taken yet, whose fields are these; wait for it if need be.

        Others stay for later. Raises AssertionError with all events so far when there is none in time.
        """
        wanted = {"event": event, **fields}
        try:
            async with asyncio.timeout(timeout_s):
                while (found := self._take(wanted)) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            seen = "\n".join(f"  {event}" for event in self.all[-50:]) or "  none"
            raise AssertionError(f"expected within {timeout_s} s: {wanted}; found:\n{seen}") from None
        return found

    async def publications(self, channel: str, count: int, timeout_s: float = 10.0) -> list[Event]:
        """Take the next publications of a channel, in their order."""
        return [await self.expect("publication", timeout_s, channel=channel) for _ in range(count)]

    def of(self, event: str, **fields: object) -> list[Event]:
        """Give all events so far of this kind and with these fields, taken or not."""
        return [each for each in self.all if _matches(each, {"event": event, **fields})]

    def _take(self, wanted: dict[str, object]) -> Event | None:
        for index, event in enumerate(self._left):
            if _matches(event, wanted):
                return self._left.pop(index)
        return None


def _matches(event: Event, wanted: dict[str, object]) -> bool:
    return all(key in event and event[key] == value for key, value in wanted.items())
