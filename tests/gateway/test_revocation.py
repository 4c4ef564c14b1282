"""Whoever is revoked is served no more within a second, by every gateway, and let in by no answer from before."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import pytest_asyncio
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from gateway.app import gateway
from gateway.authenticator import Authenticator
from gateway.broker_redis import RedisBroker
from gateway.config import NO_LIMITS, GatewayConfig, ListenConfig, UserServiceConfig
from gateway.effects import Authenticate, Effect, Shut
from gateway.holders import Holders
from gateway.metrics import GatewayMetrics
from gateway.revoker import SLICE, Revoker, shut
from gateway.user_limits import LocalUserLimits, UserPlan
from gateway.user_service import UserService
from runtime.clock import SystemClock
from runtime.redis_config import RedisConfig
from standins.broker import REVOCATIONS, MemoryBroker
from standins.redis import RedisServer
from standins.user_service import Fault, TokenRecord, UserServiceStandIn
from tests.gateway.service import BARS, KEY, TOKENS, TOPICS, Peer, PlayedEngine, Service, running
from tests.gateway.test_session import session
from tests.waiting import until
from wire import close
from wire.client_messages import Command, ConnectRequest
from wire.close import Close
from wire.revocation import Revocation, digest_of
from wire.topics import REVOKED

ACTIVE = b'{"active": true, "sub": "1", "channels": ["*"]}'


def sub(name: str) -> Revocation:
    return Revocation(sub=name)


def token(name: str) -> Revocation:
    return Revocation(token_sha256=digest_of(name).hex())


def connect(name: str = "all") -> dict[str, object]:
    return {"id": 1, "connect": {"token": name}}


async def done(service: Service, count: int = 1) -> None:
    """So many revocations were done."""
    kinds = ("sub", "token")
    await until(lambda: sum(service.sample("gateway_revocations_total", {"kind": k}) or 0 for k in kinds) >= count)


async def asked(service: Service, name: str) -> None:
    """The user service was asked about a token."""
    await until(lambda: service.users.requests[name] > 0)


async def _delay_an_active_answer(service: Service) -> None:
    """The next question is answered with what was true when it was asked, once the user service is released."""
    await until(lambda: service.checks["user_service"]() is None)  # or the probe would get that answer
    service.users.hold()
    service.users.misbehave(Fault(body=ACTIVE), times=1)


async def serves(peer: Peer) -> None:
    assert "unsubscribe" in await peer.ask({"id": 99, "unsubscribe": {"channel": BARS}})


async def test_all_connections_of_a_revoked_subscriber_are_closed_with_3500_within_a_second_and_no_other() -> None:
    async with running() as service:
        service.users.tokens["same"] = TOKENS["all"]
        async with (
            service.connected("all") as one,
            service.connected("all") as two,
            service.connected("same") as three,
            service.connected("bars") as other,
        ):
            began_s = time.monotonic()
            await service.broker.revoke(sub("1"))
            for peer in (one, two, three):
                assert await peer.closed() == (3500, "invalid token: revoked")
            assert time.monotonic() - began_s < 1
            await serves(other)
        assert service.sample("gateway_closes_total", {"code": "3500"}) == 3


async def test_the_connections_of_a_revoked_token_are_closed_and_no_other_of_their_subscriber() -> None:
    async with running() as service:
        service.users.tokens["same"] = TOKENS["all"]
        async with service.connected("all") as revoked, service.connected("same") as other:
            await service.broker.revoke(token("all"))
            assert (await revoked.closed())[0] == 3500
            await serves(other)


async def test_a_revoked_client_is_not_let_in_again_on_what_is_remembered() -> None:
    async with running() as service:
        async with service.connected() as peer:
            service.users.revoke("all")
            await service.broker.revoke(sub("1"))
            await peer.closed()
        async with service.raw() as peer:
            assert (await peer.ask(connect()))["error"]["code"] == 109
        assert service.users.requests["all"] == 2


@pytest.mark.parametrize("revocation", [sub("1"), token("all")])
async def test_an_answer_to_an_introspection_that_began_before_the_revocation_is_asked_for_again(
    revocation: Revocation,
) -> None:
    async with running() as service, service.raw() as peer:
        await _delay_an_active_answer(service)
        await peer.send(connect())
        await asked(service, "all")
        service.users.revoke("all")
        await service.broker.revoke(revocation)
        await done(service)
        service.users.release()
        assert (await peer.receive())["error"]["code"] == 109
        assert service.users.requests["all"] == 2


async def test_an_introspection_under_way_is_not_asked_again_for_anothers_revocation() -> None:
    async with running() as service, service.raw() as peer:
        service.users.hold()
        await peer.send(connect())
        await asked(service, "all")
        await service.broker.revoke(sub("3"))
        await done(service)
        service.users.release()
        assert "connect" in await peer.receive()
        assert service.users.requests["all"] == 1


async def test_a_refresh_that_was_under_way_does_not_bring_a_revoked_token_in() -> None:
    async with running() as service, service.connected() as peer:
        await _delay_an_active_answer(service)
        await peer.send({"id": 2, "refresh": {"token": "next"}})
        await asked(service, "next")
        await service.broker.revoke(token("next"))
        await done(service)
        service.users.release()
        assert (await peer.receive())["error"]["code"] == 109
        await serves(peer)


async def test_a_connection_stands_on_the_token_that_it_refreshed_to_and_no_longer_on_the_first() -> None:
    async with running() as service, service.connected() as peer:
        service.users.tokens["next"] = TOKENS["all"]
        assert "refresh" in await peer.ask({"id": 2, "refresh": {"token": "next"}})
        await service.broker.revoke(token("all"))
        await done(service)
        await serves(peer)
        await service.broker.revoke(token("next"))
        assert (await peer.closed())[0] == 3500


async def test_a_connection_stands_on_its_first_token_after_a_refresh_in_vain() -> None:
    async with running() as service, service.connected() as peer:
        assert (await peer.ask({"id": 2, "refresh": {"token": "nobody"}}))["error"]["code"] == 109
        await service.broker.revoke(token("nobody"))
        await done(service)
        await serves(peer)
        await service.broker.revoke(token("all"))
        assert (await peer.closed())[0] == 3500


async def test_where_revocations_went_unread_nothing_is_believed_and_nobody_is_closed() -> None:
    async with running() as service, service.connected() as peer:
        for n in range(REVOCATIONS + 1):
            await service.broker.revoke(sub(f"x{n}"))
        await until(lambda: service.sample("gateway_revocations_missed_total") == 1)
        await serves(peer)
        async with service.connected():
            assert service.users.requests["all"] == 2
        async with service.connected():
            assert service.users.requests["all"] == 2


# over Redis


@asynccontextmanager
async def _gateway(server: RedisServer, users: UserServiceStandIn) -> AsyncIterator[Service]:
    clock, registry = SystemClock(), CollectorRegistry()
    config = GatewayConfig(
        user_service=UserServiceConfig(api_key=KEY, url=users.url),
        redis=RedisConfig(url=server.url, topics=TOPICS),
        listen=ListenConfig(port=0, origins=("*",)),
    )
    async with (
        RedisBroker(server.url, topics=TOPICS) as broker,
        gateway(config, broker, clock=clock, registry=registry, version="test") as serving,
    ):
        # nobody publishes: neither the engine nor the bus of tests is there
        bus, engine = cast("MemoryBroker", broker), cast("PlayedEngine", None)
        yield Service(serving.port, bus, engine, users, registry, serving.checks, serving)


@pytest_asyncio.fixture
async def users() -> AsyncIterator[UserServiceStandIn]:
    async with UserServiceStandIn(TOKENS, api_key=KEY) as users:
        yield users


async def test_an_entry_of_the_user_service_closes_connections_on_every_gateway_within_a_second(
    server: RedisServer, redis: Redis, users: UserServiceStandIn
) -> None:
    async with (
        _gateway(server, users) as here,
        _gateway(server, users) as there,
        here.connected() as one,
        there.connected() as two,
        there.connected("bars") as other,
    ):
        began_s = time.monotonic()
        await redis.xadd(REVOKED, {"sub": "1"})
        assert (await one.closed())[0] == (await two.closed())[0] == 3500
        assert time.monotonic() - began_s < 1
        await serves(other)
        await redis.xadd(REVOKED, {"token_sha256": digest_of("bars").hex()})
        assert (await other.closed())[0] == 3500


async def test_a_gateway_that_starts_just_after_a_revocation_hears_of_it(
    server: RedisServer, redis: Redis, users: UserServiceStandIn
) -> None:
    await redis.xadd(REVOKED, {"sub": "7"})
    async with _gateway(server, users) as service:
        await done(service)


async def test_while_redis_is_away_nothing_is_told_and_it_is_told_once_redis_is_back(
    redis: Redis, server: RedisServer, users: UserServiceStandIn
) -> None:
    async with _gateway(server, users) as service, service.connected() as peer:
        await redis.xadd(REVOKED, {"sub": "7"})
        await done(service)
        await server.kill()
        await until(lambda: service.checks["bus"]() is not None)
        await serves(peer)
        await server.restart()
        await redis.xadd(REVOKED, {"sub": "1"})
        assert (await peer.closed())[0] == 3500
        assert service.sample("gateway_revocations_missed_total") == 1


# closing many


class _Held:
    client_id = "c"

    def __init__(self, closed: list[Close]) -> None:
        self._closed = closed

    def shut(self, reason: Close) -> None:
        self._closed.append(reason)


async def test_many_are_closed_with_pauses_for_others() -> None:
    closed: list[Close] = []
    seen: list[int] = []
    async with asyncio.TaskGroup() as tasks:
        holders = [_Held(closed) for _ in range(2 * SLICE + 1)]
        shutting = tasks.create_task(shut(holders, close.FORCED), name="shut")
        while not shutting.done():
            await asyncio.sleep(0)
            seen.append(len(closed))
    assert shutting.result() == 2 * SLICE + 1
    assert closed == [close.FORCED] * (2 * SLICE + 1)
    assert {SLICE, 2 * SLICE} <= set(seen)


# whatever comes between


class _Client:
    """A session that wants to be let in, and what was done about it."""

    def __init__(self, users: UserService, holders: Holders, tasks: asyncio.TaskGroup) -> None:
        self.users, self.holders, self.clock, self.tasks = users, holders, SystemClock(), tasks
        self.user_limits = LocalUserLimits(UserPlan(NO_LIMITS), self.clock)
        self.session = session()
        self.shut: Close | None = None
        self.authenticator = Authenticator(self.session, self, self._act)

    def _act(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Shut):
                self.shut = effect.close

    async def connect(self, name: str, turns: int) -> None:
        await _pass(turns)
        (asked,) = self.session.receive(Command(1, connect=ConnectRequest(name)))
        assert isinstance(asked, Authenticate)
        await self.authenticator.authenticate(asked)


async def _pass(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def _race(arrivals: list[tuple[str, int]], revoked: list[tuple[Revocation, int]]) -> None:
    """Let clients come while they are revoked: at the user service first, then here."""
    tokens = {"a1": TokenRecord(sub="a"), "a2": TokenRecord(sub="a"), "b1": TokenRecord(sub="b")}
    metrics, holders, clock = GatewayMetrics(CollectorRegistry()), Holders(), SystemClock()
    bus = MemoryBroker(topics=1, monotonic_s=time.monotonic)
    async with (
        UserServiceStandIn(tokens, api_key=KEY) as standin,
        UserService(standin.url, api_key=KEY, clock=clock, timeout_s=5) as users,
        asyncio.TaskGroup() as tasks,
    ):
        revoker = Revoker(bus, users, holders, metrics)
        clients = [(name, turns, _Client(users, holders, tasks)) for name, turns in arrivals]
        gone = set()

        async def revoke(revocation: Revocation, turns: int) -> None:
            await _pass(turns)
            for name, record in tokens.items():
                if revocation in (sub(record.sub), token(name)):
                    standin.revoke(name)
                    gone.add(name)
            await _pass(turns % 7)
            await revoker.revoke(revocation)

        async with asyncio.TaskGroup() as coming:
            for name, turns, client in clients:
                coming.create_task(client.connect(name, turns), name="client")
            for revocation, turns in revoked:
                coming.create_task(revoke(revocation, turns), name="revocation")
        for name, _, client in clients:
            if name in gone:
                assert client.shut is not None or not client.session.connected
            else:
                assert client.session.connected
                assert client.shut is None
            client.authenticator.end()
        assert holders._held == {}


TURNS = st.integers(0, 40)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["a1", "a2", "b1"]), TURNS), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from([sub("a"), sub("b"), token("a1"), token("b1")]), TURNS), max_size=3),
)
def test_nobody_who_is_revoked_keeps_a_connection_and_all_others_do(
    arrivals: list[tuple[str, int]], revoked: list[tuple[Revocation, int]]
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_race(arrivals, revoked))
