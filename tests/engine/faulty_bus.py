"""The bus in memory, failing as a test wants it to: away, losing answers, refusing single topics, or slow."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from engine.bus import Owner
from engine.errors import BusUnavailableError
from standins.broker import MemoryBroker
from wire.envelope import Acquired, Batch, Ownership


class FaultyBus:
    """Hands everything on to `broker` but for what is set: nothing at first.

    ``away``: why no call is answered. ``deaf``: demand cannot be read. ``lost``: topics whose batches are taken, but
    not answered. ``refused``: topics whose batches are not taken; of the ``declined`` it says where they stand, as of
    those that are taken. ``open``: publishing waits for it before it does
    anything. ``barred``: topics that cannot be acquired; ``acquiring`` is called before each attempt. ``calls`` and
    ``batches``: what was asked.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.away: str | None = None
        self.deaf = False
        self.owner: Owner | None = None
        self.lost: set[int] = set()
        self.refused: set[int] = set()
        self.declined: set[int] = set()
        self.barred: set[int] = set()
        self.acquiring: Callable[[], None] = lambda: None
        self.open = asyncio.Event()
        self.open.set()
        self.calls: list[str] = []
        self.batches: list[dict[int, Batch]] = []
        self._news = asyncio.Event()

    def asked(self, call: str) -> int:
        """How often something was asked."""
        return self.calls.count(call)

    async def until_asked(self, call: str, times: int) -> None:
        """Wait until something was asked so many times."""
        async with asyncio.timeout(10):
            while self.asked(call) < times:
                await self.news()

    async def news(self) -> None:
        """Wait until something is asked, or published."""
        self._news.clear()
        await self._news.wait()

    @asynccontextmanager
    async def serve(self, owner: Owner, topics: Collection[int]) -> AsyncIterator[None]:
        self.owner = owner
        async with self.broker.serve(owner, topics):
            yield

    async def acquire(
        self, topic: int, identity: str, *, known: Ownership | None = None, fresh: bool = False
    ) -> Acquired | None:
        self.acquiring()
        self._ask("acquire")
        await asyncio.sleep(0)
        if topic in self.barred:
            raise BusUnavailableError(f"topic {topic} cannot be acquired")
        return await self.broker.acquire(topic, identity, known=known, fresh=fresh)

    async def release(self, topics: Collection[int], identity: str) -> None:
        self._ask("release")
        await self.broker.release(topics, identity)

    async def publish(self, batches: Mapping[int, Batch]) -> Mapping[int, Ownership]:
        self.batches.append(dict(batches))
        self._ask("publish")
        await self.open.wait()
        taken = {topic: batch for topic, batch in batches.items() if topic not in self.refused | self.declined}
        stands = await self.broker.publish(taken)
        self._news.set()
        declined = {topic: batches[topic].expected for topic in self.declined & batches.keys()}
        return {topic: each for topic, each in stands.items() if topic not in self.lost} | declined

    async def demand(self, topics: Collection[int]) -> frozenset[str]:
        self._ask("demand")
        if self.deaf:
            raise BusUnavailableError("demand cannot be read")
        return await self.broker.demand(topics)

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        self._ask("announce")
        await self.broker.announce(instruments)

    def _ask(self, call: str) -> None:
        self.calls.append(call)
        self._news.set()
        if self.away is not None:
            raise BusUnavailableError(self.away)
