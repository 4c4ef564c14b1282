"""How many connections a subscriber may have, and how often it may come, at real gateways with a real Redis."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from redis.asyncio import Redis

from gateway.config import NO_LIMITS
from gateway.session import REFUSED_LINGER_S
from standins.redis import RedisServer
from standins.user_service import Limits, TokenRecord
from tests.gateway.service import BARS, Service, running
from tests.gateway.test_session import session
from tests.waiting import until
from wire import close
from wire.client_messages import Command, ConnectRequest

ONE = TokenRecord(sub="9", channels=("*",), limits=Limits(connections=1, subscriptions=7, live_rate=2.5))
CONNECT = {"id": 1, "connect": {"token": "one"}}
SUBSCRIBE = {"id": 2, "subscribe": {"channel": BARS}}
CROWDED = {"code": 111, "message": "too many connections", "temporary": True}


async def came(service: Service, stack: AsyncExitStack) -> dict[str, Any]:
    """The answer to one more connection of the subscriber, which stays."""
    service.users.tokens["one"] = ONE
    return await (await stack.enter_async_context(service.raw())).ask(CONNECT)


async def comes(service: Service) -> bool:
    """Whether the subscriber is let in, for a moment."""
    service.users.tokens["one"] = ONE
    async with service.raw() as peer:
        return "connect" in await peer.ask(CONNECT)


def judging() -> bool:
    """Whether it is under way to say who somebody is, and how many."""
    return any(task.get_name() == "connection.authenticate" for task in asyncio.all_tasks())


async def let_in(service: Service) -> None:
    """The subscriber is let in, by and by."""
    async with asyncio.timeout(10):
        while not await comes(service):
            pass


async def test_one_connection_more_than_the_plan_allows_is_refused_for_now_and_what_is_behind_is_ignored() -> None:
    async with running() as service, AsyncExitStack() as stack, service.connected("all") as other:
        assert "connect" in await came(service, stack)
        async with service.raw() as late:
            await late.send(CONNECT, SUBSCRIBE)
            assert await late.receive() == {"id": 1, "error": CROWDED}
            await late.send(SUBSCRIBE)
            assert "subscribe" in await other.ask({"id": 5, "subscribe": {"channel": "trades:DEMO:S01"}})
        assert service.sample("gateway_refusals_total", {"code": "111"}) == 1


async def test_who_goes_makes_room_however_it_goes() -> None:
    async with running() as service:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                assert "connect" in await came(service, stack)
                assert "error" in await came(service, stack)
            await let_in(service)


async def test_a_client_that_was_refused_and_stays_is_closed_3013_after_a_while() -> None:
    refused = session()
    refused.receive(Command(1, connect=ConnectRequest("t")))
    answer, shut = refused.crowded(1, "too many connections")
    assert answer.reply.error.code == 111  # type: ignore[union-attr]
    assert (shut.close, shut.after_s) == (close.TOO_FAST, REFUSED_LINGER_S)  # type: ignore[union-attr]
    assert not close.TOO_FAST.terminal
    assert refused.receive(Command(2, connect=ConnectRequest("t"))) == []


async def test_the_answer_to_connect_tells_what_the_plan_allows() -> None:
    async with running() as service, AsyncExitStack() as stack:
        answer = await came(service, stack)
        limits = answer["connect"]["data"]["limits"]
        assert limits == {"connections": 1, "subscriptions": 7, "live_rate": 2.5}


async def test_a_subscriber_connects_so_often_and_then_is_refused_for_now() -> None:
    limits = msgspec.structs.replace(NO_LIMITS, connects_per_user_per_s=0.001, connect_burst_per_user=2)
    async with running(limits=limits) as service:
        for _ in range(2):
            async with service.connected("all"):
                pass
        async with service.raw() as peer:
            answer = await peer.ask({"id": 1, "connect": {"token": "all"}})
            assert answer["error"] == {"code": 111, "message": "too many connects", "temporary": True}
        async with service.connected("few"):
            pass


async def test_two_gateways_count_a_subscribers_connections_together(server: RedisServer, redis: Redis) -> None:
    async with (
        running(redis_url=server.url) as one,
        running(redis_url=server.url) as two,
        AsyncExitStack() as there,
    ):
        async with AsyncExitStack() as here:
            assert "connect" in await came(one, here)
            assert (await came(two, there))["error"] == CROWDED
        await let_in(two)
        assert "connect" in await came(two, there)
        assert not await comes(one)
    assert await redis.keys("sig:user:*:connections") == [], "gateways that end leave nothing behind"


async def test_a_gateway_whose_redis_is_away_lets_a_subscriber_in_by_its_own_count(server: RedisServer) -> None:
    async with running(redis_url=server.url) as service, AsyncExitStack() as stack:
        await server.kill()
        assert "connect" in await came(service, stack)
        assert (await came(service, stack))["error"] == CROWDED
        assert service.sample("gateway_users_judged_alone_total") == 1


async def test_a_client_that_goes_while_redis_is_asked_does_not_count(server: RedisServer) -> None:
    async with running(redis_url=server.url) as service:
        service.users.tokens["one"] = ONE
        await let_in(service)
        server.pause()
        try:
            async with service.raw() as peer:
                await peer.send(CONNECT)
                await until(judging)
            await until(lambda: service.sample("gateway_connections") == 0)
        finally:
            server.resume()
        await let_in(service)


async def test_a_client_that_is_refused_a_token_does_not_count() -> None:
    async with running() as service, AsyncExitStack() as stack:
        service.users.tokens["one"] = ONE
        peer = await stack.enter_async_context(service.raw())
        assert (await peer.ask({"id": 1, "connect": {"token": "nobody"}}))["error"]["code"] == 109
        assert "connect" in await came(service, stack)
