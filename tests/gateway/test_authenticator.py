"""A connection's token is asked about again before the answer ends, and what is said then is done."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from gateway.authenticator import Authenticator, Introspector
from gateway.config import NO_LIMITS
from gateway.effects import Authenticate, Effect, Evict, Open, Refresh, Send, Shut
from gateway.errors import UserServiceUnavailableError
from gateway.holders import Holders
from gateway.introspection import INACTIVE, Answer, Introspection
from gateway.user_limits import LocalUserLimits, UserLimits, UserPlan
from standins.clock import ManualClock
from tests.gateway.test_session import opened, session
from wire import close
from wire.client_messages import Command, ConnectRequest, SubscribeRequest

NS = 1_000_000_000
HOLDS_S = 0.02
"""What an answer holds by the test's clock: then the real timer of a review runs for half of that at least."""
ALL = Introspection(active=True, sub="1", channels=("*",))
BARS = "bars:DEMO:S01@1m"


class CountingClock(ManualClock):
    """A clock that counts how often it is looked at."""

    looks = 0

    def wall_ns(self) -> int:
        self.looks += 1
        return super().wall_ns()


async def turns() -> None:
    """Let the event loop turn a while."""
    for _ in range(20):
        await asyncio.sleep(0)


class Bench:
    """A session and its authenticator, and a user service that says what the test says, for a moment each."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.clock = CountingClock()
        self.session = session()
        self.says: Introspection | Exception = ALL
        self.beyond: list[int | None] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.acted: asyncio.Queue[Effect] = asyncio.Queue()
        self.holders = Holders()
        self.user_limits: UserLimits = LocalUserLimits(UserPlan(NO_LIMITS), self.clock)
        self.users: Introspector = self
        self.tasks = tasks
        self.authenticator = Authenticator(self.session, self, self._act)
        self._asked = asyncio.Condition()

    def _act(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self.acted.put_nowait(effect)

    async def introspect(self, token: str, *, beyond_ns: int | None = None) -> Answer:
        async with self._asked:
            self.beyond.append(beyond_ns)
            self._asked.notify_all()
        answers = self.answers
        await answers.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return Answer(self.says, self.clock.monotonic_ns() + round(HOLDS_S * NS))

    async def asked(self, times: int) -> None:
        async with self._asked:
            await self._asked.wait_for(lambda: len(self.beyond) >= times)

    async def connect(self) -> None:
        (asked,) = self.session.receive(Command(1, connect=ConnectRequest("t")))
        assert isinstance(asked, Authenticate)
        await self.authenticator.authenticate(asked)
        assert self.session.connected

    def fire(self) -> None:
        """Let the timer run out, which runs by the real clock."""
        assert self.session.standing is not None
        self.authenticator._look(self.session.standing)

    async def act(self) -> Effect:
        async with asyncio.timeout(10):
            return await self.acted.get()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with _bench() as bench:
        yield bench


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as tasks:
        bench = Bench(tasks)
        yield bench
        bench.authenticator.end()


async def test_an_answer_newer_than_the_one_that_ends_is_asked_for_again_and_again(bench: Bench) -> None:
    await bench.connect()
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.clock.advance(HOLDS_S)
    await bench.asked(3)
    assert bench.beyond == [None, round(HOLDS_S * NS), round(2 * HOLDS_S * NS)]
    assert bench.acted.empty()


async def test_a_revoked_token_closes_with_3500(bench: Bench) -> None:
    await bench.connect()
    bench.says = INACTIVE
    bench.clock.advance(HOLDS_S)
    effect = await bench.act()
    assert isinstance(effect, Shut)
    assert effect.close.code == 3500


async def test_what_another_plan_does_not_cover_ends(bench: Bench) -> None:
    await bench.connect()
    (opening,) = bench.session.receive(Command(2, subscribe=SubscribeRequest(BARS)))
    assert isinstance(opening, Open)
    subscription = opened(bench.session, opening)
    bench.says = Introspection(active=True, sub="1", channels=("signals:*",))
    bench.clock.advance(HOLDS_S)
    assert await bench.act() == Evict(subscription, close.ENTITLEMENT_LOST)


async def test_without_an_answer_a_connection_stays_for_a_minute_and_is_closed_with_3005(bench: Bench) -> None:
    await bench.connect()
    bench.says = UserServiceUnavailableError("down")
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    await turns()
    assert len(bench.beyond) == 2, "it is asked again a while later, not at once"
    bench.clock.advance(20)
    bench.fire()
    await bench.asked(3)
    assert bench.acted.empty()
    bench.clock.advance(40)
    bench.fire()
    effect = await bench.act()
    assert isinstance(effect, Shut)
    assert effect.close.code == 3005
    assert "user service" in effect.close.reason


async def test_a_user_service_that_is_back_makes_up_for_its_absence(bench: Bench) -> None:
    await bench.connect()
    bench.says = UserServiceUnavailableError("down")
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.says = ALL
    bench.clock.advance(50)
    bench.fire()
    await bench.asked(3)
    bench.clock.advance(HOLDS_S)
    await bench.asked(4)
    assert bench.acted.empty()
    assert bench.beyond[3] == bench.clock.monotonic_ns()


async def test_one_question_is_under_way_at_a_time_and_nobody_looks_meanwhile(bench: Bench) -> None:
    await bench.connect()
    bench.answers.clear()
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.fire()
    looks = bench.clock.looks
    await turns()
    assert len(bench.beyond) == 2
    assert bench.clock.looks == looks


async def test_a_token_that_ends_while_it_is_asked_about_ends_the_connection_at_once(bench: Bench) -> None:
    end_s = bench.clock.wall_ns() // NS + 3600
    bench.says = Introspection(active=True, sub="1", exp=end_s)
    await bench.connect()
    bench.answers.clear()
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.clock.set_wall_ns(end_s * NS)
    bench.fire()
    assert await bench.act() == Shut(close.EXPIRED)
    assert len(bench.beyond) == 2


async def test_an_answer_about_a_token_that_was_replaced_meanwhile_counts_for_nothing(bench: Bench) -> None:
    await bench.connect()
    bench.answers.clear()
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.answers, review = asyncio.Event(), bench.answers
    bench.answers.set()
    effects = await bench.authenticator.refresh(Refresh(2, "new"))
    assert [effect.reply.error for effect in effects if isinstance(effect, Send)] == [None]
    replaced = bench.session.standing
    bench.says = INACTIVE
    review.set()
    await turns()
    assert bench.acted.empty()
    assert bench.session.standing is replaced


async def test_a_fault_of_ours_ends_the_connection_and_nothing_else(bench: Bench) -> None:
    await bench.connect()
    bench.says = LookupError("ours")
    bench.clock.advance(HOLDS_S)
    assert await bench.act() == Shut(close.INTERNAL_ERROR)


async def test_nothing_is_asked_once_the_client_is_gone(bench: Bench) -> None:
    await bench.connect()
    bench.answers.clear()
    bench.clock.advance(HOLDS_S)
    await bench.asked(2)
    bench.authenticator.end()
    bench.says = INACTIVE
    bench.answers.set()
    await turns()
    assert bench.acted.empty()
