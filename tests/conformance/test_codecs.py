"""Which codec a client gets, and protobuf as it is on the wire: what no SDK does, and what SDKs have tripped over."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.config import TimingConfig
from tests.gateway.service import BARS, RSI, Service, running
from tests.waiting import until
from wire import client_pb2 as proto
from wire.codec_protobuf import PING, _prefixed, split

SUBPROTOCOLS = {"json": Subprotocol("centrifuge-json"), "protobuf": Subprotocol("centrifuge-protobuf")}
CODECS = pytest.mark.parametrize("codec", SUBPROTOCOLS)


class Peer:
    """A raw client in either codec, that writes and reads what JSON would say."""

    def __init__(self, socket: ClientConnection, codec: str) -> None:
        self.socket = socket
        self.codec = codec
        self.pings = 0

    async def send(self, *commands: dict[str, Any]) -> None:
        """Send commands in one frame."""
        if self.codec == "json":
            await self.socket.send("\n".join(json.dumps(command) for command in commands))
        else:
            await self.socket.send(b"".join(_prefixed(proto.Command(**command)) for command in commands))

    async def receive(self) -> dict[str, Any]:
        """The one message of the next frame; pings are counted and answered."""
        while True:
            async with asyncio.timeout(10):
                frame = await self.socket.recv()
            message = _read(frame)
            if message:
                return message
            self.pings += 1
            await self.socket.send("{}" if isinstance(frame, str) else PING)

    async def ask(self, **command: Any) -> dict[str, Any]:
        await self.send(command)
        return await self.receive()

    async def closed(self) -> int | None:
        async with asyncio.timeout(10):
            await self.socket.wait_closed()
        return self.socket.close_code


def _read(frame: str | bytes) -> dict[str, Any]:
    if isinstance(frame, str):
        found: dict[str, Any] = json.loads(frame)
        return found
    (message,) = split(frame)
    return MessageToDict(proto.Reply.FromString(message), preserving_proto_field_name=True)


@asynccontextmanager
async def peer(service: Service, codec: str = "protobuf", token: str | None = "all") -> AsyncIterator[Peer]:
    """A raw client that is connected, or with no token, only its socket."""
    async with connect(service.url, subprotocols=[SUBPROTOCOLS[codec]]) as socket:
        client = Peer(socket, codec)
        if token is not None:
            assert "connect" in await client.ask(id=1, connect={"token": token})
        yield client


@pytest.mark.parametrize(
    ("offered", "query", "selected", "binary"),
    [
        (None, "", None, False),
        (["centrifuge-json"], "", "centrifuge-json", False),
        (["centrifuge-protobuf"], "", "centrifuge-protobuf", True),
        (["centrifuge-json", "centrifuge-protobuf"], "", "centrifuge-json", False),
        (["new", "centrifuge-protobuf", "centrifuge-json"], "", "centrifuge-protobuf", True),
        (["new"], "", None, False),
        (None, "?cf_protocol=protobuf", None, True),
        (None, "?cf_protocol_version=v2&format=protobuf", None, True),
        (["new"], "?format=protobuf", None, True),
        (None, "?format=json&cf_protocol=", None, False),
        (None, "?%ff=%zz&format=protobuf%00;", None, False),
        (["centrifuge-json"], "?format=protobuf", "centrifuge-json", False),
        (["centrifuge-protobuf"], "?format=json", "centrifuge-protobuf", True),
    ],
)
async def test_a_client_gets_the_codec_that_it_asks_for_and_hears_of_its_subprotocol_only_if_it_offered_it(
    offered: list[Any] | None, query: str, selected: str | None, *, binary: bool
) -> None:
    async with running() as service, connect(service.url + query, subprotocols=offered) as socket:
        assert socket.subprotocol == selected
        codec = "protobuf" if binary else "json"
        reply = await Peer(socket, codec).ask(id=1, connect={"token": "all"})
        assert (reply["id"], reply["connect"]["ping"], reply["connect"]["pong"]) == (1, 10, True)


async def test_a_frame_of_the_other_codec_is_closed_with_1003() -> None:
    async with running() as service:
        for codec, frame in (("json", b"\0"), ("protobuf", "{}")):
            async with peer(service, codec) as client:
                await client.socket.send(frame)
                assert await client.closed() == 1003


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x7f",
        b"\x02\x08",
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        b'{"id":2}',
        _prefixed(proto.Command(connect={"token": "all"})),
        _prefixed(proto.Command(id=2)),
        _prefixed(proto.Command(id=2, connect={"token": "all"})),
        _prefixed(proto.Command(id=2, subscribe={})),
        _prefixed(proto.Command(id=2, subscribe={"channel": BARS, "offset": 2**63})),
        _prefixed(proto.Command(id=2, refresh={})),
        b"\x07\x08\x02\x2a\x03\x0a\x01\xff",
    ],
)
async def test_what_is_no_command_is_closed_with_3501(frame: bytes) -> None:
    async with running() as service, peer(service) as client:
        await client.socket.send(frame)
        assert await client.closed() == 3501


@CODECS
async def test_what_is_not_offered_is_refused_by_its_name(codec: str) -> None:
    async with running() as service, peer(service, codec) as client:
        for method in ("publish", "presence", "presence_stats", "sub_refresh"):
            reply = await client.ask(id=9, **{method: {}})
            assert reply == {"id": 9, "error": {"code": 108, "message": f"{method} is not available"}}
        await client.send({"send": {}})
        assert await client.closed() == 3508


async def test_data_that_is_no_json_is_refused_with_107_and_the_connection_goes_on() -> None:
    async with running() as service, peer(service) as client:
        for data in (b"\xff", b"{", b'{"expression": "rsi"', b'"\xed\xa0\x80"', b"[" * 60_000):
            assert (await client.ask(id=2, rpc={"method": "validate", "data": data}))["error"]["code"] == 107
            refused = await client.ask(id=3, subscribe={"channel": BARS, "data": data})
            assert refused["error"]["code"] == 107
        for data in (b"", b"null", b"{}", b" {} "):
            assert "rpc" in await client.ask(id=4, rpc={"method": "time", "data": data})
            assert "subscribe" in await client.ask(id=5, subscribe={"channel": BARS, "data": data})
            assert "unsubscribe" in await client.ask(id=6, unsubscribe={"channel": BARS})


@CODECS
async def test_commands_of_one_frame_are_answered_in_order_one_message_a_frame(codec: str) -> None:
    async with running() as service, peer(service, codec, token=None) as client:
        await client.send(
            {"id": 900, "connect": {"token": "all"}},
            {"id": 901, "subscribe": {"channel": BARS}},
            {},
            {"id": 7, "subscribe": {"channel": RSI}},
            {"id": 8, "rpc": {"method": "time"}},
        )
        assert [(await client.receive())["id"] for _ in range(4)] == [900, 901, 7, 8]


@CODECS
async def test_of_several_methods_in_one_command_the_first_counts(codec: str) -> None:
    async with running() as service, peer(service, codec) as client:
        reply = await client.ask(id=2, unsubscribe={"channel": BARS}, subscribe={"channel": BARS})
        assert reply.keys() == {"id", "subscribe"}


async def test_both_codecs_hear_the_same_of_one_channel() -> None:
    async with running() as service, peer(service, "json") as one, peer(service, "protobuf") as two:
        for client in (one, two):
            assert "subscribe" in await client.ask(id=2, subscribe={"channel": BARS})
        for t in range(1, 4):
            await service.engine.publish(BARS, {"t": t}, final=True)
        heard = [await one.receive() for _ in range(3)]
        assert [push["push"]["pub"] for push in heard] == [{"data": {"t": t}, "offset": t} for t in (1, 2, 3)]
        heard = [await two.receive() for _ in range(3)]
        assert [push["push"]["channel"] for push in heard] == [BARS] * 3
        assert [push["push"]["pub"]["offset"] for push in heard] == ["1", "2", "3"]
        assert service.sample("gateway_deliveries_total") == 6


@CODECS
async def test_a_busy_connection_is_pinged_all_the_same(codec: str) -> None:
    timing = TimingConfig(ping_s=1, pong_s=0.9)
    async with running(timing=timing) as service, peer(service, codec) as client:
        assert "subscribe" in await client.ask(id=2, subscribe={"channel": BARS})
        t = 0
        while client.pings < 2:
            t += 1
            await service.engine.publish(BARS, {"t": t}, final=True)
            assert "push" in await client.receive()


async def test_a_ping_that_is_not_answered_is_closed_with_3012_and_a_pong_nobody_asked_for_does_no_harm() -> None:
    async with running(timing=TimingConfig(ping_s=1, pong_s=0.1)) as service, peer(service) as client:
        await client.socket.send(PING * 3)
        async with asyncio.timeout(10):
            assert await client.socket.recv() == PING
        assert await client.closed() == 3012


@CODECS
async def test_the_headers_that_a_browser_sends_in_its_connect_are_no_token(codec: str) -> None:
    """The field is passed over: headers of the handshake count, and the token of connect."""
    async with running() as service, peer(service, codec, token=None) as client:
        if codec == "json":
            await client.send({"id": 1, "connect": {"headers": {"Authorization": "Bearer all"}}})
        else:
            await client.socket.send(b"\x1e\x08\x01\x22\x1a\x32\x18\x0a\x0dauthorization\x12\x07Bearer ")
        assert await client.closed() == 3500


async def test_a_fragmented_message_is_one_message_whatever_its_bytes() -> None:
    async with running() as service, peer(service) as client:
        frame = _prefixed(proto.Command(id=300, rpc={"method": "time", "data": b"{}"}))
        await client.socket.send(frame[i : i + 1] for i in range(len(frame)))
        assert (await client.receive())["id"] == 300


async def test_a_connection_that_is_gone_leaves_nothing_behind() -> None:
    async with running() as service:
        async with peer(service) as client:
            assert "subscribe" in await client.ask(id=2, subscribe={"channel": BARS})
        await until(lambda: service.sample("gateway_connections") == 0)
        assert service.sample("gateway_subscriptions") == 0
