"""The stand-in of the user service speaks RFC 7662, knows its callers by a key, and reads its tokens from a file."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from runtime.config import ConfigError
from runtime.errors import ListenError
from runtime.secret import Secret
from standins.clock import ManualClock
from standins.user_service import Fault, Limits, TokenRecord, UserServiceStandIn, load_tokens

KEY = Secret("internal")
HEADERS = {"X-Internal-API-Key": "internal"}
DEMO = TokenRecord(
    sub="42", exp=1_704_067_300, plan="pro", channels=("bars:*",), limits=Limits(connections=5, live_rate=2.5)
)


@pytest.fixture
async def standin(clock: ManualClock) -> AsyncIterator[UserServiceStandIn]:
    tokens = {"demo": DEMO, "off": TokenRecord(sub="43", active=False), "bare": TokenRecord(sub="44")}
    async with UserServiceStandIn(tokens, api_key=KEY, clock=clock) as standin:
        yield standin


@pytest.fixture
async def http(standin: UserServiceStandIn) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(standin.url) as session:
        yield session


async def introspect(http: aiohttp.ClientSession, token: str) -> object:
    async with http.post("/oauth2/introspect", data={"token": token}, headers=HEADERS) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        answer: object = await response.json()
        return answer


async def test_an_active_token_is_answered_with_all_that_is_known(http: aiohttp.ClientSession) -> None:
    assert await introspect(http, "demo") == {
        "active": True,
        "sub": "42",
        "exp": 1_704_067_300,
        "plan": "pro",
        "channels": ["bars:*"],
        "limits": {"connections": 5, "live_rate": 2.5},
    }


async def test_what_is_not_said_of_a_token_is_left_out(http: aiohttp.ClientSession) -> None:
    assert await introspect(http, "bare") == {"active": True, "sub": "44"}


@pytest.mark.parametrize("token", ["nobody", "off", "DEMO"])
async def test_of_any_other_token_nothing_is_said_but_that(token: str, http: aiohttp.ClientSession) -> None:
    assert await introspect(http, token) == {"active": False}


async def test_a_token_ends_when_its_time_has_come(http: aiohttp.ClientSession, clock: ManualClock) -> None:
    clock.advance(100)

    assert await introspect(http, "demo") == {"active": False}


async def test_a_revoked_token_is_inactive(standin: UserServiceStandIn, http: aiohttp.ClientSession) -> None:
    standin.revoke("demo")

    assert await introspect(http, "demo") == {"active": False}


@pytest.mark.parametrize("headers", [{}, {"X-Internal-API-Key": ""}, {"X-Internal-API-Key": "internal "}])
async def test_a_caller_without_the_key_is_told_nothing(headers: dict[str, str], http: aiohttp.ClientSession) -> None:
    headers = {name: value.replace(" ", "x") for name, value in headers.items()}
    async with http.post("/oauth2/introspect", data={"token": "demo"}, headers=headers) as response:
        assert response.status == 401
        assert await response.json() == {"error": "invalid_client"}


async def test_a_form_without_a_token_is_a_bad_request(http: aiohttp.ClientSession) -> None:
    async with http.post("/oauth2/introspect", data={"tokens": "demo"}, headers=HEADERS) as response:
        assert response.status == 400


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/oauth2/introspect", 405), ("POST", "/", 404)])
async def test_nothing_else_is_served(method: str, path: str, status: int, http: aiohttp.ClientSession) -> None:
    async with http.request(method, path, headers=HEADERS) as response:
        assert response.status == status


async def test_it_misbehaves_as_often_as_it_is_told(standin: UserServiceStandIn, http: aiohttp.ClientSession) -> None:
    standin.misbehave(Fault(delay_s=0.001, status=500, body=b"oops", headers={"X-Odd": "1"}), times=1)
    async with http.post("/oauth2/introspect", data={"token": "demo"}, headers=HEADERS) as response:
        assert (response.status, await response.read(), response.headers["X-Odd"]) == (500, b"oops", "1")

    assert await introspect(http, "bare") == {"active": True, "sub": "44"}


async def test_it_cuts_the_connection_when_told(standin: UserServiceStandIn, http: aiohttp.ClientSession) -> None:
    standin.misbehave(Fault(close=True))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await introspect(http, "demo")


async def test_it_counts_what_it_was_asked_and_can_keep_it_waiting(
    standin: UserServiceStandIn, http: aiohttp.ClientSession
) -> None:
    standin.hold()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(introspect(http, "bare"))
        await standin.wait_for_requests(1)
        assert standin.requests == {"bare": 1}
        assert not asked.done()
        standin.release()

    assert asked.done()


async def test_an_address_in_use_is_an_error_of_one_line(standin: UserServiceStandIn) -> None:
    with pytest.raises(ListenError, match=f"user service: expected a free address, found 127.0.0.1:{standin.port}"):
        await UserServiceStandIn({}, api_key=KEY, port=standin.port).__aenter__()


def test_tokens_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(
        """
        [tokens.demo]
        sub = "42"
        exp = 1704067300
        plan = "pro"
        channels = ["bars:*"]
        limits = { connections = 5, live_rate = 2.5 }

        [tokens."a.b"]
        sub = "43"
        active = false
        """
    )

    assert load_tokens(path) == {"demo": DEMO, "a.b": TokenRecord(sub="43", active=False)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected tables [tokens.NAME], found none"),
        ("tokens = 1", "expected tables [tokens.NAME], found none"),
        ("[token.demo]\nsub='42'", "expected tables [tokens.NAME] only, found token"),
        ("[tokens]\ndemo = 1", "tokens.demo: expected a table, found 1"),
        ("[tokens.demo]", "tokens.demo: sub: expected a value, found none"),
        ("[tokens.demo]\nsub = 42", "tokens.demo: sub: expected `str`, got `int`, found 42"),
        ("[tokens.demo]\nsub = ''", "tokens.demo: sub: expected `str` of length >= 1, found ''"),
        ("[tokens.demo]\nsub = '42'\nchannel = 'x'", "tokens.demo: channel: expected one of: sub, active, exp, plan"),
        ("[tokens.demo]\nsub = '42'\nlimits.rate = 1", "tokens.demo: limits.rate: expected one of: connections"),
        ("[tokens.demo]\nsub = '42'\nchannels = ['a', 1]", "tokens.demo: channels[1]: expected `str`, got `int`"),
        ("tokens", "expected TOML, found"),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_tokens(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable file, found: No such file"):
        load_tokens(tmp_path / "tokens.toml")
