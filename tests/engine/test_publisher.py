"""Publishing: finals once each, in order; the newest live value; a heartbeat; no writing beside another owner."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from engine.errors import OwnershipLostError
from engine.metrics import EngineMetrics
from engine.publisher import HEARTBEAT_S, Publisher
from standins.broker import LEASE_S, MemoryBroker
from standins.clock import ManualClock
from wire.envelope import MAX_PUBLICATIONS, Batch, Description, Envelope, Ownership, Publication
from wire.position import Offset


class Owner:
    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """Nothing is computed here."""

    def describe(self, topic: int, channel: str) -> Description:
        return Description(warming=True)


class Ear:
    """Notes what a gateway would hear of topic 0."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._news = asyncio.Event()

    def heard(self, topic: int, envelope: Envelope) -> None:
        if topic == 0:
            self.envelopes.append(envelope)
            self._news.set()

    def cut(self, topic: int) -> None:
        raise AssertionError("nothing is cut here")

    async def more_than(self, count: int) -> int:
        """Wait for more envelopes than so many, heartbeats among them; how many there are."""
        while len(self.envelopes) <= count:
            self._news.clear()
            await self._news.wait()
        return len(self.envelopes)

    async def some(self, count: int) -> list[Envelope]:
        """Wait for so many envelopes that are no heartbeats."""
        while len(found := [e for e in self.envelopes if e.finals or e.live]) < count:
            self._news.clear()
            await self._news.wait()
        return found


class Bench:
    """A publisher on a bus of two topics, and what is heard of the first."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.broker = MemoryBroker(topics=2, monotonic_s=self._now_s)
        self.ear = Ear()
        self.registry = CollectorRegistry()
        self.publisher = self.another()

    def another(self) -> Publisher:
        return Publisher(self.broker, range(2), self._now_s, EngineMetrics(CollectorRegistry()))

    def _now_s(self) -> float:
        return self.clock.monotonic_ns() / 1e9

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self.broker.listen(self.ear):
            await self.publisher.acquire(Owner())
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.publisher.run())
                yield
                self.publisher.stop()


@pytest.fixture
def bench(clock: ManualClock) -> Bench:
    return Bench(clock)


def final(n: int, channel: str = "a") -> tuple[int, Publication]:
    return 0, Publication(channel, b"%d" % n)


async def test_the_finals_of_one_boundary_go_out_in_one_envelope_in_order(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.close("DEMO@1s", 1000, [final(1, "a"), final(2, "b"), (1, Publication("c", b"3"))])
        (envelope,) = await bench.ear.some(1)
    assert [(p.channel, p.payload) for p in envelope.finals] == [("a", b"1"), ("b", b"2")]
    assert envelope.first_offset == 1


async def test_many_finals_are_split_into_envelopes_of_one_batch(bench: Bench) -> None:
    count = MAX_PUBLICATIONS * 2 + 1
    async with bench.running():
        bench.publisher.close("DEMO@1s", 1000, [final(n) for n in range(count)])
        bench.publisher.offer(0, Publication("live", b"x"))
        envelopes = await bench.ear.some(3)
    assert [len(e.finals) for e in envelopes] == [MAX_PUBLICATIONS, MAX_PUBLICATIONS, 1]
    assert [e.first_offset for e in envelopes] == [1, MAX_PUBLICATIONS + 1, 2 * MAX_PUBLICATIONS + 1]
    assert [p.payload for e in envelopes for p in e.finals] == [b"%d" % n for n in range(count)]
    assert [len(e.live) for e in envelopes] == [0, 0, 1]
    numbers = [e.number for e in envelopes]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


async def test_a_waiting_live_value_is_replaced_by_a_newer_one_and_removed_by_a_final(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.offer(0, Publication("a", b"old"))
        bench.publisher.offer(0, Publication("a", b"new"))
        bench.publisher.offer(0, Publication("b", b"void"))
        bench.publisher.close("DEMO@1s", 1000, [final(1, "b")])
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("a", b"new"),)
    assert envelope.finals == (Publication("b", b"1"),)


async def test_a_waiting_live_value_of_a_dropped_channel_is_not_sent(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.offer(0, Publication("a", b"void"))
        bench.publisher.offer(0, Publication("b", b"sent"))
        bench.publisher.drop(0, "a")
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("b", b"sent"),)


async def test_a_live_value_after_a_final_stands_at_the_top(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.close("DEMO@1s", 1000, [final(1)])
        bench.publisher.offer(0, Publication("a", b"next"))
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("a", b"next"),)
    assert envelope.top == 1


async def test_started_channels_are_written_down_and_dropped_ones_removed(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.close("DEMO@1s", 1000, [final(1)])
        await bench.ear.some(1)
        bench.publisher.start(0, "b")
        bench.publisher.close("DEMO@1s", 2000, [final(2, "b")])
        await bench.ear.some(2)
        newest = (await bench.broker.read(0, None, ["b"])).newest["b"]
        assert (newest.since, newest.offset, newest.payload) == (1, 2, b"2")
        bench.publisher.drop(0, "b")
        bench.publisher.close("DEMO@1s", 3000, [final(3)])
        await bench.ear.some(3)
        assert (await bench.broker.read(0, None, ["b"])).newest == {}


async def test_a_channel_that_is_dropped_and_started_again_at_once_is_computed(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.start(0, "b")
        bench.publisher.close("DEMO@1s", 1000, [final(1, "b")])
        await bench.ear.some(1)
        bench.publisher.drop(0, "b")
        bench.publisher.start(0, "b")
        bench.publisher.close("DEMO@1s", 2000, [final(2)])
        await bench.ear.some(2)
        newest = (await bench.broker.read(0, None, ["b"])).newest["b"]
    assert (newest.since, newest.offset) == (1, 0)


async def test_a_silent_topic_is_given_a_heartbeat_and_keeps_its_lease(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.close("DEMO@1s", 1000, [final(1)])
        await bench.ear.some(1)
        heard = len(bench.ear.envelopes)
        for _ in range(round(2 * LEASE_S / HEARTBEAT_S)):
            bench.clock.advance(HEARTBEAT_S)
            bench.publisher.offer(1, Publication("wakes the task", b""))
            heard = await bench.ear.more_than(heard)
        assert not await bench.broker.unowned()
    assert [e.number for e in bench.ear.envelopes] == list(range(1, len(bench.ear.envelopes) + 1))


async def test_an_engine_that_leaves_sends_what_waits_and_frees_its_topics(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.stop()
        bench.publisher.close("DEMO@1s", 1000, [final(1)])
    with bench.broker.listen(bench.ear):
        await bench.publisher.release()
        await bench.ear.some(1)
    assert await bench.broker.unowned()
    assert (await bench.broker.read(0, Offset(0), [])).top == 1


async def test_a_publisher_that_lost_a_topic_stops_and_writes_nothing(bench: Bench, clock: ManualClock) -> None:
    await bench.publisher.acquire(Owner())
    clock.advance(LEASE_S)
    assert await bench.broker.acquire(0, "another", Owner()) is not None
    bench.publisher.close("DEMO@1s", 1000, [final(1)])
    with pytest.raises(OwnershipLostError, match="another"):
        await bench.publisher.run()
    assert (await bench.broker.read(0, Offset(0), [])).top == 0


async def test_a_topic_of_another_engine_is_waited_for(bench: Bench, clock: ManualClock) -> None:
    own: Ownership | None = await bench.broker.acquire(1, "another", Owner())
    assert own is not None
    acquiring = asyncio.create_task(bench.publisher.acquire(Owner()))
    await bench.broker.publish(1, Batch(own, ()))
    assert not bench.publisher.owns_all
    await bench.broker.release(1, "another")
    async with asyncio.timeout(10):
        await acquiring
    assert bench.publisher.owns_all
