"""The engine's half of the bus: the seam that the in-memory broker and the Redis publisher satisfy."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from wire.envelope import Batch, Description, Ownership


class Owner(Protocol):
    """The owner of topics, as the bus sees it: told what is wanted, asked about it. Both are called on the loop."""

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """These channels are newly wanted, or somebody reads them: repeat their live values in the next cycle."""

    def describe(self, topic: int, channel: str) -> Description:
        """What there is to say about `channel`."""


class Bus(Protocol):
    """What an engine asks of the bus. The rules are those of docs/bus.md."""

    async def acquire(self, topic: int, identity: str, owner: Owner) -> Ownership | None:
        """Own `topic` for 5 s, extended by every publish; None while another engine owns it."""

    async def release(self, topic: int, identity: str) -> None:
        """Give `topic` up, if it is `identity`'s."""

    async def publish(self, topic: int, batch: Batch) -> Ownership:
        """All of `batch` in one step, or nothing if the topic does not stand where it expects; where it stands now."""

    async def demand(self, topic: int) -> frozenset[str]:
        """The channels of `topic` that somebody wants now."""

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols that exist, by venue."""
