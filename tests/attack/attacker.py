"""A client that keeps no rule: any bytes over a real socket, frames of any shape."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.gateway.service import Service

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
TIMEOUT_S: Final = 20.0


def handshake(*lines: str, path: str = "/connection/websocket", connection: str = "Upgrade") -> bytes:
    """An upgrade, with further header lines."""
    head = [
        f"GET {path} HTTP/1.1",
        "Host: test",
        "Upgrade: websocket",
        f"Connection: {connection}",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1")


def frame(
    payload: bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    size: int | None = None,
) -> bytes:
    """A frame, masked with zeros; `rsv` are its three reserved bits, `size` the length that it claims."""
    size = len(payload) if size is None else size
    first, mask = fin << 7 | rsv << 4 | opcode, masked << 7
    if size < 126:
        head = bytes((first, mask | size))
    elif size < 1 << 16:
        head = bytes((first, mask | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask | 127)) + size.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + payload


def command(number: int, **methods: object) -> bytes:
    """One command."""
    return json.dumps({"id": number, **methods}, separators=(",", ":")).encode()


CONNECT: Final = frame(command(1, connect={"token": "all"}))


@dataclass
class Ending:
    """How a socket ended: the close frame that came, if one did, and the messages and pongs before it."""

    code: int | None = None
    reason: str = ""
    messages: list[Any] = field(default_factory=list)
    pongs: int = 0


class Attacker:
    """A socket without a protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        """Give bytes to the kernel, as they are, unless the socket has ended."""
        if not self.writer.transport.is_closing():
            self.writer.write(b"".join(data))

    async def sent(self) -> bool:
        """Wait until the kernel has most of it; false once the socket has been cut."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.writer.drain()
        except ConnectionError:
            return False
        return True

    async def head(self) -> bytes:
        """The head of an HTTP answer."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """All that comes until the end; what came before the socket was cut."""
        parts = []
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while part := await self.reader.read(65536):
                    parts.append(part)
            except ConnectionError:
                pass
        return b"".join(parts)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. It has to be whole, unmasked, and of no extension."""
        async with asyncio.timeout(TIMEOUT_S):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 15, await self.reader.readexactly(size)

    async def message(self) -> Any:
        """The next message that is no ping; control frames are passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT and payload != b"{}":
                return json.loads(payload)

    async def ending(self) -> Ending:
        """Read to the end; a close is answered."""
        ending = Ending()
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    ending.code = int.from_bytes(payload[:2], "big") if payload else 1005
                    ending.reason = payload[2:].decode()
                    self.send(frame(payload, CLOSE))
                elif opcode == TEXT and payload != b"{}":
                    ending.messages.append(json.loads(payload))
                ending.pongs += opcode == PONG
        except (ConnectionError, asyncio.IncompleteReadError):
            return ending


@asynccontextmanager
async def attacker(port: int, host: str = "127.0.0.1") -> AsyncIterator[Attacker]:
    """A socket to a port, on which nothing was said."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Attacker(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened(service: Service) -> AsyncIterator[Attacker]:
    """A socket behind its handshake."""
    async with attacker(service.port) as peer:
        peer.send(handshake())
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        yield peer


@asynccontextmanager
async def known(service: Service, token: str = "all") -> AsyncIterator[Attacker]:
    """A socket whose connect was granted."""
    async with opened(service) as peer:
        peer.send(frame(command(1, connect={"token": token})))
        assert "connect" in await peer.message()
        yield peer


async def serves(service: Service) -> None:
    """Check that another client is served, whatever was done."""
    async with service.connected() as peer:
        assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}})
