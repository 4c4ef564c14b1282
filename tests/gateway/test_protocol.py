"""What a client gets for what it sends, over real sockets: every row of docs/protocol.md that this version has."""

import asyncio
import time
from typing import Any

import pytest

from gateway.config import TimingConfig
from standins.user_service import Fault, TokenRecord
from tests.gateway.service import BARS, RSI, RSI_CANONICAL, running
from wire.envelope import Description

CONNECT = {"id": 1, "connect": {"token": "all"}}


HANDSHAKE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A client's text frame of under 126 bytes, masked with zeros."""
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text


def subscribe(channel: str, command_id: int = 2, **options: Any) -> dict[str, Any]:
    return {"id": command_id, "subscribe": {"channel": channel, **options}}


# connect


async def test_connect_answers_with_pings_the_time_and_the_limits() -> None:
    async with running() as service, service.raw() as peer:
        reply = await peer.ask({"id": 7, "connect": {"token": "few"}})
    result = reply["connect"]
    assert reply["id"] == 7
    assert (result["ping"], result["pong"], result["version"]) == (10, True, "test")
    assert result["client"]
    assert abs(result["data"]["time_ms"] - time.time() * 1000) < 60_000
    assert result["data"]["limits"] == {"subscriptions": 2}


async def test_no_token_is_closed_with_3500() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send({"id": 1, "connect": {}})
        code, reason = await peer.closed()
    assert code == 3500
    assert reason


async def test_a_wrong_token_gets_error_109_and_the_commands_behind_it_are_dropped() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send({"id": 1, "connect": {"token": "wrong"}}, subscribe(BARS))
        reply = await peer.receive()
        assert reply == {"id": 1, "error": {"code": 109, "message": "token expired"}}
        await peer.socket.close()
    assert service.sample("gateway_refusals_total", {"code": "109"}) == 1
    assert service.sample("gateway_refusals_total", {"code": "100"}) is None


async def test_a_bot_may_show_its_token_in_the_handshake() -> None:
    async with running() as service:
        async with service.raw(additional_headers={"Authorization": "Bearer all"}) as peer:
            assert "connect" in await peer.ask({"id": 1, "connect": {}})
        async with service.raw(additional_headers={"Authorization": "Basic all"}) as peer:
            await peer.send({"id": 1, "connect": {}})
            assert (await peer.closed())[0] == 3500


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(close=True), Fault(body=b"no json"), Fault(body=b'{"active": "yes"}'), Fault(status=401)],
    ids=["fails", "hangs up", "garbage", "wrong type", "refuses us"],
)
async def test_a_user_service_that_does_not_answer_lets_nobody_in_and_the_client_may_try_again(fault: Fault) -> None:
    async with running() as service:
        service.users.misbehave(fault)
        async with service.raw() as peer:
            reply = await peer.ask(CONNECT)
            assert reply["error"]["code"] == 100
            assert reply["error"]["temporary"] is True
            assert reply["error"]["message"]
        service.users.behave()
        async with service.connected():
            pass


async def test_a_user_service_that_is_not_there_lets_nobody_in_and_the_gateway_is_not_ready() -> None:
    async with running() as service:
        await service.users.__aexit__(None, None, None)
        async with service.raw() as peer:
            reply = await peer.ask(CONNECT)
        assert (reply["error"]["code"], reply["error"]["temporary"]) == (100, True)
        assert service.checks["user_service"]() is not None


async def test_a_user_service_that_is_too_slow_is_not_waited_for() -> None:
    async with running(timeout_s=0.05) as service:
        service.users.hold()
        async with service.raw() as peer:
            reply = await peer.ask(CONNECT)
        service.users.release()
    assert reply["error"]["code"] == 100


async def test_a_token_that_expires_closes_the_connection_with_3005() -> None:
    async with running() as service:
        service.users.tokens["short"] = TokenRecord(sub="9", channels=("*",), exp=int(time.time()) + 2)
        async with service.connected("short") as peer:
            assert (await peer.closed())[0] == 3005


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "\n",
        "no json",
        "[]",
        "{}\n\n{}",
        '{"id":-1,"connect":{}}',
        '{"id":"1","connect":{}}',
        '{"connect":{"token":"all"}}',
        '{"id":1}',
        '{"id":1,"subscribe":{"channel":"bars:DEMO:S01@1m"}}',
        '{"id":1,"ping":{}}',
        '{"id":1,"connect":{"token":7}}',
        "[" * 50_000,
        '{"id":1,"connect":{"data":' + "[" * 30_000 + "]" * 30_000 + "}}",
    ],
)
async def test_what_is_no_command_or_comes_before_connect_is_closed_with_3501(sent: str) -> None:
    async with running() as service, service.raw() as peer:
        await peer.socket.send(sent)
        code, reason = await peer.closed()
    assert code == 3501
    assert reason


async def test_a_second_connect_is_closed_with_3501() -> None:
    async with running() as service, service.connected() as peer:
        await peer.send(CONNECT)
        assert (await peer.closed())[0] == 3501


async def test_a_client_that_is_closed_while_it_is_judged_and_does_not_answer_is_cut_all_the_same() -> None:
    async with running() as service:
        service.users.hold()
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(masked(b'{"id":1,"connect":{"token":"few"}}'))
        await service.users.wait_for_requests(2)
        writer.write(masked(b"nonsense"))
        assert (await reader.readexactly(4))[2:] == (3501).to_bytes(2, "big")
        service.users.release()
        async with asyncio.timeout(4):
            await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_send_is_closed_with_3508() -> None:
    async with running() as service, service.connected() as peer:
        await peer.send({"send": {"data": {}}})
        assert (await peer.closed())[0] == 3508


async def test_who_says_nothing_is_closed_with_3502() -> None:
    async with running(timing=TimingConfig(connect_s=0.05)) as service, service.raw() as peer:
        assert (await peer.closed())[0] == 3502


async def test_who_does_not_even_shake_hands_is_cut() -> None:
    async with running(timing=TimingConfig(connect_s=0.05)) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


# pings


async def test_pings_come_and_a_client_that_answers_stays() -> None:
    async with running(timing=TimingConfig(ping_s=1, pong_s=0.9)) as service, service.connected() as peer:
        for _ in range(2):
            async with asyncio.timeout(10):
                assert await peer.socket.recv() == "{}"
            await peer.socket.send("{}")
        assert "subscribe" in await peer.ask(subscribe(BARS))


async def test_a_client_that_does_not_answer_a_ping_is_closed_with_3012() -> None:
    async with running(timing=TimingConfig(ping_s=1, pong_s=0.05)) as service, service.connected() as peer:
        assert (await peer.closed())[0] == 3012


# subscribe


async def test_subscribe_answers_with_the_position_and_the_canonical_channel() -> None:
    async with running() as service, service.connected() as peer:
        epoch, top = service.engine.position(RSI)
        reply = await peer.ask(subscribe(RSI))
    assert reply["id"] == 2
    assert reply["subscribe"] == {
        "recoverable": True,
        "positioned": True,
        "epoch": epoch,
        "data": {"channel": RSI_CANONICAL, "warming": True, "max_rate": None},
        **({"offset": top} if top else {}),
    }
    assert RSI_CANONICAL in service.engine.wanted_channels


async def test_the_newest_final_follows_the_reply_then_live_values_and_finals_under_the_clients_name() -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(RSI_CANONICAL)
        await service.engine.publish(BARS, {"t": 0}, final=True)
        await service.engine.publish(RSI_CANONICAL, {"t": 1}, final=True)
        await service.engine.publish(BARS, {"t": 1}, final=True)
        await peer.send(subscribe(RSI))
        reply = await peer.receive()
        assert (reply["subscribe"]["offset"], reply["subscribe"]["data"]["warming"]) == (3, False)
        assert await peer.receive() == {"push": {"channel": RSI, "pub": {"data": {"t": 1}, "offset": 3}}}
        await service.engine.publish(RSI_CANONICAL, {"t": 2}, final=False)
        await service.engine.publish(RSI_CANONICAL, {"t": 2, "f": 1}, final=True)
        assert await peer.receive() == {"push": {"channel": RSI, "pub": {"data": {"t": 2}, "offset": 3}}}
        assert await peer.receive() == {"push": {"channel": RSI, "pub": {"data": {"t": 2, "f": 1}, "offset": 4}}}


async def test_two_spellings_of_one_channel_are_two_subscriptions_of_one_client() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(RSI))
        await peer.ask(subscribe(RSI_CANONICAL, 3))
        await service.engine.publish(RSI_CANONICAL, 1, final=True)
        heard = {(await peer.receive())["push"]["channel"] for _ in range(2)}
    assert heard == {RSI, RSI_CANONICAL}


REFUSALS = [
    ("bars", "nonsense", 107),
    ("bars", "bars:DEMO", 107),
    ("bars", "bars:demo:s01@1m", 107),
    ("bars", "bars:DEMO:S01", 107),
    ("bars", "bars:DEMO:S01@1m:x", 107),
    ("bars", "bars:DEMO:S01\u00e9@1m", 107),
    ("bars", "bars:DEMO:S01@1m" + "0" * 250, 107),
    ("all", "signals:DEMO:S01@1m:foo(", 107),
    ("all", "signals:DEMO:S01@1m:__import__('os')", 107),
    ("all", "signals:DEMO:S01@1m:", 107),
    ("all", "alerts:DEMO:S01@1m:rsi(14)", 107),
    ("none", "candles:DEMO:S01@1m", 102),
    ("none", "bars:DEMO:S01@7m", 102),
    ("bars", "screens:DEMO@1m:rsi(14)", 107),
    ("bars", "status:DEMO:S01", 107),
    ("bars", "trades:DEMO:S01@1m", 107),
    ("none", "screens:DEMO@7m:close>open", 102),
    ("none", BARS, 103),
    ("none", "alerts:DEMO:S01@1m:rsi(14)>70", 103),
    ("none", "trades:DEMO:S01", 103),
    ("none", "status:DEMO", 103),
    ("bars", "screens:DEMO@1m:close>open", 103),
    ("venue", "status:OTHER", 103),
    ("venue", "trades:DEMO:S01", 103),
    ("all", "trades:DEMO:S99", 102),
    ("all", "alerts:DEMO:S99@1m:close>open", 102),
    ("all", "status:OTHER", 102),
    ("all", "screens:OTHER@1m:close>open", 102),
    ("none", "bars:DEMO:S99@1m", 103),
    ("bars", "signals:DEMO:S01@1m:rsi(15)", 103),
    ("bars", "bars:OTHER:S01@1m", 103),
    ("all", "bars:DEMO:S99@1m", 102),
    ("all", "bars:OTHER:S01@1m", 102),
]


@pytest.mark.parametrize(("token", "channel", "code"), REFUSALS)
async def test_a_channel_is_refused_with_the_code_that_the_protocol_names(token: str, channel: str, code: int) -> None:
    async with running() as service, service.connected(token) as peer:
        reply = await peer.ask(subscribe(channel))
        assert reply["error"]["code"] == code
        assert reply["error"]["message"]
        assert "temporary" not in reply["error"]
        good = RSI if token in ("all", "bars") else None
        if good is not None:
            assert "subscribe" in await peer.ask(subscribe(good, 3)), "one refusal does no harm to the next command"


async def test_an_expressions_error_names_the_fault_and_its_place() -> None:
    async with running() as service, service.connected() as peer:
        reply = await peer.ask(subscribe("signals:DEMO:S01@1m:close + foo"))
    assert "foo" in reply["error"]["message"]
    assert "9" in reply["error"]["message"]


async def test_an_entitlement_is_judged_on_the_canonical_name() -> None:
    async with running() as service, service.connected("bars") as peer:
        assert "subscribe" in await peer.ask(subscribe("signals:DEMO:S01@1m:rsi(length=14)"))


async def test_more_subscriptions_than_the_plan_allows_get_error_106_and_one_more_fits_after_an_unsubscribe() -> None:
    async with running() as service, service.connected("few") as peer:
        for n in (1, 2):
            assert "subscribe" in await peer.ask(subscribe(f"bars:DEMO:S0{n}@1m", n + 1))
        assert (await peer.ask(subscribe("bars:DEMO:S03@1m", 4)))["error"]["code"] == 106
        assert await peer.ask({"id": 5, "unsubscribe": {"channel": "bars:DEMO:S01@1m"}}) == {"id": 5, "unsubscribe": {}}
        assert "subscribe" in await peer.ask(subscribe("bars:DEMO:S03@1m", 6))


async def test_the_same_name_twice_is_error_105() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(BARS))
        assert (await peer.ask(subscribe(BARS, 3)))["error"]["code"] == 105


async def test_an_engine_that_has_no_room_is_error_111_and_temporary() -> None:
    async with running() as service, service.connected() as peer:
        refused = "no memory for one more expression"
        service.engine.description = Description(warming=False, refused=refused, temporary=True)
        reply = await peer.ask(subscribe(RSI))
        assert reply["error"] == {"code": 111, "message": refused, "temporary": True}
        service.engine.description = Description(warming=True)
        assert "subscribe" in await peer.ask(subscribe(RSI, 3))


async def test_what_an_engine_does_not_compute_at_all_is_error_108_in_its_words() -> None:
    async with running() as service, service.connected() as peer:
        service.engine.description = Description(warming=False, refused="DEMO has no quotes")
        reply = await peer.ask(subscribe("quotes:DEMO:S01"))
    assert reply["error"] == {"code": 108, "message": "DEMO has no quotes"}


async def test_what_is_not_known_is_named_for_what_it_is() -> None:
    async with running() as service, service.connected() as peer:
        for channel, said in (("status:OTHER", "unknown venue OTHER"), ("bars:DEMO:S99@1m", "unknown instrument")):
            assert said in (await peer.ask(subscribe(channel)))["error"]["message"]


@pytest.mark.parametrize("method", ["publish", "presence", "presence_stats", "sub_refresh"])
async def test_what_is_not_offered_is_error_108(method: str) -> None:
    async with running() as service, service.connected() as peer:
        reply = await peer.ask({"id": 2, method: {"channel": BARS}})
    assert reply["error"]["code"] == 108


async def test_commands_that_arrive_together_run_in_order() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send(
            CONNECT,
            subscribe(BARS, 2),
            {"id": 3, "unsubscribe": {"channel": BARS}},
            subscribe(BARS, 4),
            subscribe(BARS, 5),
        )
        replies = [await peer.receive() for _ in range(5)]
    assert [reply["id"] for reply in replies] == [1, 2, 3, 4, 5]
    assert replies[4]["error"]["code"] == 105
    assert all("error" not in reply for reply in replies[:4])


async def test_hundreds_of_commands_in_one_frame_are_all_answered() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send(CONNECT, *(subscribe("bars:DEMO:S99@1m", n) for n in range(2, 600)))
        replies = [await peer.receive() for _ in range(599)]
    assert [reply["id"] for reply in replies] == list(range(1, 600))


async def test_an_unsubscribed_channel_is_silent() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(BARS))
        await peer.ask(subscribe(RSI, 3))
        await peer.ask({"id": 4, "unsubscribe": {"channel": BARS}})
        await service.engine.publish(BARS, 1, final=True)
        await service.engine.publish(RSI_CANONICAL, 2, final=True)
        assert (await peer.receive())["push"]["pub"]["data"] == 2
