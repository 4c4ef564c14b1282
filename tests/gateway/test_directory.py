"""The directory asks the bus as seldom as it can, and never denies what may only be late."""

import asyncio
from collections.abc import Awaitable

import pytest

from gateway.directory import Directory
from gateway.errors import BusUnavailableError
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from wire.market import Instrument


class Counting(MemoryBroker):
    """A bus that counts how often it is asked for instruments, and answers when it may."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
        self.listed = 0
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def venues(self) -> frozenset[str]:
        self.listed += 1
        await self.answers.wait()
        return await super().venues()

    async def instruments(self, venue: str) -> frozenset[str] | None:
        self.asked += 1
        await self.answers.wait()
        return await super().instruments(venue)


@pytest.fixture
def broker(clock: ManualClock) -> Counting:
    return Counting(clock)


@pytest.fixture
def directory(broker: Counting, clock: ManualClock) -> Directory:
    return Directory(broker, lambda: clock.monotonic_ns() / 1e9)


async def test_a_known_instrument_is_asked_for_once_in_a_while(
    directory: Directory, broker: Counting, clock: ManualClock
) -> None:
    await broker.announce({"DEMO": ["S01"]})
    for _ in range(3):
        assert await directory.knows("DEMO", "S01")
    assert broker.asked == 1
    clock.advance(10)
    assert await directory.knows("DEMO", "S01")
    assert broker.asked == 2


async def test_an_instrument_that_is_new_is_found_at_once(directory: Directory, broker: Counting) -> None:
    await broker.announce({"DEMO": ["S01"]})
    assert await directory.knows("DEMO", "S01")
    await broker.announce({"DEMO": ["S01", "S02"]})
    assert await directory.knows("DEMO", "S02")


async def test_a_venue_that_nobody_has_named_is_unknown_only_while_every_topic_has_an_owner(
    directory: Directory, broker: Counting
) -> None:
    with pytest.raises(BusUnavailableError):
        await directory.knows("DEMO", "S01")
    await broker.acquire(0, "me")
    assert not await directory.knows("DEMO", "S01")


async def test_all_instruments_are_listed_in_order_and_listed_anew_after_a_while(
    directory: Directory, broker: Counting, clock: ManualClock
) -> None:
    await broker.announce({"ZZ": ["B", "A"], "DEMO": ["S01"]})
    listed = (Instrument("DEMO", "S01"), Instrument("ZZ", "A"), Instrument("ZZ", "B"))
    assert await directory.instruments() == listed
    await broker.announce({"AA": ["C"]})
    clock.advance(9.9)
    assert await directory.instruments() == listed
    clock.advance(0.1)
    assert await directory.instruments() == (Instrument("AA", "C"), *listed)
    assert broker.listed == 2


async def test_many_who_list_at_once_ask_once(directory: Directory, broker: Counting) -> None:
    broker.answers.clear()
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(directory.instruments()) for _ in range(5)]
        await asyncio.sleep(0)
        broker.answers.set()
    assert [task.result() for task in asked] == [()] * 5
    assert broker.listed == 1


async def test_a_bus_that_does_not_answer_is_not_waited_for(directory: Directory, broker: Counting) -> None:
    broker.answers.clear()
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_outcome(directory.knows("DEMO", "S01")))]
        asked += [tasks.create_task(_outcome(directory.instruments())) for _ in range(2)]
    assert [task.result() for task in asked] == ["unavailable"] * 3


async def _outcome(question: Awaitable[object]) -> str:
    try:
        await question
    except BusUnavailableError:
        return "unavailable"
    return "answered"
