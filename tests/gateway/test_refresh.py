"""A token that ends can be replaced while the connection lives; a failed attempt changes nothing."""

import time
from typing import Any

import pytest

from gateway.config import TimingConfig
from standins.user_service import Fault, Limits, TokenRecord
from tests.gateway.service import BARS, RSI, RSI_CANONICAL, Service, running


def refresh(token: str, command_id: int = 9) -> dict[str, Any]:
    return {"id": command_id, "refresh": {"token": token}}


def subscribe(channel: str, command_id: int = 2) -> dict[str, Any]:
    return {"id": command_id, "subscribe": {"channel": channel}}


def know(service: Service, **tokens: TokenRecord) -> None:
    service.users.tokens.update(tokens)


def ending_in(seconds: int, *channels: str, limits: Limits | None = None) -> TokenRecord:
    return TokenRecord(sub="9", exp=int(time.time()) + seconds, channels=channels or ("*",), limits=limits or Limits())


async def test_connect_announces_a_tokens_end_and_a_refresh_the_next_ones() -> None:
    async with running() as service, service.raw() as peer:
        know(service, first=ending_in(600), second=ending_in(6000), endless=TokenRecord(sub="9"))
        connected = (await peer.ask({"id": 1, "connect": {"token": "first"}}))["connect"]
        assert connected["expires"] is True
        assert 560 <= connected["ttl"] <= 570
        refreshed = (await peer.ask(refresh("second")))["refresh"]
        assert refreshed["client"] == connected["client"]
        assert (refreshed["version"], refreshed["expires"]) == ("test", True)
        assert 5960 <= refreshed["ttl"] <= 5970
        endless = await peer.ask(refresh("endless", 10))
        assert endless == {"id": 10, "refresh": {"client": connected["client"], "version": "test"}}


async def test_a_token_that_does_not_end_is_not_announced() -> None:
    async with running() as service, service.raw() as peer:
        reply = await peer.ask({"id": 1, "connect": {"token": "all"}})
    assert "expires" not in reply["connect"]
    assert "ttl" not in reply["connect"]


async def test_a_refreshed_connection_outlives_its_first_token() -> None:
    async with running() as service:
        know(service, short=ending_in(2), long=ending_in(600))
        async with service.connected("short") as control, service.connected("short") as peer:
            assert "refresh" in await peer.ask(refresh("long"))
            assert (await control.closed())[0] == 3005
            assert "subscribe" in await peer.ask(subscribe(BARS))


async def test_a_failed_refresh_leaves_the_old_token_and_its_end() -> None:
    async with running() as service:
        know(service, short=ending_in(3), ended=ending_in(-1), inactive=TokenRecord(sub="9", active=False))
        async with service.connected("short") as peer:
            for token in ("nobody", "ended", "inactive"):
                assert (await peer.ask(refresh(token)))["error"]["code"] == 109
            service.users.misbehave(Fault(status=500))
            reply = await peer.ask(refresh("other"))
            assert (reply["error"]["code"], reply["error"]["temporary"]) == (100, True)
            assert reply["error"]["message"]
            assert "subscribe" in await peer.ask(subscribe(BARS))
            assert (await peer.closed())[0] == 3005


async def test_another_subscribers_token_closes_with_3500() -> None:
    async with running() as service, service.connected("all") as peer:
        await peer.send(refresh("bars"))
        code, reason = await peer.closed()
    assert code == 3500
    assert reason


async def test_a_refresh_without_a_token_closes_with_3501() -> None:
    async with running() as service, service.connected() as peer:
        await peer.send({"id": 2, "refresh": {}})
        assert (await peer.closed())[0] == 3501


async def test_a_refresh_before_connect_closes_with_3501() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send(refresh("all"))
        assert (await peer.closed())[0] == 3501


async def test_what_the_new_token_does_not_cover_ends_and_the_rest_goes_on() -> None:
    async with running() as service:
        know(service, wide=ending_in(600), narrow=ending_in(600, RSI_CANONICAL, limits=Limits(subscriptions=1)))
        async with service.connected("wide") as peer:
            await peer.ask(subscribe(BARS))
            await peer.ask(subscribe(RSI, 3))
            assert "refresh" in await peer.ask(refresh("narrow"))
            told = await peer.receive()
            assert told["push"]["channel"] == BARS
            assert told["push"]["unsubscribe"]["code"] == 2100
            assert told["push"]["unsubscribe"]["reason"]
            await service.engine.publish(BARS, 1, final=True)
            await service.engine.publish(RSI_CANONICAL, 2, final=True)
            assert (await peer.receive())["push"]["pub"]["data"] == 2
            assert service.sample("gateway_subscriptions") == 1
            assert (await peer.ask(subscribe(BARS, 4)))["error"]["code"] == 103
            assert (await peer.ask(subscribe(RSI_CANONICAL, 5)))["error"]["code"] == 106


async def test_what_is_not_covered_any_more_while_it_is_opened_is_refused() -> None:
    async with running() as service:
        know(service, wide=ending_in(600), narrow=ending_in(600, "signals:*"))
        async with service.connected("wide") as peer:
            await peer.send(subscribe(BARS, 2), refresh("narrow"), subscribe(BARS, 3))
            replies = [await peer.receive() for _ in range(4)]
    assert "subscribe" in replies[0]
    assert "refresh" in replies[1]
    assert replies[2]["push"]["unsubscribe"]["code"] == 2100
    assert replies[3]["error"]["code"] == 103


@pytest.mark.parametrize("request_", [{}, {"channel": BARS, "token": "x"}, {"token": "x"}])
async def test_subscription_tokens_are_error_108_whatever_is_in_them(request_: dict[str, str]) -> None:
    async with running() as service, service.connected() as peer:
        assert (await peer.ask({"id": 2, "sub_refresh": request_}))["error"]["code"] == 108
        assert "subscribe" in await peer.ask(subscribe(BARS, 3))


async def test_a_pong_is_heard_while_a_command_waits() -> None:
    timing = TimingConfig(ping_s=1, pong_s=0.5)
    async with running(timing=timing, timeout_s=30) as service, service.connected() as peer:
        service.users.hold()
        await peer.send(refresh("few"), subscribe(BARS))
        for _ in range(2):
            assert await peer.socket.recv() == "{}"
            await peer.socket.send("{}")
        service.users.release()
        assert (await peer.closed())[0] == 3500
