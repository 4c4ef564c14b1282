"""Who gets a socket of the public port, over real sockets: what comes first decides, and nothing waits for ever."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from gateway.config import TimingConfig
from gateway.request_head import MAX_HEAD_BYTES
from tests.gateway.service import Service, running
from tests.waiting import until

HANDSHAKE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PLAIN = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
CONNECT = b'{"id":1,"connect":{"token":"all"}}'


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A client's frame of under 126 bytes, masked with zeros."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


@dataclass
class Client:
    """A socket without a protocol."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        """The head of the answer."""
        async with asyncio.timeout(10):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def message(self) -> Any:
        """The next message, of at most 65,535 bytes."""
        async with asyncio.timeout(10):
            start = await self.reader.readexactly(2)
            size = start[1] if start[1] < 126 else int.from_bytes(await self.reader.readexactly(2), "big")
            return json.loads(await self.reader.readexactly(size))

    async def rest(self) -> bytes:
        """All that comes until the gateway closes; empty too when it cuts the socket off."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def client(service: Service) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def connections(service: Service, count: int) -> None:
    """Wait until the gateway counts so many."""
    async with asyncio.timeout(10):
        await until(lambda: service.sample("gateway_connections") == count)


# handed on


async def test_an_upgrade_becomes_a_connection_however_its_bytes_are_cut() -> None:
    async with running() as service:
        for size in (1, 7, len(HANDSHAKE)):
            async with client(service) as peer:
                for start in range(0, len(HANDSHAKE), size):
                    peer.send(HANDSHAKE[start : start + size])
                    await asyncio.sleep(0)
                assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
                peer.send(frame(1, CONNECT))
                assert "connect" in await peer.message()


async def test_a_plain_request_is_answered_however_its_bytes_are_cut() -> None:
    async with running() as service:
        for size in (1, 7, len(PLAIN)):
            async with client(service) as peer:
                for start in range(0, len(PLAIN), size):
                    peer.send(PLAIN[start : start + size])
                    await asyncio.sleep(0)
                assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
                assert await peer.rest() == b'{"status":"ok"}'


async def test_who_asks_and_sends_no_more_is_answered_all_the_same() -> None:
    async with running() as service:
        for sent, status in ((PLAIN, b"200"), (b"nonsense\r\n\r\n", b"400")):
            async with client(service) as peer:
                peer.send(sent)
                peer.writer.write_eof()
                assert (await peer.head()).startswith(b"HTTP/1.1 " + status)
                await peer.rest()


async def test_frames_behind_the_handshake_go_along_with_it_and_the_handshake_is_answered_first() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE + frame(9, b"now") + frame(1, CONNECT) + frame(8, (1000).to_bytes(2, "big")))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert await peer.reader.readexactly(5) == b"\x8a\x03now", "the pong"
        assert (await peer.rest())[:4] == b"\x88\x02" + (1000).to_bytes(2, "big"), "the answer to its close"


async def test_a_message_behind_the_handshake_is_answered() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE + frame(1, CONNECT))
        await peer.head()
        assert "connect" in await peer.message()


async def test_more_commands_behind_the_handshake_than_may_wait_are_all_answered() -> None:
    commands = [f'{{"id":{n},"subscribe":{{"channel":"bars:DEMO:S99@1m"}}}}'.encode() for n in range(2, 600)]
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE + frame(1, CONNECT) + b"".join(frame(1, command) for command in commands))
        await peer.head()
        replies = [await peer.message() for _ in range(599)]
    assert [reply["id"] for reply in replies] == list(range(1, 600))


@pytest.mark.parametrize("behind", [PLAIN, HANDSHAKE, b"\x16\x03\x01 no HTTP at all \r\n\r\n"])
async def test_one_plain_request_is_answered_and_nothing_behind_it(behind: bytes) -> None:
    async with running() as service, client(service) as peer:
        peer.send(PLAIN + behind)
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await peer.rest() == b'{"status":"ok"}'


async def test_an_upgrade_asked_for_elsewhere_is_not_heard() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE.replace(b"/connection/websocket", b"/health") + frame(1, CONNECT))
        assert (await peer.head()).startswith(b"HTTP/1.1 200 ")
        assert await peer.rest() == b'{"status":"ok"}'


async def test_a_kept_alive_plain_request_is_not_kept_alive() -> None:
    async with running() as service, client(service) as peer:
        peer.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await peer.head()
        assert head.startswith(b"HTTP/1.0 200 ")
        assert b"\r\nConnection: close\r\n" in head
        assert await peer.rest() == b'{"status":"ok"}'


async def test_a_handshake_that_the_library_refuses_is_answered_and_closed() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE.replace(b"Version: 13", b"Version: 12") + frame(1, CONNECT))
        assert (await peer.head()).startswith(b"HTTP/1.1 400 ")
        assert b"Sec-WebSocket-Version" in await peer.rest()
        await connections(service, 0)


async def test_an_upgrade_to_more_than_a_websocket_is_426() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nUpgrade: websocket\r\n" in head


async def test_the_origin_is_judged_before_the_user_service_is_asked() -> None:
    async with running(origins=("https://desk.example",)) as service:
        async with client(service) as peer:
            peer.send(HANDSHAKE.replace(b"Host:", b"Origin: https://desk.example.evil\r\nHost:") + frame(1, CONNECT))
            assert (await peer.head()).startswith(b"HTTP/1.1 403 ")
            await peer.rest()
        with pytest.raises(InvalidStatus):
            await connect(service.url, origin=Origin("null"))
        assert service.users.requests["all"] == 0


# refused


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"nonsense\r\n\r\n", 400),
        (HANDSHAKE.replace(b"\r\n", b"\n"), 400),
        (HANDSHAKE.replace(b"Host: test\r\n", b""), 400),
        (HANDSHAKE.replace(b"Host: test\r\n", b"Host: test\r\nhost: test\r\n"), 400),
        (HANDSHAKE.replace(b"GET /", b"GET http://test/"), 400),
        (HANDSHAKE.replace(b"GET /", b"GET //"), 400),
        (HANDSHAKE.replace(b"Host: test", b"Host: t\xc3\xa9st"), 400),
        (HANDSHAKE.replace(b"GET", b"POST"), 405),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"), 413),
        (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 413),
        (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 2 * MAX_HEAD_BYTES, 431),
    ],
)
async def test_what_is_refused_gets_a_plain_answer_and_is_closed(sent: bytes, status: int) -> None:
    async with running() as service, client(service) as peer:
        peer.send(sent)
        head = (await peer.head()).decode()
        body = (await peer.rest()).decode()
    status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert status_line.startswith(f"HTTP/1.1 {status} ")
    assert headers["Connection"] == "close"
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert parsedate_to_datetime(headers["Date"]).year > 2000
    assert headers.get("Allow") == ("GET" if status == 405 else None)
    assert "Server" not in headers
    assert int(headers["Content-Length"]) == len(body)
    assert body.startswith("Expected ")


async def test_who_is_refused_gets_the_answer_although_more_is_on_its_way() -> None:
    async with running() as service, client(service) as peer:
        peer.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4000000\r\n\r\n")
        head = await peer.head()
        peer.send(HANDSHAKE + b"x" * 4_000_000)
        async with asyncio.timeout(10):
            await peer.writer.drain()
        peer.writer.write_eof()
        assert head.startswith(b"HTTP/1.1 405 ")
        assert await peer.rest() == b"Expected GET or HEAD.\n"
        await connections(service, 0)


async def test_who_is_refused_may_hang_up_itself() -> None:
    async with running(timing=TimingConfig(connect_s=60)) as service, client(service) as peer:
        peer.send(b"nonsense\r\n\r\n")
        assert (await peer.rest()).startswith(b"HTTP/1.1 400 ")
        assert service.sample("gateway_connections") == 1
        peer.writer.write_eof()
        await connections(service, 0)


async def test_who_is_refused_and_does_not_hang_up_is_cut_at_the_deadline() -> None:
    async with running(timing=TimingConfig(connect_s=0.2)) as service, client(service) as peer:
        peer.send(b"nonsense\r\n\r\n")
        await peer.head()
        await connections(service, 0)


# what does not come


async def test_who_says_nothing_or_not_all_is_cut_at_the_deadline() -> None:
    async with running(timing=TimingConfig(connect_s=0.05)) as service:
        for sent in (b"", b"GET / HT", HANDSHAKE[:-1]):
            async with client(service) as peer:
                peer.send(sent)
                assert await peer.rest() == b""
        await connections(service, 0)


async def test_to_drip_does_not_move_the_deadline() -> None:
    async with running(timing=TimingConfig(connect_s=0.1)) as service, client(service) as peer:
        peer.send(b"GET / HTTP/1.1\r\nA: ")
        async with asyncio.timeout(10):
            while not peer.reader.at_eof() and peer.reader.exception() is None:
                peer.send(b"b")
                await asyncio.sleep(0.002)
        await connections(service, 0)


async def test_the_deadline_of_the_head_is_none_of_the_connection() -> None:
    async with running(timing=TimingConfig(connect_s=0.5)) as service, client(service) as peer:
        peer.send(HANDSHAKE + frame(1, CONNECT))
        await peer.head()
        await peer.message()
        async with client(service) as later:
            assert await later.rest() == b"", "its deadline came, and so the other's has passed"
        peer.send(frame(9, b"still"))
        assert await peer.reader.readexactly(7) == b"\x8a\x05still"


async def test_who_hangs_up_before_the_head_is_whole_is_forgotten() -> None:
    async with running() as service, client(service) as peer:
        peer.send(b"GET / HT")
        await connections(service, 1)
        peer.writer.write_eof()
        assert await peer.rest() == b""
        await connections(service, 0)


# leaving


async def test_a_socket_counts_from_the_start_and_one_that_was_handed_on_counts_once() -> None:
    async with running() as service, client(service) as silent, client(service) as peer:
        await connections(service, 2)
        peer.send(HANDSHAKE)
        await peer.head()
        assert service.sample("gateway_connections") == 2
        silent.send(PLAIN)
        await silent.rest()
        assert service.sample("gateway_connections") == 1


async def test_leaving_cuts_who_has_not_said_what_it_wants() -> None:
    async with asyncio.timeout(10), AsyncExitStack() as clients:
        async with running(timing=TimingConfig(connect_s=60)) as service:
            silent = await clients.enter_async_context(client(service))
            begun = await clients.enter_async_context(client(service))
            begun.send(HANDSHAKE[:-1])
            await connections(service, 2)
        assert await silent.rest() == b""
        assert await begun.rest() == b""


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_cuts_who_is_just_coming(turns: int) -> None:
    with socket.socket() as late:
        async with asyncio.timeout(10):
            async with running(timing=TimingConfig(connect_s=60)) as service:
                late.connect(("127.0.0.1", service.port))
                late.setblocking(False)
                for _ in range(turns):
                    await asyncio.sleep(0)
            with suppress(ConnectionError):
                assert await asyncio.get_running_loop().sock_recv(late, 1) == b""
