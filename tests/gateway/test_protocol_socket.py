"""The WebSocket below the protocol: handshakes, frames, and how sockets end."""

import contextlib
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.gateway.service import BARS, running
from tests.gateway.test_protocol import CONNECT, subscribe


async def test_an_empty_subprotocol_header_counts_as_none() -> None:
    async with running() as service, service.raw(additional_headers={"Sec-WebSocket-Protocol": ""}) as peer:
        assert peer.socket.subprotocol is None
        assert "connect" in await peer.ask(CONNECT)


async def test_the_json_subprotocol_is_chosen_when_it_is_offered() -> None:
    async with running() as service, service.raw(subprotocols=["centrifuge-json"]) as peer:
        assert peer.socket.subprotocol == "centrifuge-json"
        assert "connect" in await peer.ask(CONNECT)


async def test_another_path_is_404() -> None:
    async with running() as service:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{service.port}/elsewhere")
    assert refused.value.response.status_code == 404


async def test_a_page_of_another_origin_is_403_and_a_bot_without_one_is_let_in() -> None:
    async with running(origins=("https://desk.example",)) as service:
        async with service.raw(origin="https://desk.example") as peer:
            assert "connect" in await peer.ask(CONNECT)
        async with service.connected():
            pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.url, origin=Origin("https://desk.example.evil"))
    assert refused.value.response.status_code == 403


async def test_a_fragmented_message_is_one_message() -> None:
    async with running() as service, service.raw() as peer:
        await peer.socket.send(iter(['{"id":1,"conn', 'ect":{"token"', ':"all"}}']))
        assert "connect" in await peer.receive()


async def test_a_message_in_too_many_fragments_is_closed_with_1008() -> None:
    async with running() as service, service.raw() as peer:
        with contextlib.suppress(ConnectionClosed):
            await peer.socket.send(iter([" "] * 1000))
        assert (await peer.closed())[0] == 1008


async def test_two_hosts_are_400() -> None:
    async with running() as service:
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.url, additional_headers={"Host": "another"})
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"{}", 1003), ("{" + " " * 65_536 + "}", 1009)],
    ids=["binary", "too big"],
)
async def test_a_frame_that_is_none_of_ours_is_closed(sent: bytes | str, code: int) -> None:
    async with running() as service, service.raw() as peer:
        await peer.socket.send(sent)
        assert (await peer.closed())[0] == code


async def test_text_that_is_not_utf8_is_closed_with_1007() -> None:
    async with running() as service, service.raw() as peer:
        await peer.socket.send(b"\xff\xfe", text=True)
        assert (await peer.closed())[0] == 1007


async def test_one_clients_fault_ends_that_client_only() -> None:
    async with running() as service, service.connected() as good, service.connected() as bad:
        await good.ask(subscribe(BARS))
        await bad.ask(subscribe(BARS))
        await bad.socket.send("nonsense")
        assert (await bad.closed())[0] == 3501
        await service.engine.publish(BARS, 1, final=True)
        assert (await good.receive())["push"]["pub"]["data"] == 1


async def test_leaving_closes_every_client_with_3001() -> None:
    sockets = []
    async with running() as service:
        for _ in range(3):
            socket = await connect(service.url)
            await socket.send(json.dumps(CONNECT))
            assert "connect" in json.loads(await socket.recv())
            sockets.append(socket)
    for socket in sockets:
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (3001, "shutdown")


async def test_counts_of_connections_and_deliveries_are_true() -> None:
    async with running() as service, service.connected() as one, service.connected() as two:
        await one.ask(subscribe(BARS))
        await two.ask(subscribe(BARS))
        await service.engine.publish(BARS, json.loads("1"), final=True)
        await one.receive()
        await two.receive()
        assert service.sample("gateway_connections") == 2
        assert service.sample("gateway_deliveries_total") == 2
