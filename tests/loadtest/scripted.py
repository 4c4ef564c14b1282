"""A server that says exactly what the test says, and a way to another one that can be cut."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loadtest.target import Address

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Scripted:
    """Remembers who is connected; speaks to the newest."""

    def __init__(self) -> None:
        self.address = Address("", 0)
        self.clients: list[asyncio.StreamWriter] = []
        self._said: asyncio.Queue[bytes] = asyncio.Queue()

    async def said(self) -> bytes:
        """The next message of a client."""
        async with asyncio.timeout(10):
            return await self._said.get()

    def say(self, *messages: bytes) -> None:
        """Send messages, a frame each, to the client that came last."""
        for message in messages:
            size = len(message)
            head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")
            self.clients[-1].write(head + message)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        writer.write(b"HTTP/1.1 101 Welcome\r\nSec-WebSocket-Accept: %b\r\n" % accept)
        writer.write(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        self.clients.append(writer)
        try:
            while True:
                opcode, size = await reader.readexactly(2)
                length = size & 0x7F
                if length == 126:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                key = await reader.readexactly(4)
                payload = await reader.readexactly(length)
                if opcode & 0xF == 8:
                    break
                self._said.put_nowait(bytes(byte ^ key[i % 4] for i, byte in enumerate(payload)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    script = Scripted()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.address = Address(*server.sockets[0].getsockname()[:2])
    try:
        yield script
    finally:
        server.close()
        for client in script.clients:
            client.close()
        await server.wait_closed()
        await asyncio.sleep(0)


class Passage:
    """Passes all on to a port of this host, as long as nobody cuts it."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """All connections end at once, without a word."""
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        ends = {writer, inner_writer}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass(reader, inner_writer))
                tasks.create_task(_pass(inner_reader, writer))
        finally:
            self._open -= ends
            for end in ends:
                end.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def passage(to_port: int) -> AsyncIterator[Passage]:
    way = Passage(to_port)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        way.cut()
        await server.wait_closed()
        await asyncio.sleep(0)
