"""The contract of the bus: every broker passes these tests."""

import asyncio
from collections.abc import Sequence

import pytest

from standins.broker import DEMAND_S, HELD_S, LEASE_S, MemoryBroker
from standins.clock import ManualClock
from wire.envelope import VERSION, Batch, Description, Envelope, Ownership, Publication, encode
from wire.position import Offset

RSI = "signals:DEMO:S01@1m:rsi(close,14)"
BARS = "bars:DEMO:S01@1m"


class Owner:
    """An engine as the bus sees it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[str, ...]]] = []

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        self.asked.append((topic, tuple(channels)))

    def describe(self, topic: int, channel: str) -> Description:
        return Description(warming=True, refused=None if topic == 3 else f"{channel} on topic {topic}")


class Ear:
    """A gateway as the bus sees it."""

    def __init__(self) -> None:
        self.envelopes: list[tuple[int, Envelope]] = []
        self.cuts: list[int] = []
        self._news = asyncio.Event()

    def heard(self, topic: int, envelope: Envelope) -> None:
        self.envelopes.append((topic, envelope))
        self._news.set()

    def cut(self, topic: int) -> None:
        self.cuts.append(topic)

    async def after(self, count: int) -> list[tuple[int, Envelope]]:
        while len(self.envelopes) < count:
            self._news.clear()
            await self._news.wait()
        return self.envelopes


@pytest.fixture
def broker(clock: ManualClock) -> MemoryBroker:
    return MemoryBroker(topics=4, monotonic_s=lambda: clock.monotonic_ns() / 1e9)


@pytest.fixture
def owner() -> Owner:
    return Owner()


async def acquired(broker: MemoryBroker, owner: Owner, topic: int = 3) -> Ownership:
    ownership = await broker.acquire(topic, "engine-1", owner)
    assert ownership is not None
    return ownership


def batch(own: Ownership, finals: Sequence[Publication] = (), live: Sequence[Publication] = ()) -> Batch:
    envelope = Envelope(VERSION, own.epoch, own.number + 1, own.next_offset, tuple(finals), tuple(live))
    return Batch(own, (encode(envelope),))


def final(n: int, channel: str = RSI) -> Publication:
    return Publication(channel, b'{"v":%d}' % n)


async def test_a_topic_has_one_owner_until_its_lease_runs_out(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    await acquired(broker, owner)
    assert await broker.acquire(3, "engine-2", owner) is None
    clock.advance(LEASE_S + 0.001)
    taken = await broker.acquire(3, "engine-2", owner)
    assert taken is not None
    assert taken.owner == "engine-2"


async def test_publishing_extends_the_lease(broker: MemoryBroker, owner: Owner, clock: ManualClock) -> None:
    own = await acquired(broker, owner)
    clock.advance(LEASE_S - 0.1)
    await broker.publish(3, batch(own))
    clock.advance(LEASE_S - 0.1)
    assert await broker.acquire(3, "engine-2", owner) is None


async def test_a_released_topic_can_be_owned_at_once(broker: MemoryBroker, owner: Owner) -> None:
    await acquired(broker, owner)
    await broker.release(3, "engine-2")
    assert await broker.acquire(3, "engine-2", owner) is None
    await broker.release(3, "engine-1")
    assert await broker.acquire(3, "engine-2", owner) is not None


async def test_offsets_begin_at_one_and_count_finals_and_numbers_count_envelopes(
    broker: MemoryBroker, owner: Owner
) -> None:
    own = await acquired(broker, owner)
    assert own.next_offset == 1
    own = await broker.publish(3, batch(own, [final(1), final(2)], [Publication(BARS, b"{}")]))
    own = await broker.publish(3, batch(own, live=[Publication(BARS, b"{}")]))
    assert (own.next_offset, own.number) == (3, 2)
    held = await broker.read(3, Offset(0), [])
    assert [(f.offset, f.publication) for f in held.finals] == [(1, final(1)), (2, final(2))]
    assert (held.top, held.number, held.first_held) == (2, 2, 1)


async def test_what_is_published_is_heard_by_every_listener_in_order(broker: MemoryBroker, owner: Owner) -> None:
    first, second = Ear(), Ear()
    with broker.listen(first), broker.listen(second):
        own = await acquired(broker, owner)
        own = await broker.publish(3, batch(own, [final(1)]))
        await broker.publish(3, batch(own, [final(2)], [Publication(BARS, b"{}")]))
        heard = await first.after(2)
    assert [(topic, e.number, e.first_offset, e.top) for topic, e in heard] == [(3, 1, 1, 1), (3, 2, 2, 2)]
    assert heard[1][1].live == (Publication(BARS, b"{}"),)
    assert second.envelopes == heard


async def test_a_listener_that_has_left_hears_nothing(broker: MemoryBroker, owner: Owner) -> None:
    stays, leaves = Ear(), Ear()
    own = await acquired(broker, owner)
    with broker.listen(stays):
        with broker.listen(leaves):
            pass
        await broker.publish(3, batch(own, [final(1)]))
        await stays.after(1)
    assert leaves.envelopes == []


@pytest.mark.parametrize("stale", ["owner", "epoch", "next_offset", "number"])
async def test_a_batch_that_expects_another_state_changes_nothing(
    broker: MemoryBroker, owner: Owner, stale: str
) -> None:
    own = await acquired(broker, owner)
    own = await broker.publish(3, batch(own, [final(1)]))
    fields = {"owner": own.owner, "epoch": own.epoch, "next_offset": own.next_offset, "number": own.number}
    fields[stale] = 77 if stale in ("next_offset", "number") else "another"
    expected = Ownership(**fields, closed=own.closed)  # type: ignore[arg-type]
    ear = Ear()
    with broker.listen(ear):
        assert await broker.publish(3, batch(expected, [final(2)])) == own
        await broker.publish(3, batch(own, [final(3)]))
        heard = await ear.after(1)
    assert [e.finals for _, e in heard] == [(final(3),)]
    assert len((await broker.read(3, Offset(0), [])).finals) == 2


async def test_a_batch_sent_again_after_a_lost_answer_is_told_from_a_lost_batch(
    broker: MemoryBroker, owner: Owner
) -> None:
    own = await acquired(broker, owner)
    sent = batch(own, [final(1)])
    after = await broker.publish(3, sent)
    assert await broker.publish(3, sent) == after
    assert len((await broker.read(3, Offset(0), [])).finals) == 1


async def test_a_batch_of_several_envelopes_is_one_step(broker: MemoryBroker, owner: Owner) -> None:
    own = await acquired(broker, owner)
    one = Envelope(VERSION, own.epoch, 1, own.next_offset, (final(1),))
    two = Envelope(VERSION, own.epoch, 2, Offset(2), (final(2),))
    after = await broker.publish(3, Batch(own, (encode(one), encode(two)), closed={"DEMO@1m": 60_000}))
    assert (after.number, after.next_offset, after.closed) == (2, 3, {"DEMO@1m": 60_000})


async def test_read_gives_the_finals_above_a_position_and_none_without_one(broker: MemoryBroker, owner: Owner) -> None:
    own = await acquired(broker, owner)
    await broker.publish(3, batch(own, [final(1), final(2, BARS), final(3)]))
    above = await broker.read(3, Offset(1), [RSI])
    assert [f.offset for f in above.finals] == [2, 3]
    none = await broker.read(3, None, [RSI])
    assert none.finals == ()
    assert none.top == 3


async def test_read_gives_the_newest_final_of_the_channels_asked_for(broker: MemoryBroker, owner: Owner) -> None:
    own = await acquired(broker, owner)
    own = await broker.publish(3, batch(own, [final(1, BARS)]))
    await broker.publish(3, Batch(own, batch(own, [final(2)]).envelopes, started=(RSI,)))
    held = await broker.read(3, None, [RSI, "bars:DEMO:S09@1m"])
    assert set(held.newest) == {RSI}
    newest = held.newest[RSI]
    assert (newest.since, newest.offset, newest.payload) == (1, 2, b'{"v":2}')


async def test_a_started_channel_has_no_final_yet_and_a_dropped_one_is_gone(broker: MemoryBroker, owner: Owner) -> None:
    own = await acquired(broker, owner)
    own = await broker.publish(3, batch(own, [final(1, BARS)]))
    own = await broker.publish(3, Batch(own, (), started=(RSI,)))
    newest = (await broker.read(3, None, [RSI])).newest[RSI]
    assert (newest.since, newest.offset, newest.payload) == (1, 0, None)
    await broker.publish(3, Batch(own, batch(own, [final(2)]).envelopes, dropped=(RSI,)))
    assert (await broker.read(3, None, [RSI])).newest == {}


async def test_since_stays_while_a_channel_is_computed(broker: MemoryBroker, owner: Owner) -> None:
    own = await acquired(broker, owner)
    own = await broker.publish(3, Batch(own, batch(own, [final(1)]).envelopes, started=(RSI,)))
    await broker.publish(3, batch(own, [final(2), final(3)]))
    assert (await broker.read(3, None, [RSI])).newest[RSI].since == 0


async def test_old_finals_are_let_go_and_read_says_from_where_it_can_reach(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    own = await acquired(broker, owner)
    own = await broker.publish(3, batch(own, [final(1)]))
    clock.advance(HELD_S - 1)
    await broker.publish(3, batch(own, [final(2)]))
    clock.advance(2)
    held = await broker.read(3, Offset(0), [])
    assert [f.offset for f in held.finals] == [2]
    assert held.first_held == 2
    clock.advance(HELD_S)
    held = await broker.read(3, Offset(0), [])
    assert (held.finals, held.first_held, held.top) == ((), 3, 2)


async def test_what_is_held_of_a_topic_is_bounded_in_bytes(clock: ManualClock, owner: Owner) -> None:
    broker = MemoryBroker(topics=4, monotonic_s=lambda: clock.monotonic_ns() / 1e9, held_bytes=100)
    own = await acquired(broker, owner)
    await broker.publish(3, batch(own, [Publication(RSI, b"x" * 60), Publication(RSI, b"y" * 60)]))
    held = await broker.read(3, Offset(0), [])
    assert [f.offset for f in held.finals] == [2]


async def test_reading_makes_a_channel_wanted_for_a_while_and_tells_the_owner_each_time(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    await acquired(broker, owner)
    await broker.read(3, None, [RSI])
    await broker.read(3, None, [RSI])
    assert (3, (RSI,)) in owner.asked
    assert len(owner.asked) >= 2
    assert await broker.demand(3) == {RSI}
    clock.advance(DEMAND_S + 0.001)
    assert await broker.demand(3) == frozenset()


async def test_renewing_keeps_a_channel_wanted_without_asking_for_its_value(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    await acquired(broker, owner)
    await broker.read(3, None, [RSI])
    owner.asked.clear()
    for _ in range(3):
        clock.advance(DEMAND_S - 1)
        await broker.renew(3, [RSI])
    assert await broker.demand(3) == {RSI}
    assert owner.asked == []


async def test_renewing_an_expired_channel_tells_the_owner_that_it_is_wanted(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    await acquired(broker, owner)
    await broker.renew(3, [RSI])
    assert owner.asked == [(3, (RSI,))]


async def test_demand_of_before_there_was_an_owner_is_there_for_it(broker: MemoryBroker, owner: Owner) -> None:
    await broker.read(3, None, [RSI])
    await acquired(broker, owner)
    assert await broker.demand(3) == {RSI}


async def test_the_owner_describes_a_channel(broker: MemoryBroker, owner: Owner) -> None:
    await acquired(broker, owner)
    await acquired(broker, owner, topic=2)
    assert await broker.describe(3, RSI) == Description(warming=True)
    assert (await broker.describe(2, RSI)).refused == f"{RSI} on topic 2"


async def test_nobody_describes_a_channel_without_an_owner(broker: MemoryBroker) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await broker.describe(3, RSI)


async def test_instruments_are_known_once_an_engine_has_named_them(broker: MemoryBroker) -> None:
    assert await broker.instruments("DEMO") is None
    await broker.announce({"DEMO": ["S01", "S02"]})
    assert await broker.instruments("DEMO") == frozenset({"S01", "S02"})


async def test_the_bus_tells_whether_every_topic_has_an_owner(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    for topic in range(4):
        assert await broker.unowned()
        await acquired(broker, owner, topic)
    assert not await broker.unowned()
    clock.advance(LEASE_S)
    assert await broker.unowned()


async def test_a_new_owner_goes_on_with_the_offsets_of_the_one_before(
    broker: MemoryBroker, owner: Owner, clock: ManualClock
) -> None:
    own = await acquired(broker, owner)
    before = await broker.publish(3, batch(own, [final(1)]))
    clock.advance(LEASE_S)
    taken = await broker.acquire(3, "engine-2", owner)
    assert taken is not None
    assert (taken.epoch, taken.next_offset, taken.number) == (before.epoch, 2, 1)
    stale = await broker.publish(3, batch(before, [final(2)]))
    assert stale.owner == "engine-2"
    assert stale.next_offset == 2


async def test_epochs_of_two_lives_differ(broker: MemoryBroker, owner: Owner, clock: ManualClock) -> None:
    other = MemoryBroker(topics=4, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
    assert (await acquired(broker, owner)).epoch != (await acquired(other, owner)).epoch
