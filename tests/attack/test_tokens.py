"""Who is nobody gets nothing: not before connect, not with another's token, position or channel, not by patterns."""

import time
from typing import Any

import pytest

from standins.user_service import TokenRecord
from tests.attack.attacker import Attacker, attacker, command, frame, handshake, known, opened
from tests.gateway.service import BARS, RSI_CANONICAL, Service, running

PRIVATE = "bars:DEMO:S02@1m"
TIME = {"id": 9, "rpc": {"method": "time"}}
OWN = TokenRecord(sub="6", channels=(BARS,))


async def ask(peer: Attacker, number: int, **methods: object) -> Any:
    peer.send(frame(command(number, **methods)))
    return await peer.message()


# before and after connect

BEFORE = {
    "subscribe": {"subscribe": {"channel": BARS}},
    "subscribe with a token in it": {"subscribe": {"channel": BARS, "token": "all"}},
    "history": {"history": {"channel": BARS, "limit": 1}},
    "rpc": {"rpc": {"method": "instruments"}},
    "refresh": {"refresh": {"token": "all"}},
    "unsubscribe": {"unsubscribe": {"channel": BARS}},
    "publish": {"publish": {"channel": BARS, "data": 1}},
    "presence": {"presence": {"channel": BARS}},
    "sub_refresh": {"sub_refresh": {"channel": BARS, "token": "all"}},
}


@pytest.mark.parametrize("methods", BEFORE.values(), ids=BEFORE)
async def test_nothing_is_answered_before_connect_even_with_connect_right_behind(methods: dict[str, object]) -> None:
    async with running() as service, opened(service) as peer:
        peer.send(frame(command(1, **methods) + b"\n" + command(2, connect={"token": "all"})))
        ending = await peer.ending()
        assert (ending.code, ending.messages) == (3501, [])
        assert service.users.requests["all"] == 0


async def test_a_connect_without_an_id_is_no_connect() -> None:
    async with running() as service, opened(service) as peer:
        peer.send(frame(b'{"connect":{"token":"all"}}'))
        assert (await peer.ending()).code == 3501
        assert service.users.requests["all"] == 0


async def test_nothing_behind_a_connect_runs_before_it_is_judged() -> None:
    async with running() as service, opened(service) as peer:
        service.users.hold()
        peer.send(frame(command(1, connect={"token": "none"}) + b"\n" + command(2, subscribe={"channel": BARS})))
        await service.users.wait_for_requests(service.users.requests.total() + 1)
        assert service.sample("gateway_subscriptions") == 0
        service.users.release()
        assert "connect" in await peer.message()
        assert (await peer.message())["error"]["code"] == 103


async def test_nobody_becomes_another_by_a_second_connect() -> None:
    async with running() as service, known(service, "none") as peer:
        peer.send(frame(command(2, connect={"token": "all"})), frame(command(3, subscribe={"channel": BARS})))
        ending = await peer.ending()
        assert (ending.code, ending.messages) == (3501, [])
        assert service.users.requests["all"] == 0


async def test_nobody_becomes_another_by_a_refresh() -> None:
    async with running() as service, known(service, "none") as peer:
        peer.send(frame(command(2, refresh={"token": "all"})), frame(command(3, subscribe={"channel": BARS})))
        ending = await peer.ending()
        assert (ending.code, ending.messages) == (3500, [])


# tokens that do not count


async def refused(service: Service, token: str) -> int:
    """The error code of a connect with this token; what is pipelined behind it is not answered."""
    async with opened(service) as peer:
        peer.send(frame(command(1, connect={"token": token}) + b"\n" + command(2, subscribe={"channel": BARS})))
        reply = await peer.message()
        peer.send(frame(b"\x03\xe8", 8))
        assert (await peer.ending()).messages == []
        code = reply["error"]["code"]
    assert isinstance(code, int)
    return code


async def test_an_expired_a_revoked_and_a_token_of_another_service_are_109() -> None:
    async with running() as service:
        service.users.tokens["expired"] = TokenRecord(sub="9", channels=("*",), exp=int(time.time()) - 1)
        service.users.tokens["of another service"] = TokenRecord(sub="9", channels=("*",), active=False)
        service.users.revoke("few")
        for token in ("expired", "of another service", "few", "never seen"):
            assert await refused(service, token) == 109


@pytest.mark.parametrize(
    "token",
    [
        "ALL",
        " all",
        "all ",
        "all\x00",
        "all\r\nX-Internal-API-Key: x",
        "all&token=few",
        "al%6C",
        "all%00",
        "*",
        "' OR 1=1--",
        "../all",
        "x" * 60_000,
        "\u0430ll",
        "\ufeffall",
    ],
)
async def test_a_token_is_taken_as_it_is_or_not_at_all(token: str) -> None:
    async with running() as service:
        assert await refused(service, token) == 109
        assert service.users.requests["all"] == 0
        assert service.users.requests["few"] == 0


async def test_a_token_that_says_more_than_its_introspection_is_not_believed() -> None:
    claims = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwiY2hhbm5lbHMiOlsiKiJdfQ."
    async with running() as service:
        assert await refused(service, f"{claims}x") == 109
        service.users.tokens[claims] = TokenRecord(sub="6")
        async with known(service, claims) as peer:
            assert (await ask(peer, 2, subscribe={"channel": BARS}))["error"]["code"] == 103


# a token in the address


@pytest.mark.parametrize(
    "query",
    ["?token=all", "?access_token=all", "?cf_connect=%7B%22token%22%3A%22all%22%7D", "?authorization=Bearer%20all"],
)
async def test_a_token_in_the_address_is_none(query: str) -> None:
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake(path=f"/connection/websocket{query}"), frame(command(1, connect={})))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert (await peer.ending()).code == 3500
        assert service.users.requests["all"] == 0


async def test_of_several_authorizations_none_counts() -> None:
    lines = ("Authorization: Bearer all", "Authorization: Bearer none")
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake(*lines), frame(command(1, connect={})))
        await peer.head()
        assert (await peer.ending()).code == 3500


# another's channel


def spellings() -> list[str]:
    """Ways to write the private channel, or more than it."""
    name = PRIVATE
    return [
        name,
        name.lower(),
        name.replace("bars", "BARS"),
        f" {name}",
        f"{name} ",
        f"{name}\x00",
        f"{name}\n",
        f"{name}#x",
        f"{name}?x",
        f"{BARS},{name}",
        f"{BARS}\x00{name}",
        f"{BARS}/../../{name}",
        f"$private:{name}",
        f"#{name}",
        name.replace("S02", "S0%32"),
        name.replace("@1m", "@60s"),
        "*",
        "**",
        "bars:*",
        "bars:DEMO:*",
        "bars:DEMO:S0?@1m",
        "bars:DEMO:S0[12]@1m",
        "bars:*:S02@1m",
        "bars:DEMO:S02@*",
        "signals:DEMO:S02@1m:close",
        "alerts:DEMO:S02@1m:close > 0",
        "trades:DEMO:S02",
        "quotes:DEMO:S02",
        "screens:DEMO@1m:close > 0",
        "screens:*@1m:close > 0",
        "status:DEMO",
        "status:*",
    ]


async def test_anothers_channel_is_refused_however_it_is_spelled_and_nothing_of_it_comes() -> None:
    async with running() as service:
        service.users.tokens["own"] = OWN
        async with known(service, "own") as peer:
            for number, name in enumerate(spellings(), 2):
                for methods in (
                    {"subscribe": {"channel": name}},
                    {"subscribe": {"channel": name, "token": "all"}},
                    {"subscribe": {"channel": name, "recover": True, "epoch": "", "offset": 0}},
                    {"history": {"channel": name, "limit": 10}},
                ):
                    reply = await ask(peer, number, **methods)
                    assert reply["error"]["code"] in {102, 103, 107, 108}, name
                    assert reply.keys() == {"id", "error"}
            assert service.sample("gateway_subscriptions") == 0
            await service.engine.publish(PRIVATE, "secret", final=True)
            assert "rpc" in await ask(peer, 900, rpc={"method": "time"})


async def test_anothers_position_opens_no_channel() -> None:
    async with running() as service:
        service.users.tokens["own"] = OWN
        async with service.connected() as owner:
            reply = await owner.ask({"id": 2, "subscribe": {"channel": PRIVATE}})
            epoch, offset = reply["subscribe"]["epoch"], reply["subscribe"].get("offset", 0)
        await service.engine.publish(PRIVATE, "secret", final=True)
        async with known(service, "own") as peer:
            position = {"channel": PRIVATE, "epoch": epoch, "offset": offset}
            for flag in (0, 2):
                reply = await ask(peer, 2, subscribe={**position, "recover": True, "flag": flag})
                assert reply == {"id": 2, "error": {"code": 103, "message": "permission denied"}}
            reply = await ask(peer, 3, history={"channel": PRIVATE, "limit": 9, "since": position})
            assert reply == {"id": 3, "error": {"code": 103, "message": "permission denied"}}


async def test_one_connections_end_of_a_subscription_is_none_of_anothers() -> None:
    async with running() as service, service.connected() as owner, known(service, "bars") as peer:
        assert "subscribe" in await owner.ask({"id": 2, "subscribe": {"channel": BARS}})
        assert "unsubscribe" in await ask(peer, 2, unsubscribe={"channel": BARS})
        await service.engine.publish(BARS, 1, final=True)
        assert (await owner.receive())["push"]["pub"]["data"] == 1


async def test_no_client_can_publish_or_see_who_is_there() -> None:
    async with running() as service, service.connected() as owner, known(service) as peer:
        await owner.ask({"id": 2, "subscribe": {"channel": BARS}})
        for number, method in enumerate(("publish", "presence", "presence_stats", "sub_refresh"), 2):
            reply = await ask(peer, number, **{method: {"channel": BARS, "data": "forged"}})
            assert reply["error"]["code"] == 108
        await service.engine.publish(BARS, "true", final=True)
        assert (await owner.receive())["push"]["pub"]["data"] == "true"


async def test_what_exists_is_not_told_to_who_may_not_read_it() -> None:
    async with running() as service:
        service.users.tokens["own"] = OWN
        async with known(service, "own") as peer:
            answers = [
                (await ask(peer, 2, subscribe={"channel": name}))["error"]
                for name in (PRIVATE, "bars:DEMO:S99@1m", "bars:NOWHERE:X@1m", RSI_CANONICAL.replace("S01", "S99"))
            ]
            assert answers == [{"code": 103, "message": "permission denied"}] * 4
            listed = await ask(peer, 3, rpc={"method": "instruments", "data": {"q": ""}})
            assert listed["rpc"]["data"] == [{"venue": "DEMO", "symbol": "S01"}]
            for query in ("*", "S0", "demo:s02", ".", "%"):
                listed = await ask(peer, 4, rpc={"method": "instruments", "data": {"q": query}})
                assert all(each["symbol"] == "S01" for each in listed["rpc"]["data"])


# tokens are not guessed here for free


async def test_a_token_that_is_refused_is_asked_about_once_and_remembered() -> None:
    async with running() as service:
        for _ in range(5):
            assert await refused(service, "guess") == 109
        assert service.users.requests["guess"] == 1


async def test_a_refused_client_is_answered_nothing_more_and_does_not_stay() -> None:
    async with running() as service, opened(service) as peer:
        peer.send(frame(command(1, connect={"token": "guess"})))
        assert (await peer.message())["error"]["code"] == 109
        peer.send(*(frame(command(n, connect={"token": f"guess {n}"})) for n in range(2, 100)))
        peer.send(frame(b"\x03\xe8", 8))
        assert (await peer.ending()).messages == []
        assert service.users.requests.total() - service.users.requests["guess"] <= 1, "the readiness probe alone"
