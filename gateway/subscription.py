"""A subscription: one client's interest in one channel, and the seams by which it is written to. Pure; no I/O."""

from enum import Enum
from typing import Protocol

from msgspec import Struct

from gateway.options import DEFAULT, Options
from gateway.pace import Pace
from wire.close import Unsubscribe


class Spelling(Protocol):
    """A channel as some clients write it: what they get of it is the same bytes. Hashable."""

    def publication(self, payload: bytes, offset: int, /) -> bytes:
        """The frame of a publication; offset 0 is none."""

    def unsubscribe(self, reason: Unsubscribe, /) -> bytes:
        """The frame of an unsubscribe push."""


class Sink(Protocol):
    """Where a subscription's frames go: a connection. `pending` is what its next flush will send, in order."""

    pending: list[bytes]

    def write(self, frame: bytes, /) -> None:
        """Write one frame, when nothing is pending; one that is congested, or closed, lets it go."""

    def flush(self) -> None:
        """Write what is pending."""

    def evict(self, subscription: "Subscription", reason: Unsubscribe) -> None:
        """Tell the client that `subscription` has ended; nothing of its channel follows."""


class Hold(Protocol):
    """Keeps publications for a sink that is congested."""

    def __call__(self, subscription: "Subscription", frame: bytes, *, final: bool) -> None:
        """Keep the next publication of `subscription`."""


class Place(Enum):
    """Where a subscription stands with its gateway."""

    HERE = "here"
    EVICTED = "evicted"
    """It gets nothing any more, and its client is yet to be told."""
    LEFT = "left"


class Interest(Struct, frozen=True):
    """What is subscribed: the canonical `channel` on its `topic`, under the `name` that the client used.

    Without finals there is no position.
    """

    channel: str
    topic: int
    name: str
    spelling: Spelling
    has_finals: bool = True
    options: Options = DEFAULT


class Subscription:
    """One client's interest in one channel."""

    __slots__ = ("channel", "has_finals", "name", "options", "pace", "place", "sink", "spelling", "topic")

    def __init__(self, sink: Sink, interest: Interest) -> None:
        self.sink = sink
        self.channel = interest.channel
        self.has_finals = interest.has_finals
        self.topic = interest.topic
        self.name = interest.name
        self.spelling = interest.spelling
        self.options = interest.options
        rate = self.options.max_rate
        self.pace = None if rate is None else Pace(rate)
        self.place = Place.LEFT
