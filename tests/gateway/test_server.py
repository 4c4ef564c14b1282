"""The public port from its first client to its last: leaving at once, or one by one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from gateway.config import NO_LIMITS, DrainConfig, GatewayConfig, ListenConfig, TimingConfig, UserServiceConfig
from tests.gateway.service import BARS, KEY, Peer, Service, running
from tests.waiting import until
from wire import close

FOR_EVER_S = 3600.0
SHUTDOWN = (close.SHUTDOWN.code, close.SHUTDOWN.reason)


def drain(linger_s: float = 0.0, period_s: float = 0.0) -> DrainConfig:
    return DrainConfig(linger_s=linger_s, period_s=period_s, grace_s=3 * FOR_EVER_S)


@asynccontextmanager
async def draining(service: Service) -> AsyncIterator[asyncio.Event]:
    """From entering, the gateway leads its clients away; gives what makes it hurry, and waits for its end."""
    hurried = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_drain(service, hurried), name="drain")
        await until(lambda: service.checks["listen"]() is not None)
        try:
            yield hurried
        finally:
            hurried.set()


async def _drain(service: Service, hurried: asyncio.Event) -> None:
    await service.serving.drain(hurried)


async def refused(service: Service) -> None:
    """Wait until nobody is accepted any more."""
    while True:
        with socket.socket() as client:
            client.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", service.port))
            except ConnectionRefusedError:
                return
        await asyncio.sleep(0)


def here(service: Service) -> float | None:
    return service.sample("gateway_connections")


async def test_a_gateway_that_lingers_is_not_ready_and_serves_who_is_there_and_who_comes() -> None:
    async with running(drain=drain(linger_s=FOR_EVER_S)) as service, service.connected() as before:
        assert service.checks["listen"]() is None
        async with draining(service):
            assert service.checks["listen"]() == "draining"
            assert "rpc" in await before.ask({"id": 2, "rpc": {"method": "time"}})
            async with service.connected() as after:
                assert "subscribe" in await after.ask({"id": 2, "subscribe": {"channel": BARS}})
                await service.engine.publish(BARS, {"n": 1}, final=True)
                assert (await after.receive())["push"]["pub"]["data"] == {"n": 1}


async def test_after_the_linger_nobody_is_accepted_and_clients_are_closed_one_by_one() -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(drain=drain(period_s=FOR_EVER_S)))
        peers = [await stack.enter_async_context(service.connected()) for _ in range(3)]
        async with draining(service):
            await refused(service)
            await until(lambda: here(service) == 2)
            closed = [peer for peer in peers if peer.socket.close_code is not None]
            assert [await peer.closed() for peer in closed] == [SHUTDOWN]
            for peer in peers:
                if peer not in closed:
                    assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}})
            assert here(service) == 2


async def test_all_are_closed_3001_by_the_end_of_the_period() -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(drain=drain(period_s=0.3), limits=NO_LIMITS))
        peers = [await stack.enter_async_context(service.connected()) for _ in range(30)]
        began_s = asyncio.get_running_loop().time()
        await service.serving.drain(asyncio.Event())
        assert asyncio.get_running_loop().time() - began_s >= 0.3 * 29 / 30
        assert [await peer.closed() for peer in peers] == [SHUTDOWN] * 30
        await until(lambda: here(service) == 0)
        assert service.sample("gateway_closes_total", {"code": "3001"}) == 30


async def test_what_was_published_before_its_close_reaches_a_client() -> None:
    async with running(drain=drain()) as service, service.connected() as peer:
        await peer.ask({"id": 2, "subscribe": {"channel": BARS}})
        for number in range(20):
            await service.engine.publish(BARS, {"n": number}, final=True)
        await service.serving.drain(asyncio.Event())
        got = [(await peer.receive())["push"]["pub"]["data"]["n"] for _ in range(20)]
        assert got == list(range(20))
        assert await peer.closed() == SHUTDOWN


async def test_clients_are_closed_in_another_order_than_they_came_in() -> None:
    order: list[Peer] = []

    async def note(peer: Peer) -> None:
        await peer.closed()
        order.append(peer)

    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(drain=drain(period_s=0.1), limits=NO_LIMITS))
        peers = [await stack.enter_async_context(service.connected()) for _ in range(20)]
        async with asyncio.TaskGroup() as tasks:
            for peer in peers:
                tasks.create_task(note(peer))
            await service.serving.drain(asyncio.Event())
    assert set(order) == set(peers)
    assert order != peers, "one time in 20! this fails by chance"


@pytest.mark.parametrize("config", [drain(linger_s=FOR_EVER_S), drain(period_s=FOR_EVER_S)], ids=["linger", "period"])
async def test_who_is_told_to_hurry_leaves_at_once_and_its_clients_are_told(config: DrainConfig) -> None:
    async with AsyncExitStack() as stack:
        async with running(drain=config) as service:
            peers = [await stack.enter_async_context(service.connected()) for _ in range(3)]
            async with draining(service) as hurried:
                hurried.set()
        assert [await peer.closed() for peer in peers] == [SHUTDOWN] * 3


async def test_a_socket_that_has_not_said_what_it_wants_is_cut_when_nobody_is_accepted_any_more() -> None:
    loop = asyncio.get_running_loop()
    patient = TimingConfig(connect_s=FOR_EVER_S)
    async with running(drain=drain(period_s=FOR_EVER_S), timing=patient) as service, service.connected() as peer:
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", service.port))
            await loop.sock_sendall(client, b"GET /connection/websocket HTTP/1.1\r\n")
            await until(lambda: here(service) == 2)
            async with draining(service):
                with suppress(ConnectionResetError):
                    assert await loop.sock_recv(client, 1) == b""
                assert await peer.closed() == SHUTDOWN


async def test_a_client_that_does_not_answer_the_close_is_cut() -> None:
    loop = asyncio.get_running_loop()
    async with running(drain=drain()) as service:
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", service.port))
            await loop.sock_sendall(client, UPGRADE)
            assert (await loop.sock_recv(client, 65536)).startswith(b"HTTP/1.1 101")
            await service.serving.drain(asyncio.Event())
            await until(lambda: here(service) == 0)


UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_a_drain_without_clients_ends_when_it_has_lingered() -> None:
    with capture_logs() as logs:
        async with running(drain=drain(period_s=FOR_EVER_S)) as service:
            await service.serving.drain(asyncio.Event())
            await refused(service)
    assert [line["event"] for line in logs if line["event"].startswith("gateway.d")] == [
        "gateway.draining",
        "gateway.deaf",
    ]


async def test_two_gateways_listen_on_one_port_where_both_allow_it() -> None:
    reusing = ListenConfig(port=0, reuse_port=True)
    async with running(listen=reusing) as first:
        second = ListenConfig(port=first.port, reuse_port=True)
        async with running(listen=second) as other:
            assert other.port == first.port


def test_a_drain_has_to_fit_into_its_grace() -> None:
    assert DrainConfig().linger_s == 10
    assert DrainConfig().period_s == 20
    with pytest.raises(ValueError, match="grace_s"):
        DrainConfig(linger_s=30, period_s=25)


def test_a_gateway_drains_by_default() -> None:
    config = GatewayConfig(user_service=UserServiceConfig(api_key=KEY))
    assert config.drain == DrainConfig()
    assert config.tls is None
