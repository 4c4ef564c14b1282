"""Who asks while a read is under way shares the next one; nobody is given one that was made before it asked."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.errors import BusUnavailableError
from gateway.reader import Reader
from standins.broker import MemoryBroker
from wire.envelope import Held
from wire.position import Offset


class Slow(MemoryBroker):
    """A bus that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(topics=1, monotonic_s=lambda: 0.0)
        self.reads: list[tuple[Offset | None, list[str]]] = []
        self.gate = asyncio.Event()
        self.fails = False

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        self.reads.append((since, list(channels)))
        await self.gate.wait()
        if self.fails:
            raise BusUnavailableError("gone")
        return await super().read(topic, since, channels)


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[Slow, Reader]]:
    async with asyncio.TaskGroup() as tasks:
        bus = Slow()
        reader = Reader(bus, 0, tasks)
        yield bus, reader
        reader.stop()


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_all_that_ask_meanwhile_share_one_read_from_the_lowest_offset() -> None:
    async with reading() as (bus, reader):
        first = asyncio.create_task(reader.read(Offset(7), "a"))
        await turn()
        others = [
            asyncio.create_task(reader.read(since, channel))
            for since, channel in ((Offset(5), "b"), (None, "c"), (Offset(3), "b"))
        ]
        await turn()
        assert bus.reads == [(7, ["a"])]
        bus.gate.set()
        await asyncio.gather(first, *others)
        assert bus.reads == [(7, ["a"]), (3, ["b", "c"])]
        await reader.read(None, "d")
        assert bus.reads[2:] == [(None, ["d"])]


async def test_whoever_asks_gets_an_error_when_the_bus_has_none_and_the_next_read_is_made_all_the_same() -> None:
    async with reading() as (bus, reader):
        bus.fails = True
        bus.gate.set()
        with pytest.raises(BusUnavailableError, match="gone"):
            await reader.read(None, "a")
        bus.fails = False
        assert (await reader.read(None, "a")).top == 0


async def test_one_that_goes_away_takes_nobody_with_it() -> None:
    async with reading() as (bus, reader):
        leaves = asyncio.create_task(reader.read(None, "a"))
        stays = asyncio.create_task(reader.read(None, "a"))
        await turn()
        leaves.cancel()
        await turn()
        bus.gate.set()
        assert (await stays).top == 0
        assert len(bus.reads) == 1


async def test_nobody_is_left_waiting_when_it_stops() -> None:
    async with asyncio.TaskGroup() as tasks:
        reader = Reader(Slow(), 0, tasks)
        waits = asyncio.create_task(reader.read(None, "a"))
        await turn()
        reader.stop()
        with pytest.raises(BusUnavailableError):
            await waits
