import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from engine.errors import BusUnavailableError
from engine.publisher_redis import LEASE_MS, RedisBus
from engine.serving import MAX_ASKED
from runtime.errors import ConfigError
from runtime.redis import RedisTiming
from standins.redis import RedisServer
from tests.contract.pair import BARS, RSI, Owner, batch, final
from wire.asking import Ask, decode_answer, encode
from wire.envelope import Acquired, Batch, Chart, NewestFinal, Ownership, Publication
from wire.envelope import encode as encode_envelope
from wire.position import Offset

QUICK = RedisTiming(connect_s=0.5, answer_s=0.5, first_pause_s=0.005, longest_pause_s=0.02)


@pytest_asyncio.fixture
async def bus(server: RedisServer) -> AsyncIterator[RedisBus]:
    async with RedisBus(server.url, timing=QUICK) as bus:
        yield bus


@pytest.fixture
def owner() -> Owner:
    return Owner()


async def take(bus: RedisBus, topic: int = 3, *, known: Ownership | None = None) -> Acquired:
    acquired = await bus.acquire(topic, "engine-1", known=known)
    assert acquired is not None
    return acquired


async def publish(bus: RedisBus, sent: Batch, topic: int = 3) -> Ownership:
    return (await bus.publish({topic: sent}))[topic]


# what is in Redis


async def test_what_is_published_lies_in_redis_under_the_names_and_in_the_forms_of_the_contract(
    bus: RedisBus, redis: Redis
) -> None:
    own = (await take(bus)).ownership
    row = NewestFinal(Offset(0), Offset(2), b"2")
    sent = batch(own, [final(1), final(2)], [Publication(BARS, b"{}")], rows={RSI: row}, closed={"DEMO@1m": 60_000})
    async with redis.pubsub() as listening:
        await listening.subscribe("sig:{3}:live")
        await listening.get_message(timeout=5)
        await publish(bus, sent)
        message = await listening.get_message(timeout=5)
    assert message is not None
    assert message["data"] == encode_envelope(sent.envelopes[0])
    assert await redis.xrange("sig:{3}:finals") == [
        (b"2-0", {b"first": b"1", b"finals": msgspec.msgpack.encode(sent.envelopes[0].finals)})
    ]
    assert await redis.hgetall("sig:{3}:final") == {RSI.encode(): msgspec.msgpack.encode(row)}
    meta = await redis.hgetall("sig:{3}:meta")
    assert len(meta.pop(b"replid")) == 40
    assert meta == {
        b"owner": b"engine-1",
        b"epoch": own.epoch.encode(),
        b"next": b"3",
        b"number": b"1",
        b"closed:DEMO@1m": b"60000",
    }
    assert await redis.get("sig:{3}:lease") == b"engine-1"


async def test_a_prefix_keeps_two_deployments_apart(server: RedisServer, redis: Redis) -> None:
    async with RedisBus(server.url, prefix="other:") as other, RedisBus(server.url) as bus:
        await publish(other, batch((await take(other)).ownership, [final(1)]))
        await other.announce({"DEMO": ["S01"]})
        assert (await take(bus)).ownership.next_offset == 1
    found = set(map(bytes, await redis.keys("*")))  # type: ignore[arg-type]
    assert {key.split(b":")[0] for key in found} == {b"other", b"sig"}


async def test_a_lease_lasts_5_s_from_the_last_batch(bus: RedisBus, redis: Redis) -> None:
    own = (await take(bus)).ownership
    assert LEASE_MS - 2000 < await redis.pttl("sig:{3}:lease") <= LEASE_MS == 5000
    await redis.pexpire("sig:{3}:lease", 1000)
    await publish(bus, batch(own))
    assert LEASE_MS - 2000 < await redis.pttl("sig:{3}:lease") <= LEASE_MS


async def test_a_row_that_cannot_be_read_is_an_error_of_the_bus(bus: RedisBus, redis: Redis) -> None:
    await take(bus)
    await redis.hset("sig:{3}:final", RSI, b"\xc1")
    with pytest.raises(BusUnavailableError, match="topic 3 holds what cannot be read"):
        await take(bus)


# what Redis does to us


@pytest.mark.parametrize("keeps_data", [True, False])
async def test_a_killed_server_comes_back_with_its_data_or_the_owner_gets_a_new_epoch(keeps_data: bool) -> None:
    async with RedisServer(appendonly=keeps_data) as server, RedisBus(server.url, timing=QUICK) as bus:
        own = await publish(bus, batch((await take(bus)).ownership, [final(1)], rows={RSI: row_of(1)}))
        lost = batch(own, [final(2)])
        await server.kill()
        with pytest.raises(BusUnavailableError):
            await publish(bus, lost)
        await server.restart()
        if keeps_data:
            assert await publish(bus, lost) == lost.after
            return
        stands = await publish(bus, lost)
        assert stands == Ownership("", stands.epoch, Offset(1), 0)
        acquired = await take(bus, known=own)
        assert acquired.ownership == Ownership("engine-1", acquired.ownership.epoch, own.next_offset, own.number)
        assert acquired.ownership.epoch != own.epoch
        assert acquired.since == {}
        assert (await publish(bus, batch(acquired.ownership, [final(2)]))).next_offset == 3


def row_of(offset: int) -> NewestFinal:
    return NewestFinal(Offset(0), Offset(offset), b"{}")


async def test_lost_data_is_noticed_with_the_next_batch(bus: RedisBus, redis: Redis) -> None:
    own = await publish(bus, batch((await take(bus)).ownership, [final(1)]))
    await redis.flushall()
    assert (await publish(bus, batch(own, [final(2)]))).owner == ""
    assert await redis.keys("*") == []


async def test_finals_of_a_life_that_nobody_remembers_do_not_stand_in_the_way(bus: RedisBus, redis: Redis) -> None:
    own = (await take(bus)).ownership
    for n in range(3):
        own = await publish(bus, batch(own, [final(n)], rows={RSI: row_of(n + 1)}))
    await redis.delete("sig:{3}:meta")
    acquired = await take(bus)
    assert (acquired.ownership.next_offset, acquired.since) == (1, {})
    assert (await publish(bus, batch(acquired.ownership, [final(1)]))).next_offset == 2


async def test_functions_that_were_flushed_are_loaded_again(bus: RedisBus, redis: Redis) -> None:
    own = (await take(bus)).ownership
    await redis.function_flush()
    await redis.script_flush()
    sent = batch(own, [final(1)])
    assert await publish(bus, sent) == sent.after


async def test_another_server_than_the_one_that_was_written_to_begins_an_epoch(bus: RedisBus, redis: Redis) -> None:
    own = (await take(bus)).ownership
    assert (await take(bus)).ownership == own
    replid = (await redis.info("replication"))["master_replid"]
    assert await redis.hget("sig:{3}:meta", "replid") == replid.encode()
    await redis.hset("sig:{3}:meta", "replid", "f" * 40)  # as after a failover: the writes may be behind
    taken = (await take(bus, known=own)).ownership
    assert taken.epoch != own.epoch
    assert (await take(bus)).ownership == taken


async def test_a_server_without_memory_takes_nothing_and_goes_on_once_it_has_some(bus: RedisBus, redis: Redis) -> None:
    own = await publish(bus, batch((await take(bus)).ownership, [final(1)]))
    await redis.config_set("maxmemory", 1)
    sent = batch(own, [final(2)], rows={RSI: row_of(2)})
    with pytest.raises(BusUnavailableError, match="maxmemory"):
        await publish(bus, sent)
    assert (await redis.xlen("sig:{3}:finals"), await redis.exists("sig:{3}:final")) == (1, 0)
    assert await bus.demand([3]) == frozenset()
    await bus.release([3], "engine-1")
    await redis.config_set("maxmemory", 0)
    assert await publish(bus, sent) == sent.after


async def test_a_topic_that_redis_refuses_is_missing_and_the_others_are_published(bus: RedisBus, redis: Redis) -> None:
    batches = {topic: batch((await take(bus, topic)).ownership, [final(1)]) for topic in (0, 1, 2)}
    await redis.delete("sig:{1}:meta")
    await redis.set("sig:{1}:meta", "not ours")
    with structlog.testing.capture_logs() as logs:
        assert await bus.publish(batches) == {0: batches[0].after, 2: batches[2].after}
    assert [(line["event"], line["topics"]) for line in logs] == [("bus.refused", 1)]


async def test_a_batch_whose_answer_was_lost_is_done_once_and_told_to_be_done(
    server: RedisServer, bus: RedisBus, redis: Redis
) -> None:
    sent = batch((await take(bus)).ownership, [final(1)])
    server.pause()
    with pytest.raises(BusUnavailableError, match="no answer"):
        await publish(bus, sent)
    server.resume()  # which carries out what it was sent before, and then this
    assert await publish(bus, sent) == sent.after
    assert await redis.xlen("sig:{3}:finals") == 1


async def test_whoever_gives_up_publishing_leaves_the_bus_in_order(bus: RedisBus) -> None:
    own = (await take(bus)).ownership
    for turn in range(40):
        sent = batch(own, [final(turn)])
        publishing = asyncio.create_task(publish(bus, sent), name="publish")
        for _ in range(turn % 5):
            await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        assert await publish(bus, sent) == sent.after
        own = sent.after


@pytest.mark.parametrize("address", ["nowhere", "redis://user:s3cret@host:port"])
def test_a_bad_address_is_an_error_of_the_configuration(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisBus(address)
    assert "s3cret" not in str(caught.value)


async def test_a_wrong_password_is_told(server: RedisServer, redis: Redis) -> None:
    await redis.config_set("requirepass", "right")
    async with RedisBus(server.url.replace("//", "//:wr0ng@")) as bus:
        with pytest.raises(BusUnavailableError, match="password") as caught:
            await take(bus)
    assert "wr0ng" not in str(caught.value) + repr(bus)


# what is wanted, and asked


@asynccontextmanager
async def served(bus: RedisBus, redis: Redis, owner: Owner) -> AsyncIterator[None]:
    await redis.zadd("sig:{3}:demand", {"a mark": float("inf")})
    async with bus.serve(owner, [3]):
        await owner.until(lambda: (3, ("a mark",)) in owner.rung)
        owner.rung.clear()
        yield


async def test_what_is_wanted_is_told_again_after_a_lost_connection(bus: RedisBus, redis: Redis, owner: Owner) -> None:
    async with served(bus, redis, owner):
        for turn in range(3):
            await redis.zadd("sig:{3}:demand", {f"missed {turn}": float("inf")})
            await redis.client_kill_filter(_type="pubsub")
            await owner.until(lambda: any(f"missed {turn}" in channels for _, channels in owner.rung))  # noqa: B023


async def test_an_owner_hears_again_when_a_killed_server_is_back(
    server: RedisServer, bus: RedisBus, redis: Redis, owner: Owner
) -> None:
    async with served(bus, redis, owner):
        await server.kill()
        await server.restart()
        while not await redis.publish("sig:{3}:wanted", msgspec.msgpack.encode([RSI])):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await owner.until(lambda: bool(owner.rung))
        assert owner.rung == [(3, (RSI,))]


async def test_an_owner_is_served_as_soon_as_there_is_a_server(owner: Owner) -> None:
    async with RedisServer() as server, RedisBus(server.url, timing=QUICK) as bus:
        await server.kill()
        async with bus.serve(owner, [3]):
            await server.restart()
            async with Redis.from_url(server.url, protocol=2) as redis:
                await redis.zadd("sig:{3}:demand", {RSI: float("inf")})
                await redis.client_kill_filter(_type="pubsub")
                await owner.until(lambda: (3, (RSI,)) in owner.rung)


async def test_what_cannot_be_read_is_passed_over(bus: RedisBus, redis: Redis, owner: Owner) -> None:
    async with served(bus, redis, owner):
        for unreadable in (b"", b"\xc1", b"\x91\xa1\xff", msgspec.msgpack.encode({"id": 1}), b"\x91" * 100_000):
            await redis.publish("sig:{3}:wanted", unreadable)
            await redis.publish("sig:{3}:ask", unreadable)
        await redis.publish("sig:{3}:wanted", msgspec.msgpack.encode([RSI]))
        await owner.until(lambda: bool(owner.rung))
        assert owner.rung == [(3, (RSI,))]


async def test_what_is_asked_at_once_is_bounded_and_the_rest_gets_no_answer(bus: RedisBus, redis: Redis) -> None:
    class Slow(Owner):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[str] = []
            self.gate = asyncio.Event()

        async def history(self, topic: int, channel: str, limit: int) -> Chart:
            self.asked.append(channel)
            self.tell()
            await self.gate.wait()
            return self.chart

    owner = Slow()

    def ask(n: int) -> bytes:
        return encode(Ask(n, "answers", "history", f"channel {n}", 1))

    async with served(bus, redis, owner), redis.pubsub() as listening:
        await listening.subscribe("answers")
        await listening.get_message(timeout=5)
        for n in range(MAX_ASKED + 10):
            await redis.publish("sig:{3}:ask", ask(n))
        await redis.publish("sig:{3}:wanted", msgspec.msgpack.encode(["the end"]))
        await owner.until(lambda: bool(owner.rung) and len(owner.asked) >= MAX_ASKED)
        owner.gate.set()
        answered: set[int] = set()
        while len(answered) < MAX_ASKED:
            message = await listening.get_message(timeout=5)
            assert message is not None
            answered.add(decode_answer(message["data"]).id)
        assert answered == set(range(MAX_ASKED))
        message = None
        while message is None:  # the last answer may be here before its asker is off the list
            await redis.publish("sig:{3}:ask", ask(1000))
            message = await listening.get_message(timeout=0.1)
        assert decode_answer(message["data"]).values == owner.chart.values
    assert set(owner.asked) == {f"channel {n}" for n in (*range(MAX_ASKED), 1000)}


async def test_leaving_ends_what_is_being_answered(bus: RedisBus, redis: Redis) -> None:
    class Stuck(Owner):
        async def history(self, topic: int, channel: str, limit: int) -> Chart:
            self.wanted(topic, [channel])
            await asyncio.Event().wait()
            return self.chart

    owner = Stuck()
    async with served(bus, redis, owner):
        await redis.publish("sig:{3}:ask", encode(Ask(1, "answers", "history", "stuck", 1)))
        await owner.until(lambda: (3, ("stuck",)) in owner.rung)
