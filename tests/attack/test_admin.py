"""The operators' port: not to be reached from outside or by way of the public one; what it tells holds no secret."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway.admin import DISCONNECT_PATH
from gateway.config import AdminConfig
from runtime.admin import Admin
from standins.user_service import Fault, TokenRecord
from tests.attack.attacker import attacker, command, frame, opened
from tests.gateway.service import BARS, KEY, Service, running

SECRET = "s3cret-t0ken-of-one-client"
PATHS = ["/metrics", "/api/v1/metrics", "/ready", "/api/v1/disconnect"]


@asynccontextmanager
async def administered() -> AsyncIterator[tuple[Service, Admin]]:
    """A gateway and its admin port, as the command makes it."""
    async with (
        running() as service,
        Admin(
            host=AdminConfig().host,
            port=0,
            registry=service.registry,
            checks=service.checks,
            routes=service.serving.routes,
        ) as admin,
    ):
        yield service, admin


async def get(admin: Admin, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{admin.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, str(response.headers) + await response.text()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_of_the_admin_port_is_on_the_public_one(method: str, path: str) -> None:
    headers = {"X-Internal-API-Key": KEY.reveal(), "Content-Length": "0"}
    async with running() as service, aiohttp.ClientSession(headers=headers) as session:
        url = f"http://127.0.0.1:{service.port}{path}"
        async with session.request(method, url) as response:
            assert response.status == (404 if method == "GET" else 405)
            assert "gateway_" not in await response.text()


async def test_unless_it_is_told_otherwise_it_listens_where_nobody_outside_can_come() -> None:
    async with administered() as (_, admin):
        assert (await get(admin, "/health"))[0] == 200
        with pytest.raises(OSError, match=r"[Rr]efused|111"):
            await asyncio.open_connection("127.0.0.2", admin.port)


async def test_it_speaks_no_websocket() -> None:
    async with administered() as (_, admin), attacker(admin.port) as peer:
        peer.send(
            b"GET /connection/websocket HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await peer.head()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"])
async def test_it_is_read_only_but_for_the_one_order(method: str) -> None:
    async with administered() as (service, admin), service.connected() as peer, aiohttp.ClientSession() as session:
        for path in ("/", "/health", "/ready", "/metrics", "/api/v1/metrics", DISCONNECT_PATH):
            order = {"sub": "1"} if method == "POST" else None
            async with session.request(method, f"http://127.0.0.1:{admin.port}{path}", json=order) as response:
                assert response.status == (404 if path != DISCONNECT_PATH else 401 if method == "POST" else 405)
        assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}}), "it is still there"


WRONG_KEYS = [
    b"",
    b"x",
    b"a key between service",
    b"a key between services x",
    b"A KEY BETWEEN SERVICES",
    b"\xc3\xa9",
    b"\xff",
    b"*",
]


@pytest.mark.parametrize("key", WRONG_KEYS)
async def test_no_other_key_gives_the_order(key: bytes) -> None:
    body = b'{"sub":"1"}'
    async with administered() as (service, admin), service.connected() as peer, attacker(admin.port) as operator:
        operator.send(
            b"POST %b HTTP/1.1\r\nHost: t\r\n" % DISCONNECT_PATH.encode(),
            b"X-Internal-API-Key: %b\r\n" % key,
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body),
            body,
        )
        assert (await operator.head()).split(b" ", 2)[1] in {b"400", b"401"}
        assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}}), "it is still there"


async def test_a_page_in_an_operators_browser_cannot_give_it() -> None:
    """A browser sends such a request without asking before; the key is what it cannot send."""
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain", "Cookie": f"key={KEY.reveal()}"}
    async with administered() as (service, admin), service.connected() as peer, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{admin.port}{DISCONNECT_PATH}?X-Internal-API-Key={KEY.reveal()}"
        async with session.post(url, data='{"sub":"1"}', headers=headers) as response:
            assert response.status == 401
        assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}}), "it is still there"


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_no_page_may_read_it(origin: str) -> None:
    async with administered() as (_, admin), aiohttp.ClientSession() as session:
        for path in PATHS:
            for method in ("GET", "OPTIONS"):
                url = f"http://127.0.0.1:{admin.port}{path}"
                async with session.request(method, url, headers={"Origin": origin}) as response:
                    assert not [name for name in response.headers if name.lower().startswith("access-control-")]


async def test_what_it_tells_holds_no_token_key_subscriber_or_channel() -> None:
    subscriber = "subscriber-4711"
    async with administered() as (service, admin):
        service.users.tokens[SECRET] = TokenRecord(sub=subscriber, channels=("*",))
        async with service.connected(SECRET) as peer:
            await peer.ask({"id": 2, "subscribe": {"channel": BARS}})
            await service.engine.publish(BARS, 1, final=True)
            await peer.receive()
            await peer.ask({"id": 3, "rpc": {"method": SECRET}})
            async with opened(service) as other:
                other.send(frame(command(1, connect={"token": SECRET + "x"})))
                await other.message()
                service.users.misbehave(Fault(status=500, body=SECRET.encode()))
                async with opened(service) as third:
                    third.send(frame(command(1, connect={"token": SECRET + "y"})))
                    assert (await third.message())["error"]["code"] == 100
            told = [await get(admin, path) for path in ("/metrics", "/api/v1/metrics", "/ready", "/health", "/nowhere")]
    assert "gateway_refusals_total" in told[0][1]
    assert '"ready":false' in told[2][1]
    for status, text in told:
        assert status in {200, 404, 503}
        assert not [each for each in (SECRET, KEY.reveal(), subscriber, BARS, "S01") if each in text]
