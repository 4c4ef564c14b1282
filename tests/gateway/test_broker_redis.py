import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from engine.publisher_redis import RedisBus
from gateway.broker_redis import MAX_ASKING, RedisBroker
from gateway.errors import BusUnavailableError
from runtime.errors import ConfigError
from runtime.redis import RedisTiming
from standins.redis import RedisServer
from tests.contract.pair import BARS, RSI, TOPICS, Ear, Owner, batch, final
from tests.waiting import until
from wire.asking import Answer, decode_ask, encode
from wire.envelope import VERSION, Description, Envelope, NewestFinal, Ownership
from wire.envelope import encode as encode_envelope
from wire.position import Epoch, Offset

QUICK = RedisTiming(connect_s=0.5, answer_s=0.5, ping_s=0.1, silence_s=0.5, first_pause_s=0.005, longest_pause_s=0.02)


@pytest_asyncio.fixture
async def broker(server: RedisServer) -> AsyncIterator[RedisBroker]:
    async with RedisBroker(server.url, topics=TOPICS, timing=QUICK) as broker:
        yield broker


@pytest_asyncio.fixture
async def bus(server: RedisServer) -> AsyncIterator[RedisBus]:
    async with RedisBus(server.url) as bus:
        yield bus


@pytest.fixture
def ear() -> Ear:
    return Ear()


async def acquire(bus: RedisBus, topic: int = 3) -> Ownership:
    acquired = await bus.acquire(topic, "engine-1")
    assert acquired is not None
    return acquired.ownership


def times(ear: Ear) -> list[int]:
    """How often each topic was attached."""
    return [ear.attachments.count(topic) for topic in range(TOPICS)]


# hearing


async def test_the_bus_is_unavailable_until_all_topics_are_heard_and_after_that(broker: RedisBroker, ear: Ear) -> None:
    assert broker.unavailable == "nobody listens"
    async with broker.listen(ear):
        assert broker.unavailable == "not connected yet"
        await until(lambda: broker.unavailable is None)
        assert times(ear) == [1] * TOPICS
    assert broker.unavailable == "nobody listens"


async def test_a_killed_server_is_unavailable_and_all_topics_are_attached_again_when_it_is_back(
    server: RedisServer, broker: RedisBroker, bus: RedisBus, ear: Ear
) -> None:
    async with broker.listen(ear):
        await until(lambda: broker.unavailable is None)
        await server.kill()
        await until(lambda: broker.unavailable is not None)
        with pytest.raises(BusUnavailableError):
            await broker.read(3, None, [])
        with pytest.raises(BusUnavailableError):
            await broker.renew({3: [RSI]})
        with pytest.raises(BusUnavailableError):
            await broker.unowned()
        await server.restart()
        await until(lambda: broker.unavailable is None)
        assert times(ear) == [2] * TOPICS
        await bus.publish({3: batch(await acquire(bus), [final(1)])})
        await ear.after(1)
        assert (await broker.read(3, Offset(0), [])).top == 1


async def test_a_server_that_stops_answering_is_unavailable_until_it_answers_again(
    server: RedisServer, broker: RedisBroker, ear: Ear
) -> None:
    async with broker.listen(ear):
        await until(lambda: broker.unavailable is None)
        server.pause()
        with pytest.raises(BusUnavailableError, match="no answer"):
            await broker.read(3, None, [])
        await until(lambda: broker.unavailable is not None)
        server.resume()
        await until(lambda: broker.unavailable is None)
        assert min(times(ear)) >= 2
        assert (await broker.read(3, None, [])).top == 0


async def test_a_connection_that_the_server_closed_is_told_by_a_second_attachment_and_nothing_else(
    broker: RedisBroker, redis: Redis, bus: RedisBus, ear: Ear
) -> None:
    async with broker.listen(ear):
        await until(lambda: broker.unavailable is None)
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: times(ear) == [2] * TOPICS)
        await bus.publish({3: batch(await acquire(bus), [final(1)])})
        assert (await ear.after(1))[0][1].finals == (final(1),)


async def test_what_is_no_envelope_of_ours_is_counted_and_passed_over(
    broker: RedisBroker, redis: Redis, bus: RedisBus, ear: Ear
) -> None:
    newer = Envelope(VERSION + 1, Epoch("e"), 1, Offset(1))
    async with broker.listen(ear):
        await until(lambda: broker.unavailable is None)
        (reply,) = await redis.pubsub_channels("sig:{3}:reply:*")
        for unreadable in (b"", b"\xc1", b"\x91" * 100_000, encode_envelope(newer)):
            await redis.publish("sig:{3}:live", unreadable)
            await redis.publish(reply, unreadable)
        await bus.publish({3: batch(await acquire(bus), [final(1)])})
        assert [envelope.finals for _, envelope in await ear.after(1)] == [(final(1),)]
    assert broker.unreadable == 8


# reading


async def test_functions_that_were_flushed_are_loaded_again(broker: RedisBroker, redis: Redis) -> None:
    await broker.read(3, None, [])
    await redis.function_flush()
    assert (await broker.read(3, None, [RSI])).epoch == ""


async def test_data_that_is_gone_is_told_by_the_epoch(broker: RedisBroker, redis: Redis, bus: RedisBus) -> None:
    own = await acquire(bus)
    await bus.publish({3: batch(own, [final(1)])})
    assert (await broker.read(3, Offset(0), [])).epoch == own.epoch
    await redis.flushall()
    held = await broker.read(3, Offset(0), [RSI])
    assert (held.epoch, held.top, held.finals, held.first_held) == ("", 0, (), 1)


async def test_a_server_without_memory_is_still_read_from_and_renewed_at(
    broker: RedisBroker, redis: Redis, bus: RedisBus
) -> None:
    await bus.publish({3: batch(await acquire(bus), [final(1)])})
    await broker.read(3, None, [])
    await broker.renew({3: [BARS]})
    await redis.config_set("maxmemory", 1)
    assert len((await broker.read(3, Offset(0), [RSI])).finals) == 1
    await broker.renew({3: ["more"]})
    assert await bus.demand([3]) == {RSI, BARS, "more"}


async def test_what_lies_in_a_topic_and_cannot_be_read_is_an_error_of_the_bus(
    broker: RedisBroker, redis: Redis
) -> None:
    await redis.hset("sig:{3}:final", RSI, b"\xc1")
    with pytest.raises(BusUnavailableError, match="topic 3 holds what cannot be read"):
        await broker.read(3, None, [RSI])
    await redis.xadd("sig:{2}:finals", {"first": "1", "finals": b"\xc1"}, id="1-0")
    with pytest.raises(BusUnavailableError, match="topic 2 holds what cannot be read"):
        await broker.read(2, Offset(0), [])


async def test_a_topic_that_redis_refuses_does_not_keep_others_from_being_renewed(
    broker: RedisBroker, redis: Redis, bus: RedisBus
) -> None:
    await redis.set("sig:{1}:demand", "not ours")
    with pytest.raises(BusUnavailableError, match="WRONGTYPE"):
        await broker.renew({0: ["a"], 1: ["b"], 2: ["c"]})
    assert await bus.demand([0, 2]) == {"a", "c"}


async def test_demand_that_lasts_is_not_written_again(broker: RedisBroker, redis: Redis) -> None:
    await broker.read(3, None, [RSI])
    ends_ms = await redis.zscore("sig:{3}:demand", RSI)
    await broker.renew({3: [RSI]})
    assert await redis.zscore("sig:{3}:demand", RSI) == ends_ms
    assert ends_ms is not None
    assert 28_000 < ends_ms - 1000 * (await redis.time())[0] < 31_000


async def test_whoever_gives_up_reading_leaves_the_bus_in_order(broker: RedisBroker, bus: RedisBus) -> None:
    for topic in range(TOPICS):
        own = await acquire(bus, topic)
        rows = {f"of {topic}": NewestFinal(Offset(0), Offset(topic), b"%d" % topic)}
        await bus.publish({topic: batch(own, rows=rows)})
    for turn in range(20):
        reading = [
            asyncio.create_task(broker.read(i % TOPICS, None, [f"of {i % TOPICS}"]), name="read") for i in range(40)
        ]
        for _ in range(turn % 4):
            await asyncio.sleep(0)
        for task in reading[turn % 3 :: 2]:
            task.cancel()
        read = await asyncio.gather(*reading, return_exceptions=True)
        assert all(
            isinstance(held, asyncio.CancelledError) or set(held.newest) == {f"of {i % TOPICS}"}  # type: ignore[union-attr]
            for i, held in enumerate(read)
        )


# asking


async def test_questions_that_wait_are_bounded_and_forgotten_when_nobody_waits(broker: RedisBroker, ear: Ear) -> None:
    async with broker.listen(ear):
        asking = [asyncio.create_task(broker.describe(3, RSI), name="ask") for _ in range(MAX_ASKING)]
        await asyncio.sleep(0)
        with pytest.raises(BusUnavailableError, match="wait for their answers"):
            await broker.describe(3, RSI)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(broker.describe(3, RSI), 0.05)


async def test_answers_that_come_late_twice_or_to_nothing_are_passed_over(
    broker: RedisBroker, redis: Redis, ear: Ear
) -> None:
    async with broker.listen(ear), redis.pubsub() as listening:
        await until(lambda: broker.unavailable is None)
        await listening.subscribe("sig:{3}:ask")
        await listening.get_message(timeout=5)
        given_up, asking = [asyncio.create_task(broker.describe(3, RSI), name="ask") for _ in range(2)]
        messages = [await listening.get_message(timeout=5) for _ in range(2)]
        late, now = (decode_ask(message["data"]) for message in messages if message is not None)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert now.reply_to.startswith("sig:{3}:reply:")  # in the topic's slot
        async with redis.pipeline() as at_once:
            for answer in (Answer(late.id, refused="late"), Answer(777), Answer(now.id, warming=True), Answer(now.id)):
                at_once.publish(now.reply_to, encode(answer))
            await at_once.execute()
        assert await asking == Description(warming=True)


async def test_two_gateways_hear_only_the_answers_to_their_own_questions(
    server: RedisServer, broker: RedisBroker, bus: RedisBus, redis: Redis
) -> None:
    owner = Owner()
    await redis.zadd("sig:{3}:demand", {"a mark": float("inf")})
    async with (
        RedisBroker(server.url, topics=TOPICS) as other,
        broker.listen(Ear()),
        other.listen(Ear()),
        bus.serve(owner, range(TOPICS)),
    ):
        await owner.until(lambda: bool(owner.rung))
        await until(lambda: broker.unavailable is None and other.unavailable is None)
        asked = [(each, f"{n} of {id(each)}") for n in range(50) for each in (broker, other)]
        answers = await asyncio.gather(*(each.describe(2, channel) for each, channel in asked))
    assert [answer.refused for answer in answers] == [f"{channel} on topic 2" for _, channel in asked]


# where Redis is


async def test_a_wrong_password_is_told(server: RedisServer, redis: Redis, ear: Ear) -> None:
    await redis.config_set("requirepass", "right")
    async with (
        RedisBroker(server.url.replace("//", "//:wr0ng@"), topics=TOPICS, timing=QUICK) as broker,
        broker.listen(ear),
    ):
        with pytest.raises(BusUnavailableError, match="password") as caught:
            await broker.read(3, None, [])
        await until(lambda: "password" in (broker.unavailable or ""))
        assert "wr0ng" not in str(caught.value) + repr(broker) + (broker.unavailable or "")


@pytest.mark.parametrize("address", ["nowhere", "redis://user:s3cret@host:port"])
def test_a_bad_address_is_an_error_of_the_configuration(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisBroker(address, topics=TOPICS)
    assert "s3cret" not in str(caught.value)


class ClusterNode(RedisServer):
    """A server that minds, as in a cluster, that one call touches one slot."""

    def _command(self) -> Sequence[str]:
        return (*super()._command(), "--cluster-enabled", "yes")


async def test_every_call_touches_one_slot_as_a_cluster_wants_it() -> None:
    owner, ear = Owner(), Ear()
    async with (
        ClusterNode() as node,
        Redis.from_url(node.url, protocol=2) as redis,
        RedisBus(node.url) as bus,
        RedisBroker(node.url, topics=TOPICS) as broker,
    ):
        await redis.eval("return redis.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)", 0)
        while "cluster_state:ok" not in str(await redis.eval("return redis.call('CLUSTER', 'INFO')", 0)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        async with broker.listen(ear), bus.serve(owner, range(TOPICS)):
            await until(lambda: broker.unavailable is None)
            own = await acquire(bus)
            row = NewestFinal(Offset(0), Offset(1), b"1")
            sent = batch(own, [final(1)], rows={RSI: row}, dropped=(BARS,), closed={"DEMO@1m": 1}, forget=Offset(0))
            assert await bus.publish({3: sent}) == {3: sent.after}
            await ear.after(1)
            assert (await broker.read(3, Offset(0), [RSI])).newest == {RSI: row}
            await broker.renew({topic: [RSI] for topic in range(TOPICS)})
            assert await bus.demand(range(TOPICS)) == {RSI}
            await bus.announce({"DEMO": ["S01"], "OTHER": ["X"]})
            assert await broker.venues() == {"DEMO", "OTHER"}
            assert await broker.unowned()
            await bus.release(range(TOPICS), "engine-1")


def test_nothing_but_messagepack_is_asked_and_answered() -> None:
    assert msgspec.msgpack.decode(encode(Answer(1, warming=True))) == {"id": 1, "warming": True}
