"""Publishing: finals once each, in order; the newest live value; a heartbeat; whatever fails, nobody waits for it."""

import asyncio

import pytest
import structlog

from engine.errors import OwnershipLostError
from engine.publisher import CALL_BYTES, FLUSH_S
from engine.writer import HEARTBEAT_S
from standins.broker import LEASE_S, MemoryBroker
from standins.clock import ManualClock
from tests.engine.publishing import BOUNDARY, Bench
from wire.envelope import MAX_PUBLICATIONS, Publication
from wire.position import Offset


@pytest.fixture
def bench(clock: ManualClock) -> Bench:
    return Bench(clock)


# what is sent


async def test_the_finals_of_one_boundary_go_out_in_one_envelope_in_order(bench: Bench) -> None:
    async with bench.running():
        bench.close(1, "a", "b", "c")
        (envelope,) = await bench.ear.some(1)
    assert [(p.channel, p.payload) for p in envelope.finals] == [("a", b"1"), ("b", b"1")]


async def test_many_finals_are_split_into_envelopes_of_one_batch(bench: Bench) -> None:
    count = MAX_PUBLICATIONS * 2 + 1
    async with bench.running():
        bench.close(1, *["a"] * count)
        bench.offer("b", b"x")
        envelopes = await bench.ear.some(3)
    assert [len(e.finals) for e in envelopes] == [MAX_PUBLICATIONS, MAX_PUBLICATIONS, 1]
    first = envelopes[0].first_offset
    assert [e.first_offset - first for e in envelopes] == [0, MAX_PUBLICATIONS, 2 * MAX_PUBLICATIONS]
    assert [len(e.live) for e in envelopes] == [0, 0, 1]
    assert [e.number - envelopes[0].number for e in envelopes] == [0, 1, 2]
    assert bench.count("publications_total") == count + 1


async def test_a_waiting_live_value_is_replaced_by_a_newer_one_and_removed_by_a_final(bench: Bench) -> None:
    async with bench.running():
        bench.offer("a", b"old")
        bench.offer("a", b"new")
        bench.offer("b", b"void")
        bench.close(1, "b")
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("a", b"new"),)
    assert envelope.finals == (Publication("b", b"1"),)


async def test_a_waiting_live_value_of_a_dropped_channel_is_not_sent(bench: Bench) -> None:
    async with bench.running():
        bench.offer("a", b"void")
        bench.offer("b", b"sent")
        bench.publisher.drop(0, "a")
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("b", b"sent"),)


async def test_a_live_value_after_a_final_stands_at_the_top(bench: Bench) -> None:
    async with bench.running():
        bench.close(1, "a")
        bench.offer("a", b"next")
        (envelope,) = await bench.ear.some(1)
    assert envelope.live == (Publication("a", b"next"),)
    assert envelope.top == envelope.first_offset


async def test_live_values_are_sent_at_once_and_then_at_most_every_50_ms(bench: Bench) -> None:
    async with bench.running():
        bench.offer("a", b"first")
        await bench.ear.some(1)
        bench.offer("a", b"skipped")
        published = bench.bus.asked("publish")
        bench.close(1, "c")
        await bench.bus.until_asked("publish", published + 1)
        bench.offer("a", b"second")
        bench.clock.advance(FLUSH_S)
        bench.close(2, "c")
        envelopes = await bench.ear.some(2)
    assert [p.payload for e in envelopes for p in e.live] == [b"first", b"second"]


async def test_finals_do_not_wait_for_the_live_values_before_them(bench: Bench) -> None:
    async with bench.running():
        bench.offer("a", b"live")
        await bench.ear.some(1)
        bench.close(1, "a")
        envelopes = await bench.ear.some(2)
    assert envelopes[1].finals == (Publication("a", b"1"),)


@pytest.mark.parametrize("what", ["final", "live value"])
async def test_what_is_due_is_sent_in_the_next_turns_of_the_loop(bench: Bench, what: str) -> None:
    async with bench.running():
        await asyncio.sleep(0)
        if what == "final":
            bench.close(1, "a")
        else:
            bench.offer("a", b"live")
        for _ in range(10):
            await asyncio.sleep(0)
        assert [e for e in bench.ear.envelopes if e.finals or e.live]


async def test_a_silent_topic_is_given_a_heartbeat_and_keeps_its_lease(bench: Bench) -> None:
    async with bench.running():
        heard = len(bench.ear.envelopes)
        for _ in range(round(2 * LEASE_S / HEARTBEAT_S)):
            bench.clock.advance(HEARTBEAT_S)
            bench.offer("c", b"wakes the task")
            heard = await bench.ear.more_than(heard)
        assert not await bench.broker.unowned()
    assert [e.number for e in bench.ear.envelopes] == list(range(1, len(bench.ear.envelopes) + 1))


# rows


async def test_a_channel_begins_at_an_offset_that_nobody_was_given_and_ends_with_its_row(bench: Bench) -> None:
    async with bench.running(wanted="a"):
        bench.close(1, "a")
        await bench.ear.some(1)
        top = (await bench.broker.read(0, None, [])).top
        bench.publisher.start(0, "b", BOUNDARY)
        bench.close(2, "b")
        await bench.ear.some(2)
        row = await bench.row("b")
        assert row is not None
        assert (row.since, row.offset, row.payload) == (top + 1, top + 2, b"2")
        bench.publisher.drop(0, "b")
        bench.close(3, "a")
        await bench.ear.some(3)
        assert await bench.row("b") is None


async def test_what_is_old_need_not_be_held(bench: Bench) -> None:
    async with bench.running():
        bench.close(1, "a")
        (envelope,) = await bench.ear.some(1)
        bench.clock.advance(600)
        heard = len(bench.ear.envelopes)
        bench.close(2, "a")
        await bench.ear.more_than(heard)
        assert (await bench.broker.read(0, Offset(0), [])).first_held == envelope.top + 1


# owning


async def test_instruments_are_named_before_the_first_topic_is_owned(bench: Bench) -> None:
    async with bench.running():
        assert bench.bus.calls[:2] == ["announce", "acquire"]
        assert bench.bus.asked("announce") == 1
        assert await bench.broker.instruments("DEMO") == frozenset({"S01"})


async def test_a_topic_of_another_engine_is_waited_for(bench: Bench) -> None:
    acquired = await bench.broker.acquire(1, "another")
    assert acquired is not None
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.publisher.run())
        await bench.bus.until_asked("publish", 1)
        bench.offer("a", b"wakes the task")
        await bench.bus.until_asked("publish", 2)
        assert bench.bus.asked("acquire") == 2, "it is not asked for all the time"
        before = bench.publisher.owns_all
        await bench.broker.release([1], "another")
        bench.clock.advance(1)
        async with asyncio.timeout(10):
            await bench.publisher.acquired.wait()
        assert (before, bench.publisher.owns_all) == (False, True)
        bench.publisher.stop()


async def test_topics_that_are_owned_are_not_left_alone_while_others_are_asked_for(bench: Bench) -> None:
    bench.bus.acquiring = lambda: bench.clock.advance(HEARTBEAT_S)
    async with bench.running():
        assert bench.bus.calls[:4] == ["announce", "acquire", "publish", "acquire"]


async def test_topics_that_cannot_be_had_keep_no_other_from_being_acquired(clock: ManualClock) -> None:
    bench = Bench(clock, topics=3)
    bench.bus.barred = {0, 1}
    bench.bus.acquiring = lambda: bench.clock.advance(HEARTBEAT_S)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.publisher.run())
        await bench.bus.until_asked("publish", 1)
        assert not await bench.broker.acquire(2, "another")
        running.cancel()


async def test_an_engine_that_leaves_sends_what_waits_and_frees_its_topics(bench: Bench) -> None:
    async with bench.running():
        bench.publisher.stop()
        bench.close(1, "a")
        bench.offer("a", b"last")
    await bench.publisher.release()
    assert await bench.broker.unowned()
    assert bench.ear.finals == [("a", b"1")]
    assert bench.ear.envelopes[-1].live == (Publication("a", b"last"),)


async def test_a_publisher_that_lost_a_topic_stops_and_writes_nothing(bench: Bench) -> None:
    running = bench.running()
    await running.__aenter__()
    bench.clock.advance(LEASE_S)
    assert await bench.broker.acquire(0, "another") is not None
    bench.close(1, "a")
    with pytest.raises(ExceptionGroup) as caught:
        await running.__aexit__(None, None, None)
    assert caught.group_contains(OwnershipLostError, match="topic 0")
    assert bench.ear.finals == []


async def test_each_acquisition_has_its_own_name(bench: Bench) -> None:
    async with bench.running():
        before = bench.bus.batches[-1]
        bench.bus.broker = MemoryBroker(topics=2, monotonic_s=bench.now_s)
        bench.close(1, "a", "c")
    after = bench.bus.batches[-1]
    names = {batch.expected.owner for batches in (before, after) for batch in batches.values()}
    assert len(names) == 2


# when the bus fails


async def test_what_was_not_answered_is_sent_again_as_it_is(bench: Bench) -> None:
    async with bench.running():
        bench.bus.lost = {0}
        bench.close(1, "a")
        await bench.ear.some(1)
        bench.close(2, "a")
        bench.bus.lost = set()
        sent = bench.bus.batches[-1][0]
        bench.clock.advance(1)
        envelopes = await bench.ear.some(2)
        assert sum(batches.get(0) is sent for batches in bench.bus.batches) == 2
    assert bench.ear.finals == [("a", b"1"), ("a", b"2")]
    assert [e.epoch for e in envelopes] == [envelopes[0].epoch] * 2
    assert bench.count("resent_batches_total") == 1


async def test_a_topic_that_fails_holds_up_no_other(bench: Bench) -> None:
    async with bench.running():
        bench.bus.refused = {1}
        bench.close(1, "a", "c")
        await bench.ear.some(1)
        bench.close(2, "a", "c")
        await bench.ear.some(2)
        assert bench.publisher.unreachable() == "no answer"
        bench.bus.refused = set()
        bench.clock.advance(1)
    held = await bench.broker.read(1, Offset(0), [])
    assert [final.publication.payload for final in held.finals] == [b"1", b"2"]


async def test_what_was_declined_is_not_sent_again_at_once(bench: Bench) -> None:
    async with bench.running():
        bench.bus.declined = {0}
        published = bench.bus.asked("publish")
        bench.close(1, "a")
        await bench.bus.until_asked("publish", published + 1)
        bench.close(1, "c")
        await bench.bus.until_asked("publish", published + 2)
        assert 0 not in bench.bus.batches[-1]
        bench.bus.declined = set()
        bench.clock.advance(1)
    assert bench.ear.finals == [("a", b"1")]


async def test_a_bus_that_is_away_is_told_of_and_gets_everything_when_it_is_back(bench: Bench) -> None:
    async with bench.running():
        assert bench.publisher.unreachable() is None
        bench.bus.away = "connection refused"
        bench.close(1, "a")
        for second in range(2, 6):
            published = bench.bus.asked("publish")
            bench.clock.advance(1)
            bench.close(second, "a")
            await bench.bus.until_asked("publish", published + 1)
        assert bench.publisher.unreachable() == "connection refused"
        bench.bus.away = None
        bench.clock.advance(1)
        await bench.ear.some(2)
        assert bench.publisher.unreachable() is None
    assert bench.ear.finals == [("a", b"%d" % second) for second in range(1, 6)]


async def test_a_topic_whose_data_is_lost_goes_on_in_another_epoch_with_what_waits(bench: Bench) -> None:
    async with bench.running():
        bench.close(1, "a")
        (before,) = await bench.ear.some(1)
        bench.bus.broker = broker = MemoryBroker(topics=2, monotonic_s=bench.now_s)
        bench.close(2, "a", "c")
    held = await broker.read(0, Offset(0), ["a", "b"])
    assert held.epoch != before.epoch
    assert [(f.publication.payload, f.offset > before.top) for f in held.finals] == [(b"2", True)]
    assert {channel: row.offset > 0 for channel, row in held.newest.items()} == {"a": True, "b": False}
    assert all(row.since > before.top for row in held.newest.values())
    assert await broker.instruments("DEMO") == frozenset({"S01"})
    assert bench.count("new_epochs_total") == 2


async def test_a_new_epoch_is_one_line_whatever_the_number_of_topics(bench: Bench) -> None:
    with structlog.testing.capture_logs() as logs:
        async with bench.running():
            bench.bus.broker = MemoryBroker(topics=2, monotonic_s=bench.now_s)
            bench.close(1, "a", "c")
    lines = [line for line in logs if line["event"] == "epoch.changed"]
    assert [(line["reason"], line["topics"]) for line in lines] == [("bus", 2)]


async def test_the_next_owner_is_told_the_boundaries_of_before_the_data_was_lost(bench: Bench) -> None:
    async with bench.running():
        bench.close(1, "a")
        await bench.ear.some(1)
        bench.bus.broker = broker = MemoryBroker(topics=2, monotonic_s=bench.now_s)
        bench.clock.advance(HEARTBEAT_S)
        await bench.bus.until_asked("acquire", 4)
    await bench.publisher.release()
    acquired = await broker.acquire(0, "another")
    assert acquired is not None
    assert acquired.closed == {BOUNDARY: 1000}


async def test_a_full_buffer_is_emptied_and_every_epoch_changes(clock: ManualClock) -> None:
    bench = Bench(clock, buffer_bytes=1000)
    async with bench.running():
        bench.close(1, "a", "c")
        (before,) = await bench.ear.some(1)
        bench.bus.away = "connection refused"
        bench.close(2, "a", "c", size=400)
        assert bench.count("buffer_bytes") == 2 * (1 + 400 + 16)
        bench.close(3, "a", "c", size=400)
        assert bench.count("buffer_bytes") == 0
        bench.close(4, "a")
        bench.bus.away = None
        bench.clock.advance(1)
        _, after = await bench.ear.some(2)
    assert bench.ear.finals == [("a", b"1"), ("a", b"4")]
    assert after.epoch != before.epoch
    assert bench.count("new_epochs_total") == 2
    assert [f.publication.payload for f in (await bench.broker.read(1, Offset(0), [])).finals] == [b"1"]


async def test_a_backlog_goes_in_calls_of_bounded_size_and_every_topic_has_its_turn(bench: Bench) -> None:
    async with bench.running():
        bench.bus.away = "connection refused"
        for second in range(1, 17):
            bench.close(second, "a", "c", size=CALL_BYTES // 8)
        bench.bus.away = None
        bench.clock.advance(HEARTBEAT_S)
        sent = len(bench.bus.batches)
        while len(bench.ear.finals) < 16:
            await bench.ear.more_than(len(bench.ear.envelopes))
    calls = bench.bus.batches[sent:]
    counts = [{topic: sum(len(e.finals) for e in batch.envelopes) for topic, batch in call.items()} for call in calls]
    assert counts[:4] == [{0: 8, 1: 0}, {1: 8}, {0: 8}, {1: 8}], "the first call keeps the other's lease"


async def test_publishing_can_be_cancelled_at_any_point_and_gone_on_with(bench: Bench) -> None:
    async with bench.broker.listen(bench.ear):
        second = 0
        for turn in range(40):
            running = asyncio.create_task(bench.publisher.run())
            if turn == 0:
                await bench.publisher.acquired.wait()
                bench.publisher.start(0, "a", BOUNDARY)
                bench.publisher.settle()
            second += 1
            bench.close(second, "a")
            bench.bus.open.clear()
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            bench.bus.open.set()
            for _ in range(turn % 3):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
            bench.clock.advance(1)
        bench.publisher.stop()
        await bench.publisher.run()
        await bench.ear.some(1)
        await asyncio.sleep(0)
    assert bench.ear.finals == [("a", b"%d" % each) for each in range(1, second + 1)]


# another engine's life


async def restarted(bench: Bench) -> None:
    """One engine has published the seconds 1 and 2 of a, b and c, and is gone; another takes its place."""
    async with bench.running():
        for second in (1, 2):
            bench.close(second, "a", "b", "c")
        bench.publisher.stop()
    await bench.publisher.release()
    bench.another()


async def test_a_new_owner_publishes_only_the_boundaries_that_the_last_one_did_not(bench: Bench) -> None:
    await restarted(bench)
    row = await bench.row("a")
    async with bench.running():
        for second in (1, 2, 3):
            bench.close(second, "a", "b", "c")
        after = await bench.row("a")
    assert bench.ear.finals == [(channel, b"%d" % second) for second in (1, 2, 3) for channel in "ab"]
    assert row is not None
    assert after is not None
    assert after.since == row.since


async def test_a_new_owner_does_not_go_back_to_live_values_of_bars_that_have_been_published(bench: Bench) -> None:
    await restarted(bench)
    heard = len(bench.ear.envelopes)
    async with bench.running():
        bench.offer("a", b"old", second=1)
        bench.close(1, "a", "b", "c")
        bench.offer("a", b"just closed", second=2)
        bench.close(2, "a", "b", "c")
        bench.offer("a", b"new", second=3)
    assert [p.payload for e in bench.ear.envelopes[heard:] for p in e.live] == [b"new"]


async def test_a_new_owner_tells_what_nobody_has_published(bench: Bench) -> None:
    await restarted(bench)
    async with bench.running():
        bench.close(5, "a", "b", "c")
    told = bench.ear.finals[4:]
    assert [channel for channel, _ in told] == ["a", "b"] * 3
    assert [payload[:14] for _, payload in told[:4]] == [b'{"t":3000,"v":'] * 2 + [b'{"t":4000,"v":'] * 2
    assert told[4:] == [("a", b"5"), ("b", b"5")]


async def test_a_new_owner_tells_it_on_topics_without_a_final_too(bench: Bench) -> None:
    await restarted(bench)
    async with bench.running():
        bench.close(5, "c")
    assert [payload[:9] for _, payload in bench.ear.finals[4:]] == [b'{"t":3000'] * 2 + [b'{"t":4000'] * 2


async def test_a_new_owner_drops_what_nobody_wants(bench: Bench) -> None:
    await restarted(bench)
    async with bench.running(wanted="ac"):
        bench.close(5, "a", "c")
    assert await bench.row("b") is None
    assert [channel for channel, _ in bench.ear.finals[4:]] == ["a"] * 3


async def test_a_channel_that_a_new_owner_starts_has_no_gap(bench: Bench) -> None:
    await restarted(bench)
    async with bench.running(wanted="acd"):
        bench.close(5, "a", "d", "c")
    assert [channel for channel, _ in bench.ear.finals[4:]] == ["a", "a", "a", "d"]
