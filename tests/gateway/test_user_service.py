"""The client of the user service, against a real HTTP server: who is let in, how often it asks, what it remembers."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator

import pytest

from gateway.introspection import INACTIVE
from gateway.user_service import UserService, UserServiceUnavailableError
from runtime.secret import Secret
from standins.clock import ManualClock
from standins.user_service import Fault, Limits, TokenRecord, UserServiceStandIn

KEY = Secret("internal")
START_S = 1_704_067_200
DEMO = TokenRecord(sub="42", plan="pro", channels=("bars:*",), limits=Limits(connections=5, subscriptions=200))
SOON = TokenRecord(sub="43", exp=START_S + 20)


@pytest.fixture
async def standin(clock: ManualClock) -> AsyncIterator[UserServiceStandIn]:
    async with UserServiceStandIn({"demo": DEMO, "soon": SOON}, api_key=KEY, clock=clock) as standin:
        yield standin


@pytest.fixture
async def users(standin: UserServiceStandIn, clock: ManualClock) -> AsyncIterator[UserService]:
    async with UserService(standin.url, api_key=KEY, clock=clock, timeout_s=5.0) as users:
        yield users


async def test_a_known_token_is_answered_with_what_it_allows(users: UserService) -> None:
    answer = (await users.introspect("demo")).who

    assert (answer.active, answer.sub, answer.exp, answer.plan) == (True, "42", None, "pro")
    assert answer.channels == ("bars:*",)
    assert (answer.limits.connections, answer.limits.subscriptions, answer.limits.live_rate) == (5, 200, None)


async def test_an_unknown_token_is_inactive(users: UserService) -> None:
    assert (await users.introspect("nobody")).who == INACTIVE


@pytest.mark.parametrize("token", ["", "\ud800", "x" * 16_385])
async def test_a_token_that_nobody_can_have_is_inactive_unasked(
    token: str, users: UserService, standin: UserServiceStandIn
) -> None:
    assert (await users.introspect(token)).who == INACTIVE
    assert standin.requests.total() == 0


async def test_a_token_of_any_characters_reaches_the_service_as_it_is(
    users: UserService, standin: UserServiceStandIn
) -> None:
    strange = "a b&token=demo+%00ü\n…"
    standin.tokens[strange] = DEMO

    assert (await users.introspect(strange)).who.sub == "42"
    assert standin.requests == {strange: 1}


async def test_an_answer_is_remembered_for_a_minute(
    users: UserService, standin: UserServiceStandIn, clock: ManualClock
) -> None:
    await users.introspect("demo")
    standin.revoke("demo")
    clock.advance(59.9)
    assert (await users.introspect("demo")).who.active
    assert standin.requests["demo"] == 1

    clock.advance(0.1)
    assert not (await users.introspect("demo")).who.active
    assert standin.requests["demo"] == 2


async def test_an_answer_is_remembered_no_longer_than_the_token_lasts(
    users: UserService, standin: UserServiceStandIn, clock: ManualClock
) -> None:
    await users.introspect("soon")
    clock.advance(19.9)
    assert (await users.introspect("soon")).who.active
    clock.advance(0.1)

    assert (await users.introspect("soon")).who == INACTIVE
    assert standin.requests["soon"] == 2


async def test_a_remembered_answer_ends_with_its_token_when_the_wall_clock_jumps(
    users: UserService, clock: ManualClock
) -> None:
    await users.introspect("soon")
    clock.set_wall_ns((START_S + 21) * 1_000_000_000)

    assert (await users.introspect("soon")).who == INACTIVE


async def test_a_refusal_is_remembered_for_five_seconds(
    users: UserService, standin: UserServiceStandIn, clock: ManualClock
) -> None:
    await users.introspect("new")
    standin.tokens["new"] = DEMO
    clock.advance(4.9)
    assert not (await users.introspect("new")).who.active

    clock.advance(0.1)
    assert (await users.introspect("new")).who.active
    assert standin.requests["new"] == 2


async def test_an_answer_says_until_when_it_holds(users: UserService, clock: ManualClock) -> None:
    clock.advance(1)
    until_s = [(await users.introspect(token)).until_ns / 1e9 for token in ("demo", "soon", "nobody")]
    clock.advance(1)
    again_s = (await users.introspect("demo")).until_ns / 1e9

    assert until_s == [61, 20, 6]
    assert again_s == 61


async def test_an_answer_that_holds_longer_is_asked_for_once_for_all_who_want_it(
    users: UserService, standin: UserServiceStandIn, clock: ManualClock
) -> None:
    first = await users.introspect("demo")
    clock.advance(30)
    newer = await users.introspect("demo", beyond_ns=first.until_ns)
    same = await users.introspect("demo", beyond_ns=first.until_ns)

    assert newer == same
    assert newer.until_ns == first.until_ns + 30_000_000_000
    assert standin.requests["demo"] == 2


async def test_a_token_that_is_found_revoked_is_believed_of_nobody_any_more(
    users: UserService, standin: UserServiceStandIn, clock: ManualClock
) -> None:
    first = await users.introspect("demo")
    clock.advance(30)
    standin.revoke("demo")

    assert not (await users.introspect("demo", beyond_ns=first.until_ns)).who.active
    assert not (await users.introspect("demo", beyond_ns=first.until_ns)).who.active
    assert not (await users.introspect("demo")).who.active
    assert standin.requests["demo"] == 2


async def test_an_active_answer_to_a_token_whose_end_has_passed_is_inactive(
    users: UserService, standin: UserServiceStandIn
) -> None:
    standin.misbehave(Fault(body=b'{"active": true, "sub": "42", "exp": %d}' % START_S))

    assert (await users.introspect("demo")).who == INACTIVE


async def test_refusals_do_not_push_out_answers(standin: UserServiceStandIn, clock: ManualClock) -> None:
    async with UserService(standin.url, api_key=KEY, clock=clock, cached=2) as users:
        await users.introspect("demo")
        for token in ("a", "b", "c"):
            await users.introspect(token)
        await users.introspect("demo")
        await users.introspect("a")

    assert standin.requests == {"demo": 1, "a": 2, "b": 1, "c": 1}


async def test_many_at_once_ask_once_for_each_token(users: UserService, standin: UserServiceStandIn) -> None:
    standin.hold()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(users.introspect(token)) for token in ("demo", "soon") * 10]
        await standin.wait_for_requests(2)
        standin.release()

    assert [task.result().who.sub for task in asked] == ["42", "43"] * 10
    assert standin.requests == {"demo": 1, "soon": 1}


async def test_one_who_gives_up_does_not_end_the_question_of_the_others(
    users: UserService, standin: UserServiceStandIn
) -> None:
    standin.hold()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(users.introspect("demo"))
        second = group.create_task(users.introspect("demo"))
        await standin.wait_for_requests(1)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        standin.release()

    assert first.cancelled()
    assert second.result().who.sub == "42"
    assert standin.requests["demo"] == 1


async def test_an_answer_that_nobody_waits_for_any_more_is_still_remembered(
    users: UserService, standin: UserServiceStandIn
) -> None:
    standin.hold()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(users.introspect("demo"))
        await standin.wait_for_requests(1)
        asked.cancel()
    standin.release()

    assert (await users.introspect("demo")).who.active
    assert standin.requests["demo"] == 1


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        pytest.param(Fault(status=500), 2, id="500"),
        pytest.param(Fault(status=503, body=b'{"active": true, "sub": "42"}'), 2, id="503 with an answer"),
        pytest.param(Fault(close=True), 2, id="a connection that is closed"),
        pytest.param(Fault(status=400), 1, id="400"),
        pytest.param(Fault(status=401, body=b'{"active": true, "sub": "42"}'), 1, id="401 with an answer"),
        pytest.param(Fault(status=404), 1, id="404"),
        pytest.param(Fault(status=429), 1, id="429"),
        pytest.param(Fault(status=201, body=b'{"active": true, "sub": "42"}'), 1, id="another success"),
        pytest.param(Fault(status=204), 1, id="no content"),
        pytest.param(Fault(status=307, headers={"Location": "/oauth2/introspect"}), 1, id="a redirect"),
        pytest.param(Fault(body=b"<html>"), 1, id="garbage"),
        pytest.param(Fault(body=b"[" * 60_000), 1, id="nested garbage"),
        pytest.param(Fault(body=b'{"active": "yes", "sub": "42"}'), 1, id="a wrong type"),
        pytest.param(Fault(body=b'{"active": true}'), 1, id="an active nobody"),
        pytest.param(Fault(body=b'{"active": true, "sub": "42"}' + b" " * 70_000), 1, id="a huge body"),
        pytest.param(
            Fault(body=gzip.compress(b'{"active": true, "sub": "42"}'), headers={"Content-Encoding": "gzip"}),
            1,
            id="a compressed body, unasked",
        ),
    ],
)
async def test_whatever_is_not_an_answer_lets_nobody_in(
    fault: Fault, tries: int, users: UserService, standin: UserServiceStandIn
) -> None:
    standin.misbehave(fault)

    with pytest.raises(UserServiceUnavailableError, match="expected"):
        await users.introspect("demo")
    assert standin.requests["demo"] == tries


async def test_a_failure_is_not_remembered(users: UserService, standin: UserServiceStandIn) -> None:
    standin.misbehave(Fault(status=500))
    with pytest.raises(UserServiceUnavailableError):
        await users.introspect("demo")
    standin.behave()

    assert (await users.introspect("demo")).who.active


@pytest.mark.parametrize("fault", [Fault(status=502), Fault(close=True)])
async def test_a_failure_that_passes_is_not_noticed(
    fault: Fault, users: UserService, standin: UserServiceStandIn
) -> None:
    standin.misbehave(fault, times=1)

    assert (await users.introspect("demo")).who.active
    assert standin.requests["demo"] == 2


async def test_a_silent_service_is_asked_twice_and_then_given_up(
    standin: UserServiceStandIn, clock: ManualClock
) -> None:
    standin.hold()
    async with UserService(standin.url, api_key=KEY, clock=clock, timeout_s=0.05) as users:
        with pytest.raises(UserServiceUnavailableError, match=r"within 0\.05 s"):
            await users.introspect("demo")

    assert standin.requests["demo"] == 2


async def test_a_wrong_key_lets_nobody_in(standin: UserServiceStandIn, clock: ManualClock) -> None:
    async with UserService(standin.url, api_key=Secret("another"), clock=clock) as users:
        with pytest.raises(UserServiceUnavailableError, match="401"):
            await users.introspect("demo")


async def test_a_service_that_is_not_there_lets_nobody_in(free_port: int, clock: ManualClock) -> None:
    async with UserService(f"http://127.0.0.1:{free_port}", api_key=KEY, clock=clock) as users:
        with pytest.raises(UserServiceUnavailableError):
            await users.introspect("demo")


async def test_no_secret_is_in_what_an_error_says(standin: UserServiceStandIn, clock: ManualClock) -> None:
    async with UserService(standin.url, api_key=KEY, clock=clock) as users:
        said = []
        for fault in (Fault(status=500), Fault(close=True), Fault(body=b"{"), Fault(body=b'{"active": 5}')):
            standin.misbehave(fault)
            with pytest.raises(UserServiceUnavailableError) as caught:
                await users.introspect("hush-token")
            said.append(str(caught.value))

    assert not [text for text in said if "hush" in text or KEY.reveal() in text]


async def test_leaving_ends_the_questions_under_way_as_unavailable(
    standin: UserServiceStandIn, clock: ManualClock
) -> None:
    standin.hold()
    async with (
        asyncio.TaskGroup() as group,
        UserService(standin.url, api_key=KEY, clock=clock, timeout_s=5.0) as users,
    ):
        asked = group.create_task(_outcome(users, "demo"))
        await standin.wait_for_requests(1)
        late = group.create_task(_outcome(users, "soon"))
        await asyncio.sleep(0)

    assert asked.result() == late.result() == "user service: the client was closed"


async def test_a_closed_client_lets_nobody_in(standin: UserServiceStandIn, clock: ManualClock) -> None:
    users = UserService(standin.url, api_key=KEY, clock=clock)

    assert await _outcome(users, "demo") == "user service: expected an open client, found it closed"
    async with users:
        assert await _outcome(users, "demo") == "active"
    assert await _outcome(users, "soon") == "user service: expected an open client, found it closed"


async def test_an_error_inside_its_lifetime_comes_out_as_it_is(standin: UserServiceStandIn, clock: ManualClock) -> None:
    standin.hold()

    async def fail_inside() -> None:
        async with UserService(standin.url, api_key=KEY, clock=clock, probe_s=5.0):
            await standin.wait_for_requests(1)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_inside()


async def test_it_says_whether_the_service_answers(standin: UserServiceStandIn, clock: ManualClock) -> None:
    async with UserService(standin.url, api_key=KEY, clock=clock) as users:
        said = [users.unavailable]
        await users.introspect("demo")
        said.append(users.unavailable)
        standin.misbehave(Fault(status=503))
        await _outcome(users, "soon")
        said.append(users.unavailable)

    assert said == ["not asked yet", None, "expected status 200, found 503"]


async def test_a_probe_asks_again_and_again_about_nobody(standin: UserServiceStandIn, clock: ManualClock) -> None:
    async with UserService(standin.url, api_key=KEY, clock=clock, probe_s=0.001) as users:
        await standin.wait_for_requests(3)
        assert users.unavailable is None

    assert set(standin.requests) == {"readiness-probe"}


async def _outcome(users: UserService, token: str) -> str:
    try:
        return "active" if (await users.introspect(token)).who.active else "inactive"
    except UserServiceUnavailableError as error:
        return str(error)
