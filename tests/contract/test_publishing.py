"""The contract of the bus: what is published is heard and held, in one step or not at all."""

import pytest

from tests.contract.pair import BARS, RSI, TOPICS, Ear, Pair, batch, final
from wire.envelope import VERSION, Batch, Envelope, NewestFinal, Ownership, Publication
from wire.position import Offset


async def test_offsets_count_finals_and_numbers_count_envelopes(pair: Pair) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1), final(2)], [Publication(BARS, b"{}")]))
    assert (own.next_offset, own.number) == (3, 1)
    own = await pair.publish(batch(own, live=[Publication(BARS, b"{}")]))
    assert (own.next_offset, own.number) == (3, 2)
    held = await pair.broker.read(3, Offset(0), [])
    assert [(f.offset, f.publication) for f in held.finals] == [(1, final(1)), (2, final(2))]
    assert (held.epoch, held.top, held.number, held.first_held) == (own.epoch, 2, 2, 1)


async def test_what_is_published_is_heard_by_every_listener_in_order(pair: Pair) -> None:
    first, second = Ear(), Ear()
    async with pair.listening(first, second):
        own = await pair.acquire()
        one, two = batch(own, [final(1)]), batch(own)
        own = await pair.publish(one)
        two = batch(own, [final(2)], [Publication(BARS, b"{}")])
        await pair.publish(two)
        heard = await first.after(2)
        assert heard == [(3, one.envelopes[0]), (3, two.envelopes[0])]
        assert await second.after(2) == heard


async def test_a_listener_is_attached_to_every_topic_once(pair: Pair) -> None:
    ear = Ear()
    async with pair.listening(ear):
        assert sorted(ear.attachments) == list(range(TOPICS))
        assert pair.broker.unavailable is None


async def test_a_listener_that_has_left_hears_nothing(pair: Pair) -> None:
    stays, leaves = Ear(), Ear()
    own = await pair.acquire()
    async with pair.listening(stays):
        async with pair.listening(leaves):
            pass
        await pair.publish(batch(own, [final(1)]))
        await stays.after(1)
    assert leaves.envelopes == []


async def test_a_heartbeat_is_heard_counted_and_not_held(pair: Pair) -> None:
    ear = Ear()
    async with pair.listening(ear):
        own = await pair.publish(batch(await pair.acquire()))
        assert (await ear.after(1))[0][1] == Envelope(VERSION, own.epoch, 1, Offset(1))
    held = await pair.broker.read(3, Offset(0), [])
    assert (held.number, held.top, held.finals, held.first_held) == (1, 0, (), 1)


@pytest.mark.parametrize("stale", ["owner", "epoch", "next_offset", "number"])
async def test_a_batch_that_expects_another_state_changes_nothing(pair: Pair, stale: str) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1)], rows={RSI: NewestFinal(Offset(0), Offset(1), b"1")}))
    fields = {"owner": own.owner, "epoch": own.epoch, "next_offset": own.next_offset, "number": own.number}
    fields[stale] = 77 if stale in {"next_offset", "number"} else "another"
    expected = Ownership(**fields)  # type: ignore[arg-type]
    ear = Ear()
    async with pair.listening(ear):
        refused = batch(
            expected,
            [final(2)],
            rows={BARS: NewestFinal(Offset(0), Offset(2), b"2")},
            dropped=(RSI,),
            closed={"DEMO@1m": 60_000},
            forget=Offset(1),
        )
        assert await pair.publish(refused) == own
        await pair.publish(batch(own, [final(3)]))
        heard = await ear.after(1)
    assert [envelope.finals for _, envelope in heard] == [(final(3),)]
    held = await pair.broker.read(3, Offset(0), [RSI, BARS])
    assert [f.publication for f in held.finals] == [final(1), final(3)]
    assert set(held.newest) == {RSI}
    assert (await pair.take()).closed == {}


async def test_a_batch_sent_again_after_a_lost_answer_is_answered_as_done_and_not_done_twice(pair: Pair) -> None:
    ear = Ear()
    async with pair.listening(ear):
        sent = batch(await pair.acquire(), [final(1)])
        assert await pair.publish(sent) == sent.after
        assert await pair.publish(sent) == sent.after
        await pair.publish(batch(sent.after, [final(2)]))
        assert [envelope.finals for _, envelope in await ear.after(2)] == [(final(1),), (final(2),)]
    assert len((await pair.broker.read(3, Offset(0), [])).finals) == 2


async def test_a_batch_of_several_envelopes_is_one_step(pair: Pair) -> None:
    own = await pair.acquire()
    envelopes = (
        Envelope(VERSION, own.epoch, 1, Offset(1), (final(1), final(2))),
        Envelope(VERSION, own.epoch, 2, Offset(3), (), (Publication(BARS, b"{}"),)),
        Envelope(VERSION, own.epoch, 3, Offset(3), (final(3),)),
    )
    ear = Ear()
    async with pair.listening(ear):
        after = await pair.publish(Batch(own, envelopes))
        assert [envelope for _, envelope in await ear.after(3)] == list(envelopes)
    assert after == Ownership(own.owner, own.epoch, Offset(4), 3)
    assert [f.offset for f in (await pair.broker.read(3, Offset(0), [])).finals] == [1, 2, 3]


async def test_a_batch_without_envelopes_changes_rows_alone(pair: Pair) -> None:
    own = await pair.acquire()
    row = NewestFinal(Offset(0), Offset(0), None)
    ear = Ear()
    async with pair.listening(ear):
        assert await pair.publish(Batch(own, (), rows={RSI: row})) == own
        await pair.publish(batch(own))
        assert [envelope.number for _, envelope in await ear.after(1)] == [1]
    assert (await pair.broker.read(3, None, [RSI])).newest == {RSI: row}


async def test_an_offset_may_be_skipped(pair: Pair) -> None:
    own = await pair.acquire()
    skipping = Envelope(VERSION, own.epoch, 1, Offset(3), (final(1),))
    own = await pair.publish(Batch(own, (skipping,)))
    held = await pair.broker.read(3, Offset(0), [])
    assert [f.offset for f in held.finals] == [3]
    assert (held.first_held, held.top, own.next_offset) == (3, 3, 4)


async def test_a_row_that_is_changed_and_dropped_in_one_batch_is_gone(pair: Pair) -> None:
    own = await pair.acquire()
    row = NewestFinal(Offset(0), Offset(1), b"1")
    await pair.publish(batch(own, [final(1)], rows={RSI: row, BARS: row}, dropped=(RSI,)))
    assert (await pair.broker.read(3, None, [RSI, BARS])).newest == {BARS: row}


async def test_topics_are_published_together_and_each_stands_or_falls_alone(pair: Pair) -> None:
    one, other = await pair.acquire(1), await pair.acquire(2)
    taken, refused = batch(one, [final(1)]), batch(Ownership("nobody", other.epoch, other.next_offset, other.number))
    assert await pair.bus.publish({2: refused, 1: taken}) == {1: taken.after, 2: other}
    assert (await pair.broker.read(1, Offset(0), [])).top == 1


async def test_publishing_nothing_gives_nothing(pair: Pair) -> None:
    assert await pair.bus.publish({}) == {}


async def test_finals_that_may_be_forgotten_go_and_read_says_from_where_it_can_reach(pair: Pair) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1), final(2)]))
    own = await pair.publish(batch(own, [final(3), final(4)], forget=Offset(1)))
    held = await pair.broker.read(3, Offset(0), [])
    assert ([f.offset for f in held.finals], held.first_held) == ([1, 2, 3, 4], 1)
    own = await pair.publish(batch(own, forget=Offset(2)))
    held = await pair.broker.read(3, Offset(0), [])
    assert ([f.offset for f in held.finals], held.first_held) == ([3, 4], 3)
    await pair.publish(batch(own, forget=Offset(4)))
    held = await pair.broker.read(3, Offset(0), [])
    assert (held.finals, held.first_held, held.top) == ((), 5, 4)


async def test_a_batch_may_be_as_large_as_the_bars_of_a_market(pair: Pair) -> None:
    own = await pair.acquire()
    channels = [f"bars:DEMO:S{i}@1m" for i in range(9_000)]
    rows = {channel: NewestFinal(Offset(0), Offset(i + 1), b"{}") for i, channel in enumerate(channels)}
    envelopes = tuple(
        Envelope(
            VERSION,
            own.epoch,
            n + 1,
            Offset(500 * n + 1),
            tuple(Publication(channel, b"{}") for channel in channels[500 * n : 500 * n + 500]),
        )
        for n in range(18)
    )
    closed = {f"V{i}@1m": i for i in range(5_000)}
    full = Batch(own, envelopes, rows=rows, dropped=tuple(f"x{i}" for i in range(9_000)), closed=closed)
    assert await pair.publish(full) == full.after
    held = await pair.broker.read(3, Offset(0), channels)
    assert (len(held.finals), held.newest) == (9_000, rows)
    acquired = await pair.take()
    assert (acquired.closed, len(acquired.since)) == (closed, 9_000)
    await pair.publish(Batch(acquired.ownership, (), dropped=tuple(channels)))
    assert (await pair.take()).since == {}
