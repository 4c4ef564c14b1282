"""The drivers of the official SDKs say what the SDKs do: the conformance tests rest on this."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from centrifuge.protocol import client_pb2
from google.protobuf.json_format import MessageToDict, ParseDict

from tests.conformance.official_client import Events, OfficialClient
from tests.conformance.sdks import ALL

CHANNEL = "bars:DEMO:S01@1s"
DEFINITIONS: Any = client_pb2


class Json:
    """Frames of JSON."""

    kind = WSMsgType.TEXT

    @staticmethod
    def read(frame: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in frame.splitlines()]

    @staticmethod
    async def send(socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        await socket.send_str(json.dumps(message))


class Protobuf:
    """Frames of protobuf, by the definitions that an SDK brings."""

    kind = WSMsgType.BINARY

    @staticmethod
    def read(frame: bytes) -> list[dict[str, Any]]:
        found, at = [], 0
        while at < len(frame):
            end = at + 1 + frame[at]
            command = DEFINITIONS.Command.FromString(frame[at + 1 : end])
            asked = MessageToDict(command, preserving_proto_field_name=True)
            for method in asked.keys() - {"id"}:
                asked[method] = {**asked[method], **({"offset": int(o)} if (o := asked[method].get("offset")) else {})}
            found.append(asked)
            at = end
        return found

    @classmethod
    async def send(cls, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        encoded = ParseDict(cls._with_bytes(message), DEFINITIONS.Reply()).SerializeToString()
        length = bytes((len(encoded),)) if len(encoded) < 128 else bytes((len(encoded) & 127 | 128, len(encoded) >> 7))
        await socket.send_bytes(length + encoded)

    @classmethod
    def _with_bytes(cls, told: Any) -> Any:
        if isinstance(told, list):
            return [cls._with_bytes(each) for each in told]
        if not isinstance(told, dict):
            return told
        return {
            name: base64.b64encode(json.dumps(value).encode()).decode() if name == "data" else cls._with_bytes(value)
            for name, value in told.items()
        }


class ScriptedServer:
    """A server of the client protocol that takes note of commands and answers as it is told."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.connect_errors: list[dict[str, Any]] = []
        self.subscribe_replies: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("centrifuge-protobuf",))
        await socket.prepare(request)
        self.sockets.append(socket)
        codec = self.codec(socket)
        async for message in socket:
            if message.type is not codec.kind:
                break
            for command in codec.read(message.data):
                self.commands.append(command)
                if reply := self.reply(command):
                    await codec.send(socket, {"id": command["id"], **reply})
        return socket

    @staticmethod
    def codec(socket: web.WebSocketResponse) -> type[Json] | type[Protobuf]:
        return Json if socket.ws_protocol is None else Protobuf

    def reply(self, command: dict[str, Any]) -> dict[str, Any]:
        if "connect" in command:
            if self.connect_errors:
                return {"error": self.connect_errors.pop(0)}
            return {"connect": {"client": "c1", "version": "1", "ping": 25, "pong": True, "data": {"time_ms": 1}}}
        if "subscribe" in command:
            return self.subscribe_replies.pop(0)
        return {"unsubscribe": {}} if "unsubscribe" in command else {}

    async def push(self, **push: object) -> None:
        socket = self.sockets[-1]
        await self.codec(socket).send(socket, {"push": {"channel": CHANNEL, **push}})

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [command[method] for command in self.commands if method in command]


SUBSCRIBED = {"subscribe": {"recoverable": True, "positioned": True, "epoch": "e", "offset": 7, "data": {"x": 1}}}
RECOVERED = {
    "subscribe": {
        "recoverable": True,
        "positioned": True,
        "epoch": "e",
        "offset": 8,
        "was_recovering": True,
        "recovered": True,
        "publications": [{"offset": 9, "data": {"n": 9}}],
    }
}


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
async def url(server: ScriptedServer) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/connection/websocket", server.serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}/connection/websocket"
    await runner.cleanup()


@pytest.fixture(params=list(ALL.values()), ids=list(ALL))
async def client(request: pytest.FixtureRequest, url: str) -> AsyncIterator[OfficialClient]:
    async with request.param(url, token="demo", next_token="fresh") as client:
        yield client


async def test_connecting_tells_what_the_server_said(client: OfficialClient, server: ScriptedServer) -> None:
    await client.connect()

    assert await client.events.expect("connecting") == {"event": "connecting", "code": 0, "reason": "connect called"}
    assert await client.events.expect("connected") == {"event": "connected", "client": "c1", "data": {"time_ms": 1}}
    assert server.sent("connect")[0]["token"] == "demo"


async def test_a_subscription_tells_its_position_and_its_publications(
    client: OfficialClient, server: ScriptedServer
) -> None:
    server.subscribe_replies = [SUBSCRIBED]
    await client.connect()
    await client.subscribe(CHANNEL)
    subscribed = await client.events.expect("subscribed", channel=CHANNEL)
    await server.push(pub={"offset": 8, "data": {"n": 8}})
    await server.push(pub={"data": {"n": "live"}})

    assert subscribed["position"] == {"offset": 7, "epoch": "e"}
    assert (subscribed["recoverable"], subscribed["positioned"], subscribed["data"]) == (True, True, {"x": 1})
    assert (subscribed["was_recovering"], subscribed["recovered"]) == (False, False)
    assert [(each["offset"], each["data"]["n"]) for each in await client.events.publications(CHANNEL, 2)] == [
        (8, 8),
        (None, "live"),
    ]
    assert "recover" not in server.sent("subscribe")[0]


async def test_after_a_disconnect_it_comes_back_with_its_position(
    client: OfficialClient, server: ScriptedServer
) -> None:
    server.subscribe_replies = [SUBSCRIBED, RECOVERED]
    await client.connect()
    await client.subscribe(CHANNEL)
    await client.events.expect("subscribed")
    await server.push(pub={"offset": 8, "data": {}})
    await client.events.expect("publication")
    await client.disconnect()
    assert (await client.events.expect("disconnected"))["code"] == 0
    await client.connect()
    again = await client.events.expect("subscribed")

    assert (again["was_recovering"], again["recovered"]) == (True, True)
    assert (await client.events.expect("publication"))["offset"] == 9
    request = server.sent("subscribe")[1]
    assert (request["recover"], request["epoch"], request["offset"]) == (True, "e", 8)


async def test_a_position_can_be_given_with_the_first_subscribe(client: OfficialClient, server: ScriptedServer) -> None:
    server.subscribe_replies = [RECOVERED]
    await client.connect()
    await client.subscribe(CHANNEL, since=("e", 8))

    assert (await client.events.expect("subscribed"))["recovered"]
    assert (await client.events.expect("publication"))["data"] == {"n": 9}
    request = server.sent("subscribe")[0]
    assert (request["recover"], request["epoch"], request["offset"]) == (True, "e", 8)


async def test_a_refused_subscription_tells_the_code(client: OfficialClient, server: ScriptedServer) -> None:
    server.subscribe_replies = [{"error": {"code": 103, "message": "permission denied"}}]
    server.subscribe_replies[0]["error"]["temporary"] = False
    await client.connect()
    await client.subscribe(CHANNEL)

    unsubscribed = await client.events.expect("unsubscribed", channel=CHANNEL)
    assert (unsubscribed["code"], unsubscribed["reason"]) == (103, "permission denied")


async def test_a_temporary_refusal_is_told_and_tried_again(client: OfficialClient, server: ScriptedServer) -> None:
    server.subscribe_replies = [{"error": {"code": 111, "message": "too many requests", "temporary": True}}, SUBSCRIBED]
    await client.connect()
    await client.subscribe(CHANNEL)

    assert (await client.events.expect("subscription_error", channel=CHANNEL))["code"] == 111
    await client.events.expect("subscribed", channel=CHANNEL)


async def test_an_expired_token_is_replaced(client: OfficialClient, server: ScriptedServer) -> None:
    server.connect_errors = [{"code": 109, "message": "token expired", "temporary": False}]
    await client.connect()
    await client.events.expect("connected")

    assert [request["token"] for request in server.sent("connect")] == ["demo", "fresh"]


async def test_a_refused_connection_ends_with_the_code(client: OfficialClient, server: ScriptedServer) -> None:
    server.connect_errors = [{"code": 101, "message": "unauthorized", "temporary": False}]
    await client.connect()

    assert await client.events.expect("disconnected", code=101, reason="unauthorized")


async def test_a_terminal_close_code_disconnects(client: OfficialClient, server: ScriptedServer) -> None:
    await client.connect()
    await client.events.expect("connected")
    await server.sockets[0].close(code=3500, message=b"invalid token")

    assert await client.events.expect("disconnected", code=3500, reason="invalid token")


async def test_any_other_close_code_connects_again(client: OfficialClient, server: ScriptedServer) -> None:
    await client.connect()
    await client.events.expect("connected")
    await server.sockets[0].close(code=3001, message=b"shutdown")

    assert await client.events.expect("connecting", code=3001, reason="shutdown")
    await client.events.expect("connected")


async def test_an_unsubscribe_push_below_2500_ends_the_subscription(
    client: OfficialClient, server: ScriptedServer
) -> None:
    server.subscribe_replies = [SUBSCRIBED]
    await client.connect()
    await client.subscribe(CHANNEL)
    await client.events.expect("subscribed")
    await server.push(unsubscribe={"code": 2100, "reason": "entitlement lost"})

    assert await client.events.expect("unsubscribed", channel=CHANNEL, code=2100)


async def test_an_unsubscribe_push_from_2500_subscribes_again(client: OfficialClient, server: ScriptedServer) -> None:
    server.subscribe_replies = [SUBSCRIBED, RECOVERED]
    await client.connect()
    await client.subscribe(CHANNEL)
    await client.events.expect("subscribed")
    await server.push(unsubscribe={"code": 2500, "reason": "position lost"})

    assert await client.events.expect("subscribing", channel=CHANNEL, code=2500)
    assert (await client.events.expect("subscribed"))["recovered"]


async def test_unsubscribing_tells_the_server(client: OfficialClient, server: ScriptedServer) -> None:
    server.subscribe_replies = [SUBSCRIBED, SUBSCRIBED]
    await client.connect()
    await client.subscribe(CHANNEL)
    await client.events.expect("subscribed")
    await client.unsubscribe(CHANNEL)
    await client.subscribe("status:DEMO")
    await client.events.expect("subscribed", channel="status:DEMO")

    assert await client.events.expect("unsubscribed", channel=CHANNEL, code=0)
    assert server.sent("unsubscribe") == [{"channel": CHANNEL}]


async def test_a_server_that_is_not_there_is_an_error_and_tried_again(free_port: int) -> None:
    for kind in ALL.values():
        async with kind(f"ws://127.0.0.1:{free_port}/connection/websocket") as client:
            await client.connect()
            await client.events.expect("error")
            await client.events.expect("error")


async def test_an_event_is_taken_once_and_others_wait_their_turn() -> None:
    events = Events()
    for event in ({"event": "a", "n": 1}, {"event": "b", "n": 2}, {"event": "a", "n": 3}):
        events.put(event)

    assert await events.expect("b") == {"event": "b", "n": 2}
    assert await events.expect("a", n=3) == {"event": "a", "n": 3}
    assert await events.expect("a") == {"event": "a", "n": 1}
    assert len(events.of("a")) == 2
    with pytest.raises(
        AssertionError, match=r"expected within 0\.01 s: {'event': 'a'}; found:\n  {'event': 'a', 'n': 1}"
    ):
        await events.expect("a", timeout_s=0.01)


async def test_a_client_whose_test_fails_still_ends(url: str) -> None:
    for kind in ALL.values():
        with contextlib.suppress(LookupError):
            async with kind(url, token="demo") as client:
                await client.connect()
                await client.events.expect("connected")
                raise LookupError
