"""The engine's half of the bus: the seam that the in-memory broker and the Redis publisher satisfy."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wire.envelope import Acquired, Batch, Chart, Description, Ownership


class Owner(Protocol):
    """The owner of topics, as the bus sees it: told what is wanted, asked about it, on the event loop."""

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """These channels are newly wanted, or somebody reads them: repeat their live values in the next cycle."""

    def describe(self, topic: int, channel: str) -> Description:
        """What there is to say about `channel`."""

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` said of the newest `limit` closed bars."""


class Bus(Protocol):
    """What an engine asks of the bus. The rules are those of docs/bus.md. May raise BusUnavailableError."""

    def serve(self, owner: Owner, topics: Collection[int]) -> AbstractAsyncContextManager[None]:
        """`owner` is told what is wanted of `topics`, and asked, from entering to leaving."""

    async def acquire(
        self, topic: int, identity: str, *, known: Ownership | None = None, fresh: bool = False
    ) -> Acquired | None:
        """Own `topic` for 5 s, extended by every publish; None while another engine owns it.

        The topic gets a new epoch if `fresh`, if it stands behind what is `known`, or if the server is another one.
        """

    async def release(self, topics: Collection[int], identity: str) -> None:
        """Give up those of `topics` that are `identity`'s."""

    async def publish(self, batches: Mapping[int, Batch]) -> Mapping[int, Ownership]:
        """Each batch in one step, or nothing of it if its topic does not stand where it expects.

        Gives where the topics stand now. One that is missing gave no answer: its batch may be in, or not.
        """

    async def demand(self, topics: Collection[int]) -> frozenset[str]:
        """The channels of `topics` that somebody wants now."""

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols that exist, by venue."""
