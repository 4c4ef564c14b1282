"""Which topic a channel belongs to, and the name of everything that Redis holds. Pure; no I/O."""

from typing import Final
from zlib import crc32

from msgspec import Struct

from wire.channel import Channel

DEFAULT_TOPICS: Final = 64
"""Topics of a deployment; fixed for its life, because offsets count per topic."""


def topic_of(channel: Channel, topics: int = DEFAULT_TOPICS) -> int:
    """The topic in [0, topics) that carries `channel`: by instrument, or by venue where there is none."""
    return crc32(channel.subject.encode("ascii")) % topics


REVOKED: Final = "users:revoked"
"""Stream: who may no longer be served. The user service writes it, so that it has no deployment's prefix."""


class Keys(Struct, frozen=True):
    """Every key and channel that a deployment has in Redis; docs/bus.md says what each holds.

    All of one topic carry the hash tag ``{topic}``, all of one user ``{user}``, and so lie in one slot of a cluster.
    """

    prefix: str = "sig:"

    def __post_init__(self) -> None:
        """Check that the prefix leaves the hash tag to the topic. Raises ValueError."""
        if "{" in self.prefix or "}" in self.prefix:
            raise ValueError(f"expected a prefix without braces, found {self.prefix!r}")

    def live(self, topic: int) -> str:
        """Channel: envelopes."""
        return self._of(topic, "live")

    def finals(self, topic: int) -> str:
        """Stream: the finals of each envelope that has some."""
        return self._of(topic, "finals")

    def final(self, topic: int) -> str:
        """Hash: a channel's newest final, by channel."""
        return self._of(topic, "final")

    def meta(self, topic: int) -> str:
        """Hash: where the topic stands."""
        return self._of(topic, "meta")

    def lease(self, topic: int) -> str:
        """String that expires: who may own the topic."""
        return self._of(topic, "lease")

    def demand(self, topic: int) -> str:
        """Sorted set: channels by when their demand ends."""
        return self._of(topic, "demand")

    def wanted(self, topic: int) -> str:
        """Channel: what is newly wanted, or read."""
        return self._of(topic, "wanted")

    def ask(self, topic: int) -> str:
        """Channel: questions to the topic's owner."""
        return self._of(topic, "ask")

    def reply(self, topic: int, gateway: str) -> str:
        """Channel: answers to one gateway."""
        return self._of(topic, f"reply:{gateway}")

    @property
    def venues(self) -> str:
        """Set: the venues whose instruments are named."""
        return f"{self.prefix}venues"

    def instruments(self, venue: str) -> str:
        """Set: the symbols of a venue."""
        return f"{self.prefix}instruments:{venue}"

    def connections(self, user: str) -> str:
        """Sorted set: the connections of a user, whose name has no braces, by when they count no more."""
        return f"{self.prefix}user:{{{user}}}:connections"

    def connects(self, user: str) -> str:
        """String that expires: when the user may connect as often as ever again."""
        return f"{self.prefix}user:{{{user}}}:connects"

    def _of(self, topic: int, name: str) -> str:
        return f"{self.prefix}{{{topic}}}:{name}"
