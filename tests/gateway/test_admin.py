"""What operators may do: end connections, with the key that services have among each other."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from gateway.admin import API_KEY_HEADER, DISCONNECT_PATH, MAX_BODY_BYTES, Disconnect
from gateway.errors import BusUnavailableError
from gateway.holders import Holders
from gateway.metrics import GatewayMetrics
from gateway.revoker import Revoker
from runtime.admin import Admin
from runtime.http_server import Answer
from runtime.secret import Secret
from standins.broker import MemoryBroker
from tests.gateway.service import KEY, Peer, Service, running
from tests.gateway.test_revocation import serves
from wire.revocation import Revocation, digest_of


@asynccontextmanager
async def _port(service: Service, route: Answer | None = None) -> AsyncIterator["Port"]:
    routes = service.serving.routes if route is None else {DISCONNECT_PATH: route}
    async with (
        Admin(host="127.0.0.1", port=0, registry=service.registry, checks={}, routes=routes) as admin,
        aiohttp.ClientSession() as http,
    ):
        yield Port(http, f"http://127.0.0.1:{admin.port}{DISCONNECT_PATH}")


class Port:
    """An operator at the admin port."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def order(self, body: object, *, key: str | None = "a key between services") -> tuple[int, dict[str, Any]]:
        """What is answered to a body: JSON of it, or its bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if key is None else {API_KEY_HEADER: key}
        async with self.http.post(self.url, data=data, headers=headers) as response:
            return response.status, await response.json()


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as service:
        yield service


@pytest_asyncio.fixture
async def port(service: Service) -> AsyncIterator[Port]:
    async with _port(service) as port:
        yield port


async def client_of(peer: Peer) -> str:
    connected = (await peer.ask({"id": 1, "connect": {"token": "all"}}))["connect"]
    name: str = connected["client"]
    return name


async def test_a_subscribers_connections_are_closed_with_3503_and_may_come_again(service: Service, port: Port) -> None:
    async with service.connected() as one, service.connected() as two, service.connected("bars") as other:
        assert await port.order({"sub": "1"}) == (200, {"disconnected": 2})
        assert await one.closed() == await two.closed() == (3503, "disconnected by an operator")
        await serves(other)
        async with service.connected() as again:
            await serves(again)
    assert service.users.requests["all"] == 1


async def test_a_tokens_connections_are_closed(service: Service, port: Port) -> None:
    async with service.connected() as one, service.connected("bars") as other:
        assert await port.order({"token_sha256": digest_of("all").hex()}) == (200, {"disconnected": 1})
        assert (await one.closed())[0] == 3503
        await serves(other)


async def test_one_client_is_closed(service: Service, port: Port) -> None:
    async with service.raw() as one, service.raw() as two:
        name, _ = await client_of(one), await client_of(two)
        assert await port.order({"client": name}) == (200, {"disconnected": 1})
        assert (await one.closed())[0] == 3503
        await serves(two)


@pytest.mark.parametrize("who", [{"sub": "nobody"}, {"token_sha256": "00" * 32}, {"client": "nobody"}])
async def test_nobody_is_closed_where_nobody_is_meant(service: Service, port: Port, who: dict[str, str]) -> None:
    async with service.connected() as peer:
        assert await port.order(who) == (200, {"disconnected": 0})
        await serves(peer)


async def test_to_revoke_closes_with_3500_believes_no_answer_any_more_and_tells_all_gateways(
    service: Service, port: Port
) -> None:
    async with service.connected() as peer:
        assert await port.order({"sub": "1", "revoke": True}) == (200, {"disconnected": 1})
        assert (await peer.closed())[0] == 3500
    assert (await service.broker.revoked(None)).revocations == (Revocation(sub="1"),)
    async with service.raw() as peer:
        service.users.revoke("all")
        assert (await peer.ask({"id": 1, "connect": {"token": "all"}}))["error"]["code"] == 109


def _metrics() -> GatewayMetrics:
    return GatewayMetrics(CollectorRegistry())


class _Believer:
    """Who believes nothing anyway."""

    def revoke(self, revocation: Revocation) -> None:
        pass

    def revoke_all(self) -> None:
        pass


class _Away(MemoryBroker):
    """A bus that is not there."""

    async def revoke(self, revocation: Revocation) -> None:
        raise BusUnavailableError("away")


async def test_where_the_bus_is_away_it_is_done_here_and_said_that_nobody_was_told(service: Service) -> None:
    holders = Holders()
    revoker = Revoker(_Away(topics=1, monotonic_s=lambda: 0.0), _Believer(), holders, _metrics())
    async with _port(service, Disconnect(KEY, revoker, holders).answer) as port:
        status, said = await port.order({"sub": "1", "revoke": True})
    assert status == 503
    assert said == {"disconnected": 0, "error": "the other gateways were not told: away"}


@pytest.mark.parametrize("key", [None, "", "another", "a key between service", "a key between servicesx"])
async def test_without_the_key_nothing_is_done(service: Service, port: Port, key: str | None) -> None:
    async with service.connected() as peer:
        assert await port.order({"sub": "1"}, key=key) == (401, {"error": f"expected {API_KEY_HEADER}"})
        await serves(peer)


async def test_an_empty_key_lets_nobody_in(service: Service) -> None:
    holders = Holders()
    route = Disconnect(Secret(""), Revoker(service.broker, _Believer(), holders, _metrics()), holders)
    async with _port(service, route.answer) as port:
        assert (await port.order({"sub": "1"}, key=""))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 2000,
        [],
        {},
        {"sub": ""},
        {"sub": 1},
        {"sub": "x" * 256},
        {"sub": "1", "client": "2"},
        {"token_sha256": "12"},
        {"token_sha256": "g" * 64},
        {"sub": "1", "reason": "none"},
        {"sub": "1", "revoke": 1},
        {"client": "1", "revoke": True},
        {"revoke": True},
    ],
)
async def test_what_is_no_order_is_400_and_says_why(service: Service, port: Port, body: object) -> None:
    async with service.connected() as peer:
        status, said = await port.order(body)
        assert (status, list(said)) == (400, ["error"])
        assert said["error"]
        await serves(peer)


async def test_a_long_body_is_413_unread(port: Port) -> None:
    status, said = await port.order(b" " * (MAX_BODY_BYTES + 1))
    assert (status, said) == (413, {"error": f"expected at most {MAX_BODY_BYTES} bytes"})


async def test_only_a_post_is_an_order(port: Port) -> None:
    async with port.http.get(port.url, headers={API_KEY_HEADER: KEY.reveal()}) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_the_other_pages_of_the_port_are_there_still(port: Port) -> None:
    async with port.http.get(port.url.replace(DISCONNECT_PATH, "/health")) as response:
        assert response.status == 200
