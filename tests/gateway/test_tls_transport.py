"""TLS between a socket and its protocol: what each hears, and when; over real sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.config import LimitsConfig, OutboxConfig, TimingConfig
from gateway.socket_options import bound_kernel_buffers, unaccepted_bytes
from gateway.tls import load_context
from tests.gateway.certificates import Identity, issue
from tests.gateway.service import BARS, RSI, Service, running
from tests.gateway.slow_reader import TlsWire, slow_reader, tls_wire
from tests.gateway.tls_server import Echo, TlsServer, tls_server
from tests.waiting import until

SIZE = 2000


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return issue(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def plain_client(port: int) -> AsyncIterator[socket.socket]:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        yield client


@asynccontextmanager
async def connected(identity: Identity) -> AsyncIterator[tuple[TlsServer, TlsWire, Echo]]:
    """A server, a client whose hands are shaken, and what hears it."""
    async with tls_server(load_context(identity.config)) as server, plain_client(server.port) as client:
        wire = await tls_wire(client, identity.client)
        await wire.send(b"?")
        assert await read(wire, 1) == b"?"
        server.echoes[0].heard.clear()
        yield server, wire, server.echoes[0]


async def read(wire: TlsWire, count: int) -> bytes:
    found = b""
    async with asyncio.timeout(10):
        while len(found) < count and (data := await wire.receive(65536)):
            found += data
    return found


async def test_what_is_sent_comes_back_whatever_its_size(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        for size in (1, 16_384, 16_385, 300_000):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(wire.send(bytes(size)))
                assert await read(wire, size) == bytes(size)
        assert sum(map(len, echo.heard)) == 1 + 16_384 + 16_385 + 300_000


@given(st.binary(min_size=1, max_size=2000), st.lists(st.integers(1, 400), max_size=10))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_records_that_come_in_pieces_are_heard_whole(identity: Identity, data: bytes, cuts: list[int]) -> None:
    loop = asyncio.get_running_loop()
    async with connected(identity) as (_, wire, echo):
        wire._tls.write(data)
        rest = wire._outgoing.read()
        for cut in cuts:
            piece, rest = rest[:cut], rest[cut:]
            await loop.sock_sendall(wire._socket, piece)
            await asyncio.sleep(0)
        await loop.sock_sendall(wire._socket, rest)
        assert await read(wire, len(data)) == data
        assert b"".join(echo.heard) == data


async def test_a_protocol_hears_of_a_socket_at_once_and_of_bytes_when_hands_are_shaken(identity: Identity) -> None:
    async with tls_server(load_context(identity.config)) as server, plain_client(server.port) as client:
        await until(lambda: bool(server.echoes and server.echoes[0].transport))
        wire = await tls_wire(client, identity.client)
        assert server.echoes[0].heard == []
        await wire.send(b"hello")
        assert await read(wire, 5) == b"hello"
        assert server.echoes[0].heard == [b"hello"]


async def test_a_protocol_may_cut_a_client_that_still_shakes_hands(identity: Identity) -> None:
    async with tls_server(load_context(identity.config)) as server, plain_client(server.port) as client:
        await until(lambda: bool(server.echoes and server.echoes[0].transport))
        assert server.echoes[0].transport is not None
        server.echoes[0].transport.abort()
        assert await ended(client)
        await until(lambda: server.echoes[0].lost == 1)


async def ended(client: socket.socket) -> bool:
    """Wait for the end, whatever comes before it."""
    try:
        while await asyncio.get_running_loop().sock_recv(client, 65536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\x00\x05hello"])
async def test_what_is_no_handshake_is_refused(identity: Identity, garbage: bytes) -> None:
    async with tls_server(load_context(identity.config)) as server, plain_client(server.port) as client:
        with capture_logs() as logs:
            await asyncio.get_running_loop().sock_sendall(client, garbage)
            assert await ended(client)
            await until(lambda: server.echoes[0].lost == 1)
        assert server.echoes[0].heard == []
    assert [line["event"] for line in logs] == ["tls.refused"]


async def test_a_forged_record_ends_the_connection(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        with capture_logs() as logs:
            await asyncio.get_running_loop().sock_sendall(wire._socket, b"\x17\x03\x03\x00\x20" + bytes(32))
            await until(lambda: echo.lost == 1)
        assert echo.heard == []
    (line,) = logs
    assert (line["event"], line["secure"]) == ("tls.refused", True)


async def test_a_protocol_hears_that_its_client_sends_no_more_and_answers_what_came_before(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        wire._tls.write(b"the last words")
        with pytest.raises(ssl.SSLWantReadError):
            wire._tls.unwrap()
        await asyncio.get_running_loop().sock_sendall(wire._socket, wire._outgoing.read())
        await until(lambda: echo.lost == 1)
        assert echo.ended
        assert echo.heard == [b"the last words"]


async def test_a_protocol_may_keep_the_socket_of_a_client_that_sends_no_more(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        echo.stays_open = True
        wire._socket.shutdown(socket.SHUT_WR)
        await until(lambda: echo.ended)
        assert echo.transport is not None
        echo.transport.write(b"an answer")
        assert await read(wire, 9) == b"an answer"
        echo.transport.close()
        assert await read(wire, 1) == b""


async def test_what_was_written_before_a_close_arrives_and_the_end_is_told(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        assert echo.transport is not None
        echo.transport.write(bytes(50_000))
        echo.transport.close()
        echo.transport.write(b"nothing more")
        assert await read(wire, 50_001) == bytes(50_000)
        await until(lambda: echo.lost == 1)
        assert echo.transport.is_closing()


async def test_who_ends_its_side_alone_throws_away_what_still_comes(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        assert echo.transport is not None
        assert echo.transport.can_write_eof()
        echo.transport.write(b"refused")
        echo.transport.write_eof()
        assert await read(wire, 8) == b"refused"
        await wire.send(bytes(1000))
        wire._socket.shutdown(socket.SHUT_WR)
        await until(lambda: echo.lost == 1)
        assert echo.heard == []


async def test_an_abort_ends_it_at_once_and_is_heard_once(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        assert echo.transport is not None
        echo.transport.abort()
        echo.transport.abort()
        echo.transport.close()
        assert await ended(wire._socket)
        await until(lambda: echo.lost == 1)
        echo.transport.write(b"into nothing")
        assert echo.transport.get_protocol() is None, "neither keeps the other"
        assert unaccepted_bytes(echo.transport) == 0


async def test_a_reader_that_does_not_read_is_noticed_as_soon_as_the_kernel_takes_no_more(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        transport = echo.transport
        assert transport is not None
        transport.set_write_buffer_limits(0)
        bound_kernel_buffers(transport.get_extra_info("socket"))
        assert echo.paused == 0, "nothing waits"
        written = 0
        while not (echo.paused and transport.get_write_buffer_size()):
            transport.write(bytes(4000))
            written += 4000
            await asyncio.sleep(0)
        assert transport.get_write_buffer_size() <= 4000 + 22
        assert transport.get_write_buffer_size() < unaccepted_bytes(transport) <= written + 4096
        assert written < 128 * 1024, "the kernel takes little"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(wire, written))
            await until(lambda: echo.paused == 0)
        assert transport.get_write_buffer_size() == 0


async def test_what_is_known_of_the_socket_and_of_its_tls(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        assert echo.transport is not None
        assert echo.transport.get_extra_info("peername") == wire._socket.getsockname()
        assert echo.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert echo.transport.get_extra_info("sslcontext").minimum_version is ssl.TLSVersion.TLSv1_2
        assert echo.transport.get_extra_info("nothing", 7) == 7


async def test_a_protocol_that_reads_no_more_hears_nothing_until_it_reads_again(identity: Identity) -> None:
    async with connected(identity) as (_, wire, echo):
        transport = echo.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await wire.send(b"wait")
        for _ in range(20):
            await asyncio.sleep(0)
        assert echo.heard == []
        assert not transport.is_reading()
        transport.resume_reading()
        assert await read(wire, 4) == b"wait"


# the gateway behind it


def value(number: int) -> dict[str, object]:
    return {"n": number, "fill": "x" * (SIZE - 60)}


async def publish(service: Service, number: int, *, final: bool, channel: str = BARS) -> None:
    await service.engine.publish(channel, value(number), final=final)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_client_that_stops_reading_is_dropped_while_another_gets_every_publication(identity: Identity) -> None:
    limits = OutboxConfig(queue_bytes=64 * 1024, oldest_s=60.0, stalled_s=0.4)
    quiet = TimingConfig(ping_s=3600)
    with capture_logs() as logs:
        async with (
            running(tls=identity, timing=quiet, outbox=limits) as service,
            service.connected() as good,
            slow_reader(service) as bad,
        ):
            await good.ask({"id": 2, "subscribe": {"channel": BARS}})
            await bad.ask({"id": 2, "subscribe": {"channel": BARS}})
            number = 0
            while service.sample("gateway_closes_total", {"code": "3008"}) is None:
                number += 1
                await publish(service, number, final=False)
                assert (await good.receive())["push"]["pub"]["data"]["n"] == number
            assert service.sample("gateway_slow_consumers_total", {"cause": "stalled"}) == 1
            assert service.sample("gateway_connections") == 1
    (line,) = [line for line in logs if line["event"] == "connection.closed" and line["code"] == 3008]
    assert (line["cause"], line["overdue"]) == ("slow_consumer", "stalled")
    assert line["live_bytes"] < 2 * SIZE
    assert 0 < line["unaccepted_bytes"] < 128 * 1024


async def test_a_client_that_reads_slowly_gets_all_finals_in_order_and_the_newest_live_values(
    identity: Identity,
) -> None:
    patient = OutboxConfig(queue_bytes=64 * 1024, oldest_s=60.0, stalled_s=60.0)
    async with (
        running(tls=identity, timing=TimingConfig(ping_s=3600), outbox=patient) as service,
        slow_reader(service) as slow,
    ):
        await slow.ask({"id": 2, "subscribe": {"channel": BARS}})
        await slow.ask({"id": 3, "subscribe": {"channel": RSI}})

        def numbers(channel: str) -> list[int]:
            pushes = [m["push"] for m in slow.messages if m.get("push", {}).get("channel") == channel]
            return [push["pub"]["data"]["n"] for push in pushes if "pub" in push]

        for number in range(1, 401):
            await publish(service, number, final=False)
            if number % 10 == 0:
                await publish(service, number, final=True, channel="signals:DEMO:S01@1m:rsi(close,14)")
            if service.sample("gateway_congested") == 1 and number % 4 == 0:
                await slow.read(SIZE)
        while 400 not in numbers(BARS) or 400 not in numbers(RSI):
            await slow.read()
        assert numbers(RSI) == list(range(10, 401, 10))
        live = numbers(BARS)
        assert live == sorted(set(live))
        assert len(live) < 350


async def test_a_request_for_a_page_is_answered_over_tls(identity: Identity) -> None:
    async with running(tls=identity) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=identity.client)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'{"status":"ok"}')


async def test_a_request_that_is_refused_gets_its_answer_over_tls(identity: Identity) -> None:
    async with running(tls=identity) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=identity.client)
        writer.write(b"DELETE /connection/websocket HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        await until(lambda: service.sample("gateway_connections") == 0)
    assert answer.startswith(b"HTTP/1.1 405")


async def test_who_meets_a_limit_is_cut_before_hands_are_shaken(identity: Identity) -> None:
    crowded = LimitsConfig(connections_per_address=1)
    async with running(tls=identity, limits=crowded) as service, service.connected() as peer:
        async with plain_client(service.port) as client:
            assert await ended(client)
        labels = {"limit": "connections_per_address"}
        assert service.sample("gateway_turned_away_total", labels) == 1
        assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}})


async def test_who_does_not_shake_hands_in_time_is_cut(identity: Identity) -> None:
    hasty = TimingConfig(connect_s=0.05)
    async with running(tls=identity, timing=hasty) as service, plain_client(service.port) as client:
        assert await ended(client)
        await until(lambda: service.sample("gateway_connections") == 0)


async def test_a_client_that_shakes_hands_while_the_gateway_leaves_is_cut(identity: Identity) -> None:
    async with running(tls=identity) as service, plain_client(service.port) as client:
        await until(lambda: service.sample("gateway_connections") == 1)
        hurried = asyncio.Event()
        hurried.set()
        await service.serving.drain(hurried)
        assert await ended(client)
        await until(lambda: service.sample("gateway_connections") == 0)
