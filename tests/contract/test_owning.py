"""The contract of the bus: who owns a topic, and where it stands then."""

import pytest

from tests.contract.pair import BARS, RSI, TOPICS, Pair, batch, final
from wire.envelope import Batch, NewestFinal, Ownership
from wire.position import Epoch, Offset


async def test_a_topic_has_one_owner_until_its_lease_runs_out(pair: Pair) -> None:
    await pair.acquire()
    assert await pair.bus.acquire(3, "engine-2") is None
    await pair.passes(5.1)
    assert (await pair.acquire(3, "engine-2")).owner == "engine-2"


async def test_topics_are_owned_one_by_one(pair: Pair) -> None:
    await pair.acquire(3, "engine-1")
    await pair.acquire(2, "engine-2")
    assert await pair.bus.acquire(3, "engine-2") is None


async def test_acquiring_and_publishing_extend_the_lease(pair: Pair) -> None:
    await pair.acquire()
    await pair.passes(3)
    own = await pair.acquire()
    await pair.passes(3)
    await pair.publish(batch(own))
    await pair.passes(3)
    assert await pair.bus.acquire(3, "engine-2") is None


async def test_a_batch_that_is_not_taken_does_not_extend_the_lease(pair: Pair) -> None:
    own = await pair.acquire()
    await pair.publish(batch(own))
    await pair.passes(3)
    await pair.publish(batch(own))
    await pair.passes(3)
    assert await pair.bus.acquire(3, "engine-2") is not None


async def test_a_released_topic_can_be_owned_at_once_but_only_its_owner_releases_it(pair: Pair) -> None:
    await pair.acquire(3)
    await pair.acquire(2)
    await pair.bus.release([2, 3], "engine-2")
    assert await pair.bus.acquire(3, "engine-2") is None
    await pair.bus.release([2, 3], "engine-1")
    assert await pair.bus.acquire(3, "engine-2") is not None
    assert await pair.bus.acquire(2, "engine-2") is not None


async def test_the_first_epoch_begins_with_offset_one_and_nothing_else(pair: Pair) -> None:
    acquired = await pair.take()
    assert (acquired.ownership.owner, acquired.ownership.next_offset, acquired.ownership.number) == ("engine-1", 1, 0)
    assert acquired.ownership.epoch != ""
    assert (acquired.closed, acquired.since) == ({}, {})


async def test_epochs_of_two_topics_differ(pair: Pair) -> None:
    assert (await pair.acquire(2)).epoch != (await pair.acquire(3)).epoch


async def test_a_new_owner_goes_on_where_the_one_before_stopped_who_publishes_no_more(pair: Pair) -> None:
    own = await pair.acquire()
    before = await pair.publish(batch(own, [final(1)]))
    await pair.passes(5.1)
    taken = await pair.acquire(3, "engine-2")
    assert taken == Ownership("engine-2", before.epoch, Offset(2), 1)
    assert await pair.publish(batch(before, [final(2)])) == taken
    assert (await pair.publish(batch(taken, [final(3)]))).next_offset == 3


async def test_an_owner_with_another_identity_is_another_owner(pair: Pair) -> None:
    own = await pair.acquire(3, "first")
    await pair.bus.release([3], "first")
    again = await pair.acquire(3, "second")
    assert await pair.publish(batch(own, [final(1)])) == again


async def test_a_new_owner_is_told_the_boundaries_that_were_published_and_the_channels_that_have_rows(
    pair: Pair,
) -> None:
    own = await pair.acquire()
    rows = {RSI: NewestFinal(Offset(0), Offset(1), b"1"), BARS: NewestFinal(Offset(1), Offset(0), None)}
    own = await pair.publish(batch(own, [final(1)], rows=rows, closed={"DEMO@1m": 60_000, "DEMO@5m": 0}))
    await pair.publish(batch(own, rows={"gone": NewestFinal(Offset(1), Offset(0), None)}, closed={"DEMO@1m": 120_000}))
    await pair.publish(Batch(await pair.acquire(), (), dropped=("gone", "never there")))
    acquired = await pair.take()
    assert acquired.closed == {"DEMO@1m": 120_000, "DEMO@5m": 0}
    assert acquired.since == {RSI: 0, BARS: 1}


@pytest.mark.parametrize(("ahead", "lagging"), [((0, 1), False), ((1, 0), False), ((2, 3), False), ((5, -1), True)])
async def test_a_topic_that_stands_behind_what_its_owner_knows_gets_a_new_epoch_and_goes_on_from_there(
    pair: Pair, ahead: tuple[int, int], lagging: bool
) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1)]))
    known = Ownership("engine-1", own.epoch, Offset(own.next_offset + ahead[0]), own.number + ahead[1])
    acquired = await pair.bus.acquire(3, "engine-1", known=known)
    assert acquired is not None
    stands = acquired.ownership
    assert stands.epoch not in (own.epoch, "")
    assert (stands.next_offset, stands.number) == (known.next_offset, own.number if lagging else known.number)
    assert (await pair.publish(batch(stands, [final(2)]))).next_offset == stands.next_offset + 1


@pytest.mark.parametrize("behind", [0, 1])
async def test_a_topic_that_stands_where_its_owner_knows_or_further_keeps_its_epoch(pair: Pair, behind: int) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1)]))
    known = Ownership("engine-1", Epoch("of old"), Offset(own.next_offset - behind), own.number - behind)
    acquired = await pair.bus.acquire(3, "engine-1", known=known)
    assert acquired is not None
    assert acquired.ownership == own


async def test_who_asks_for_a_fresh_epoch_gets_one_and_offsets_go_on(pair: Pair) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1)]))
    acquired = await pair.bus.acquire(3, "engine-1", fresh=True)
    assert acquired is not None
    assert acquired.ownership == Ownership("engine-1", acquired.ownership.epoch, own.next_offset, own.number)
    assert acquired.ownership.epoch not in (own.epoch, "")
    assert await pair.publish(batch(own, [final(2)])) == acquired.ownership


async def test_the_bus_tells_whether_every_topic_has_an_owner(pair: Pair) -> None:
    for topic in range(TOPICS):
        assert await pair.broker.unowned()
        await pair.acquire(topic)
    assert not await pair.broker.unowned()
    await pair.passes(5.1)
    assert await pair.broker.unowned()
