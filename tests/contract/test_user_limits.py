"""What every count of a user's connections does: the one of this process, and the one of all gateways over Redis."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.config import NO_LIMITS
from gateway.metrics import GatewayMetrics
from gateway.user_limits import Excess, LocalUserLimits, UserLimits, UserPlan
from gateway.user_limits_redis import RedisUserLimits
from standins.clock import ManualClock
from standins.redis import RedisServer

Opened = Callable[..., AbstractAsyncContextManager[UserLimits]]


@asynccontextmanager
async def in_memory(plan: UserPlan) -> AsyncIterator[UserLimits]:
    yield LocalUserLimits(plan, ManualClock())


@asynccontextmanager
async def over_redis(plan: UserPlan) -> AsyncIterator[UserLimits]:
    local = LocalUserLimits(plan, ManualClock())
    metrics = GatewayMetrics(CollectorRegistry())
    async with RedisServer() as server, RedisUserLimits(server.url, prefix="t:", local=local, metrics=metrics) as users:
        yield users


@pytest.fixture(params=[in_memory, over_redis])
def opened(request: pytest.FixtureRequest) -> Opened:
    """What opens a count, given the fields of LimitsConfig that are not off."""
    return lambda **limits: request.param(UserPlan(msgspec.structs.replace(NO_LIMITS, **limits)))


async def admitted(users: UserLimits, user: str, names: str, limit: int | None = None) -> list[Excess | None]:
    """One connection after the other, each named by a letter."""
    return [await users.admit(user, name, limit) for name in names]


async def test_a_user_has_as_many_connections_as_its_plan_allows_and_others_have_theirs(opened: Opened) -> None:
    async with opened() as users:
        assert await admitted(users, "ann", "abc", 2) == [None, None, Excess.CONNECTIONS]
        assert await admitted(users, "bob", "def", 1) == [None, Excess.CONNECTIONS, Excess.CONNECTIONS]


async def test_a_plan_of_none_allows_nobody(opened: Opened) -> None:
    async with opened() as users:
        assert await admitted(users, "ann", "a", 0) == [Excess.CONNECTIONS]


async def test_who_leaves_makes_room_once(opened: Opened) -> None:
    async with opened() as users:
        assert await admitted(users, "ann", "ab", 2) == [None, None]
        users.leave("ann", "a")
        users.leave("ann", "a")
        users.leave("bob", "b")
        assert await admitted(users, "ann", "cd", 2) == [None, Excess.CONNECTIONS]


async def test_one_that_was_refused_makes_no_room_when_it_leaves(opened: Opened) -> None:
    async with opened() as users:
        assert await admitted(users, "ann", "ab", 1) == [None, Excess.CONNECTIONS]
        users.leave("ann", "b")
        assert await admitted(users, "ann", "c", 1) == [Excess.CONNECTIONS]


async def test_where_the_plan_says_nothing_the_gateways_own_limit_counts(opened: Opened) -> None:
    async with opened(connections_per_user=1) as users:
        assert await admitted(users, "ann", "ab") == [None, Excess.CONNECTIONS]
        assert await admitted(users, "bob", "cd", 2) == [None, None]
    async with opened() as users:
        assert set(await admitted(users, "ann", "abcdefghijklmnop")) == {None}


async def test_a_user_connects_so_often_at_once_and_others_as_often(opened: Opened) -> None:
    async with opened(connects_per_user_per_s=0.001, connect_burst_per_user=2) as users:
        assert await admitted(users, "ann", "abc") == [None, None, Excess.CONNECTS]
        assert await admitted(users, "bob", "d") == [None]


async def test_to_leave_gives_no_connect_back(opened: Opened) -> None:
    async with opened(connects_per_user_per_s=0.001, connect_burst_per_user=1) as users:
        assert await admitted(users, "ann", "a") == [None]
        users.leave("ann", "a")
        assert await admitted(users, "ann", "b") == [Excess.CONNECTS]


async def test_all_connections_of_a_plan_may_come_at_once(opened: Opened) -> None:
    async with opened(connects_per_user_per_s=0.001, connect_burst_per_user=1) as users:
        assert await admitted(users, "ann", "abcd", 3) == [None, None, None, Excess.CONNECTIONS]
        users.leave("ann", "a")
        assert await admitted(users, "ann", "e", 3) == [Excess.CONNECTS]


async def test_one_connection_too_many_takes_no_connect(opened: Opened) -> None:
    async with opened(connects_per_user_per_s=0.001, connect_burst_per_user=2) as users:
        assert await admitted(users, "ann", "abc", 1) == [None, Excess.CONNECTIONS, Excess.CONNECTIONS]
        users.leave("ann", "a")
        assert await admitted(users, "ann", "d", 1) == [None]


@pytest.mark.parametrize("user", ["", "{a}:{b}", "ä ö\n\x00", "x" * 255, "\ud800"])
async def test_a_user_has_any_name(opened: Opened, user: str) -> None:
    async with opened() as users:
        assert await admitted(users, user, "ab", 1) == [None, Excess.CONNECTIONS]
        users.leave(user, "a")
        assert await admitted(users, user, "c", 1) == [None]


Step = tuple[bool, str, str]
STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from("123456")), max_size=60)


@given(STEPS)
def test_whoever_comes_and_goes_the_process_counts_who_is_here(steps: list[Step]) -> None:
    users = LocalUserLimits(UserPlan(NO_LIMITS), ManualClock())
    here: dict[str, set[str]] = {"a": set(), "b": set()}
    for comes, user, connection in steps:
        if comes and connection in here[user]:
            continue
        if comes:
            excess = users.take(user, connection, 3)
            assert (excess is None) == (len(here[user]) < 3)
            here[user] |= {connection} if excess is None else set()
        else:
            assert users.leave(user, connection) == (connection in here[user])
            here[user].discard(connection)
        for each, connections in here.items():
            assert sorted(users.connections_of(each)) == sorted(connections)
        assert set(users.users) == {each for each, connections in here.items() if connections}
