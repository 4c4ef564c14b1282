"""What gateways know of a user together, over a real Redis, and each alone while there is none."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from gateway.config import NO_LIMITS
from gateway.metrics import GatewayMetrics
from gateway.token_bucket import Rate
from gateway.user_limits import Excess, LocalUserLimits, UserPlan
from gateway.user_limits_redis import RedisUserLimits, UserLimitsTiming, _name
from runtime.clock import SystemClock
from runtime.errors import ConfigError
from standins.redis import RedisServer
from wire.topics import Keys

PREFIX = "t:"
SLOW = UserLimitsTiming(renew_s=1000, answer_s=10)


@dataclass
class Gateway:
    """One of them, as far as users are counted."""

    users: RedisUserLimits
    registry: CollectorRegistry

    async def admit(self, connection: str, limit: int | None = 2, user: str = "ann") -> Excess | None:
        return await self.users.admit(user, connection, limit)

    async def lets_in(self, connection: str, limit: int) -> bool:
        return await self.admit(connection, limit) is None

    @property
    def alone(self) -> float:
        return self.registry.get_sample_value("gateway_users_judged_alone_total") or 0.0


@asynccontextmanager
async def gateway(server: RedisServer, timing: UserLimitsTiming = SLOW, **limits: Any) -> AsyncIterator[Gateway]:
    plan = UserPlan(msgspec.structs.replace(NO_LIMITS, **limits))
    registry = CollectorRegistry()
    local, metrics = LocalUserLimits(plan, SystemClock()), GatewayMetrics(registry)
    async with RedisUserLimits(server.url, prefix=PREFIX, local=local, metrics=metrics, timing=timing) as users:
        yield Gateway(users, registry)


async def keys(redis: Redis, kind: str) -> list[bytes]:
    return cast("list[bytes]", await redis.keys(f"{PREFIX}user:{{*}}:{kind}"))


async def count(redis: Redis) -> int:
    """How many connections all users have."""
    return sum([await redis.zcard(key) for key in await keys(redis, "connections")])


async def ends(redis: Redis) -> dict[tuple[bytes, bytes], float]:
    """When each connection of each user counts no more."""
    found: dict[tuple[bytes, bytes], float] = {}
    for key in await keys(redis, "connections"):
        members = cast("list[tuple[bytes, float]]", await redis.zrange(key, 0, -1, withscores=True))
        found |= {(key, connection): end for connection, end in members}
    return found


async def reached(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.002)


async def counted(redis: Redis, wanted: int) -> None:
    async def right() -> bool:
        return await count(redis) == wanted

    await reached(right)


async def test_two_gateways_count_a_user_together(server: RedisServer) -> None:
    async with gateway(server) as one, gateway(server) as two:
        assert await one.admit("a") is None
        assert await two.admit("b") is None
        assert await one.admit("c") is Excess.CONNECTIONS
        assert await two.admit("d") is Excess.CONNECTIONS
        assert await two.admit("e", user="bob") is None
        assert (one.alone, two.alone) == (0, 0)


async def test_who_leaves_one_gateway_makes_room_at_the_other(server: RedisServer, redis: Redis) -> None:
    async with gateway(server) as one, gateway(server) as two:
        await one.admit("a", 1)
        one.users.leave("ann", "a")
        await counted(redis, 0)
        assert await two.admit("b", 1) is None


async def test_of_many_that_come_at_once_as_many_are_let_in_as_the_plan_allows(server: RedisServer) -> None:
    async with gateway(server) as one, gateway(server) as two:
        answers = await asyncio.gather(*(each.admit(f"{n}", 7) for n, each in enumerate([one, two] * 20)))
        assert answers.count(None) == 7


async def test_two_gateways_count_a_users_connects_together(server: RedisServer) -> None:
    limits: dict[str, Any] = {"connects_per_user_per_s": 0.001, "connect_burst_per_user": 3}
    async with gateway(server, **limits) as one, gateway(server, **limits) as two:
        answers = [await each.admit(f"{n}", None) for n, each in enumerate([one, two] * 2)]
        assert answers == [None, None, None, Excess.CONNECTS]


async def test_a_gateway_that_leaves_takes_its_connections_with_it(server: RedisServer, redis: Redis) -> None:
    async with gateway(server) as one:
        for n in range(200):
            await one.admit("a", user=f"{n}")
        assert await count(redis) == 200
        for n in range(200):
            one.users.leave(f"{n}", "a")
    assert await redis.keys("*") == []


async def test_what_a_gateway_leaves_behind_that_died_is_forgotten(server: RedisServer, redis: Redis) -> None:
    short = UserLimitsTiming(life_s=0.1, renew_s=1000, answer_s=10)
    async with gateway(server, short) as dead, gateway(server) as other:
        await dead.admit("a", 1)
        await reached(lambda: other.lets_in("b", 1))


async def test_each_connection_ends_by_itself_in_its_own_time(server: RedisServer) -> None:
    short = UserLimitsTiming(life_s=0.1, renew_s=1000, answer_s=10)
    async with gateway(server, short) as dead, gateway(server) as other:
        assert await dead.admit("a") is None
        assert await other.admit("b") is None, "which keeps the set for a minute"
        await reached(lambda: other.lets_in("c", 2))
        assert await other.admit("d") is Excess.CONNECTIONS


async def test_a_connection_that_stays_is_renewed(server: RedisServer, redis: Redis) -> None:
    async with gateway(server, UserLimitsTiming(life_s=60, renew_s=0.02, answer_s=10)) as one:
        for n in range(100):
            await one.admit("a", user=f"{n}")
            await one.admit(f"{n}", None, user="many")
        found = await ends(redis)
        assert len(found) == 200

        async def renewed() -> bool:
            now = await ends(redis)
            return all(now[key] > end for key, end in found.items())

        await reached(renewed)


async def test_nothing_in_redis_stays_for_ever(server: RedisServer, redis: Redis) -> None:
    async with gateway(server, connects_per_user_per_s=1, connect_burst_per_user=20) as one:
        await one.admit("a")
        await one.admit("b")
        (connections,), (connects,) = await keys(redis, "connections"), await keys(redis, "connects")
        assert 50_000 < await redis.pttl(connections) <= 60_000
        assert 1_000 < await redis.pttl(connects) <= 2_000
        assert b"ann" not in connections + connects


async def test_while_redis_is_away_each_gateway_counts_its_own_and_that_is_counted(server: RedisServer) -> None:
    timing = UserLimitsTiming(renew_s=1000, answer_s=10, pause_s=0.01)
    async with gateway(server, timing) as one, gateway(server, timing) as two:
        await one.admit("a")
        await server.kill()
        assert [await one.admit("b"), await one.admit("c")] == [None, Excess.CONNECTIONS]
        assert [await two.admit("d"), await two.admit("e"), await two.admit("f")] == [None, None, Excess.CONNECTIONS]
        assert (one.alone, two.alone) == (1, 2)


async def test_when_redis_is_back_they_count_together_also_those_that_came_meanwhile(
    server: RedisServer, redis: Redis
) -> None:
    timing = UserLimitsTiming(renew_s=0.02, answer_s=10, pause_s=0.01)
    async with gateway(server, timing) as one, gateway(server, timing) as two:
        await one.admit("a")
        await server.kill()
        await one.admit("b")
        await server.restart()
        await counted(redis, 2)
        alone = two.alone
        assert await two.admit("c") is Excess.CONNECTIONS
        assert two.alone == alone


async def test_a_redis_that_hangs_holds_a_user_up_for_no_longer_than_it_may(server: RedisServer) -> None:
    async with gateway(server, UserLimitsTiming(renew_s=1000, answer_s=0.1, pause_s=1000)) as one:
        await one.admit("a", 5)
        server.pause()
        try:
            async with asyncio.timeout(5):
                assert await asyncio.gather(*(one.admit(f"{n}", 5) for n in range(5))) == [
                    *[None] * 4,
                    Excess.CONNECTIONS,
                ]
            alone = one.alone
            one.users.leave("ann", "0")
            async with asyncio.timeout(0.09):
                assert await one.admit("f", 5) is None, "it is not asked for a while"
            assert (alone, one.alone) == (4, 5)
        finally:
            server.resume()


async def test_who_goes_while_it_is_judged_does_not_count(server: RedisServer, redis: Redis) -> None:
    chance = random.Random(1)  # noqa: S311 - any will do
    async with gateway(server) as one:
        await one.admit("first", 2)
        for n in range(100):
            judging = asyncio.create_task(one.admit(f"{n}", 2), name="judging")
            for _ in range(chance.randrange(8)):
                await asyncio.sleep(0)
            judging.cancel()
            await asyncio.wait([judging])
            one.users.leave("ann", f"{n}")
        await counted(redis, 1)
        assert await one.admit("last", 2) is None


async def test_a_users_connects_are_those_of_the_textbook(server: RedisServer, redis: Redis) -> None:
    """Each answer is what GCRA says for some time between Redis' times before and after it."""
    hour, chance, answers = 3_600_000_000, random.Random(2), []  # noqa: S311 - any will do
    often, key = Rate(hour * 1_000, 4), Keys(PREFIX).connects(_name("ann"))

    async def now_us() -> int:
        seconds, micros = await redis.time()
        return int(seconds) * 10**6 + int(micros)

    async with gateway(server) as one, gateway(server) as two:
        for n in range(200):
            full = int(await redis.get(key) or 0)
            if full and chance.random() < 0.5:  # as if time had passed
                full -= chance.randrange(3 * hour)
                await redis.set(key, full)
            before = await now_us()
            answers.append(await chance.choice((one, two)).users._ask("ann", f"{n}", None, often))
            after = await now_us()
            if answers[-1] is None:
                taken = int(await redis.get(key) or 0)
                assert max(full, before) + hour <= taken <= max(full, after) + hour
                assert max(full, after) - after <= 3 * hour
            else:
                assert max(full, before) - before > 3 * hour
    assert {None, Excess.CONNECTS} <= set(answers)


def test_a_bad_address_is_refused_at_the_start() -> None:
    local = LocalUserLimits(UserPlan(NO_LIMITS), SystemClock())
    with pytest.raises(ConfigError):
        RedisUserLimits("nonsense", prefix="", local=local, metrics=GatewayMetrics(CollectorRegistry()))
