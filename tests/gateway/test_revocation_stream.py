"""The stream of revocations as it is in Redis: what others wrote, what was trimmed, what was lost."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from gateway.broker_redis import RedisBroker
from gateway.errors import BusUnavailableError
from gateway.revocation_stream import LOOK_BACK_MS, PAGE
from standins.redis import RedisServer
from wire.revocation import Place, Revocation, Revoked
from wire.topics import REVOKED

DIGEST = "0123456789abcdef" * 4


@pytest_asyncio.fixture
async def broker(server: RedisServer) -> AsyncIterator[RedisBroker]:
    async with RedisBroker(server.url, topics=1) as broker:
        yield broker


async def add(redis: Redis, fields: Mapping[str, str | bytes], entry_id: str = "*") -> None:
    await redis.xadd(REVOKED, dict[Any, Any](fields), entry_id)


async def begin(broker: RedisBroker) -> Place:
    return (await broker.revoked(None)).place


def subs(revoked: Revoked) -> list[str | None]:
    return [revocation.sub for revocation in revoked.revocations]


async def test_an_entry_of_the_user_service_is_read(broker: RedisBroker, redis: Redis) -> None:
    place = await begin(broker)
    await add(redis, {"sub": "42", "reason": "left"})
    await add(redis, {"token_sha256": DIGEST.upper()})
    revoked = await broker.revoked(place)
    assert subs(revoked) == ["42", None]
    assert revoked.revocations[1].key == bytes.fromhex(DIGEST)
    assert (revoked.missed, revoked.more, revoked.unreadable) == (False, False, 0)


async def test_an_entry_with_both_fields_revokes_both(broker: RedisBroker, redis: Redis) -> None:
    place = await begin(broker)
    await add(redis, {"sub": "42", "token_sha256": DIGEST})
    revoked = await broker.revoked(place)
    assert revoked.revocations == (Revocation(sub="42"), Revocation(token_sha256=DIGEST))
    assert not revoked.missed


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "42"},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": b"\xff"},
        {"token_sha256": "12"},
        {"token_sha256": b"\xff"},
    ],
)
async def test_an_entry_that_cannot_be_read_is_counted_and_passed_over(
    broker: RedisBroker, redis: Redis, fields: Mapping[str, str | bytes]
) -> None:
    place = await begin(broker)
    await add(redis, fields)
    await add(redis, {"sub": "42"})
    revoked = await broker.revoked(place)
    assert (subs(revoked), revoked.unreadable, revoked.missed) == (["42"], 1, False)


async def test_the_first_read_gives_the_last_minute_and_nothing_older(broker: RedisBroker, redis: Redis) -> None:
    seconds, _ = await redis.time()
    await add(redis, {"sub": "old"}, f"{seconds * 1000 - LOOK_BACK_MS - 1000}-0")
    await add(redis, {"sub": "new"}, f"{seconds * 1000 - LOOK_BACK_MS + 30_000}-0")
    revoked = await broker.revoked(None)
    assert (subs(revoked), revoked.missed) == (["new"], False)
    assert (await broker.revoked(revoked.place)).revocations == ()


@pytest.mark.parametrize("begun", [True, False])
async def test_many_are_given_page_by_page(broker: RedisBroker, redis: Redis, *, begun: bool) -> None:
    place = await begin(broker) if begun else None
    count = 2 * PAGE + 1
    async with redis.pipeline(transaction=False) as pipeline:
        for n in range(count):
            pipeline.xadd(REVOKED, {"sub": str(n)})
        await pipeline.execute()
    pages: list[Revoked] = []
    while not pages or pages[-1].more:
        pages.append(await broker.revoked(place))
        place = pages[-1].place
    assert [len(page.revocations) for page in pages] == [PAGE, PAGE, 1]
    assert [sub for page in pages for sub in subs(page)] == [str(n) for n in range(count)]
    assert not any(page.missed for page in pages)
    await add(redis, {"sub": "last"})
    last = await broker.revoked(place)
    assert (subs(last), last.missed) == (["last"], False)


async def test_what_is_trimmed_after_it_was_read_was_not_missed(broker: RedisBroker, redis: Redis) -> None:
    await add(redis, {"sub": "1"})
    place = await begin(broker)
    await redis.xtrim(REVOKED, maxlen=0, approximate=False)
    await add(redis, {"sub": "2"})
    revoked = await broker.revoked(place)
    assert (subs(revoked), revoked.missed) == (["2"], False)


async def test_what_is_trimmed_unread_is_said_to_be_missed_once(broker: RedisBroker, redis: Redis) -> None:
    await add(redis, {"sub": "1"})
    place = await begin(broker)
    await add(redis, {"sub": "2"})
    await add(redis, {"sub": "3"})
    await redis.xtrim(REVOKED, maxlen=1, approximate=False)
    revoked = await broker.revoked(place)
    assert (subs(revoked), revoked.missed) == (["3"], True)
    assert not (await broker.revoked(revoked.place)).missed


async def test_a_lost_stream_is_said_to_be_missed_once_and_the_next_is_read(broker: RedisBroker, redis: Redis) -> None:
    await add(redis, {"sub": "1"})
    place = await begin(broker)
    await redis.delete(REVOKED)
    lost = await broker.revoked(place)
    assert (lost.revocations, lost.missed) == ((), True)
    again = await broker.revoked(lost.place)
    assert (again.revocations, again.missed) == ((), False)
    await add(redis, {"sub": "2"})
    assert subs(await broker.revoked(again.place)) == ["2"]


async def test_another_stream_whose_clock_is_behind_is_read_from_its_last_minute(
    broker: RedisBroker, redis: Redis
) -> None:
    seconds, _ = await redis.time()
    await add(redis, {"sub": "1"}, f"{(seconds + 3600) * 1000}-0")
    place = await begin(broker)
    await redis.delete(REVOKED)
    await add(redis, {"sub": "restored"}, f"{seconds * 1000 - LOOK_BACK_MS - 1000}-0")
    await add(redis, {"sub": "2"})
    revoked = await broker.revoked(place)
    assert (subs(revoked), revoked.missed) == (["2"], True)
    assert not (await broker.revoked(revoked.place)).missed


async def test_nothing_is_missed_over_a_lost_connection(broker: RedisBroker, redis: Redis) -> None:
    place = await begin(broker)
    await redis.client_kill_filter(_type="normal", skipme=True)
    await add(redis, {"sub": "1"})
    found: list[str | None] = []

    async def read() -> bool:
        nonlocal place
        try:
            revoked = await broker.revoked(place)
        except BusUnavailableError:
            return False
        place = revoked.place
        assert not revoked.missed
        found.extend(subs(revoked))
        return True

    while not await read():
        pass
    assert found == ["1"]


async def test_a_server_that_came_back_without_its_data_says_so(
    server: RedisServer, broker: RedisBroker, redis: Redis
) -> None:
    await add(redis, {"sub": "1"})
    place = await begin(broker)
    await server.kill()
    with pytest.raises(BusUnavailableError):
        await broker.revoked(place)
    with pytest.raises(BusUnavailableError):
        await broker.revoke(Revocation(sub="2"))
    await server.restart()
    await redis.ping()
    await add(redis, {"sub": "3"})
    revoked = await broker.revoked(place)
    assert (subs(revoked), revoked.missed) == (["3"], True)
