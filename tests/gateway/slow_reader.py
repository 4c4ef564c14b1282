"""A client that reads only when it is told to, over a socket whose receive buffer is small."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.gateway.service import Service

RECEIVE_BUFFER_BYTES: Final = 4096


class SlowReader:
    """One client. `messages` are those that it has read, decoded; pings among them are `{}`."""

    def __init__(self, wire: "PlainWire", url: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.pongs: list[bytes] = []
        self.ended = False
        self._wire = wire
        self._protocol = ClientProtocol(parse_uri(url), max_size=None)
        self._unread = 0

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that it has read."""
        return None if self._protocol.close_rcvd is None else self._protocol.close_rcvd.code

    async def open(self) -> None:
        """Shake hands and connect."""
        self._protocol.send_request(self._protocol.connect())
        await self._write()
        while self._protocol.state.name != "OPEN":
            await self.read()
        await self.ask({"id": 1, "connect": {"token": "all"}})

    async def read(self, limit_bytes: int = 65536) -> None:
        """Read what is there, or what comes next."""
        assert not self.ended
        async with asyncio.timeout(20):
            data = await self._wire.receive(limit_bytes)
        if not data:
            self.ended = True
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.messages.append(json.loads(bytes(event.data)))
            if isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self.pongs.append(bytes(event.data))
        await self._write()

    async def receive(self) -> dict[str, Any]:
        """The next message that was not taken before; pings are passed over."""
        while True:
            while self._unread == len(self.messages):
                await self.read()
            self._unread += 1
            if message := self.messages[self._unread - 1]:
                return message

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and read until its reply."""
        await self.send(command)
        while (message := await self.receive()).get("id") != command["id"]:
            pass
        return message

    async def send(self, *commands: object) -> None:
        """Send commands as one message."""
        self._protocol.send_text("\n".join(json.dumps(command) for command in commands).encode())
        await self._write()

    async def ping(self, payload: bytes) -> None:
        """Send a ping of WebSocket's."""
        self._protocol.send_ping(payload)
        await self._write()

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self._wire.send(data)

    async def _write(self) -> None:
        await self.send_raw(b"".join(self._protocol.data_to_send()))


class PlainWire:
    """Bytes over a socket as they are."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    async def receive(self, limit_bytes: int) -> bytes:
        """What is there, or what comes next; empty at the end."""
        return await self._loop.sock_recv(self._socket, limit_bytes)

    async def send(self, data: bytes) -> None:
        """All of it."""
        await self._loop.sock_sendall(self._socket, data)


class TlsWire(PlainWire):
    """Bytes over a socket by TLS, that reads no more of it than it is asked for."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    async def shake_hands(self) -> None:
        """Before anything else."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await super().send(self._outgoing.read())
                self._incoming.write(await super().receive(65536))
            else:
                await super().send(self._outgoing.read())
                return

    async def receive(self, limit_bytes: int) -> bytes:
        while True:
            try:
                return self._tls.read(limit_bytes)
            except ssl.SSLWantReadError:
                data = await super().receive(limit_bytes)
                if not data:
                    return b""
                self._incoming.write(data)

    async def send(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
            await super().send(self._outgoing.read())


async def tls_wire(connection: socket.socket, context: ssl.SSLContext) -> TlsWire:
    """A socket whose hands are shaken."""
    wire = TlsWire(connection, context)
    await wire.shake_hands()
    return wire


@asynccontextmanager
async def slow_reader(service: Service) -> AsyncIterator[SlowReader]:
    """A connected client that has read all that was sent to it so far."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", service.port))
        wire = PlainWire(connection) if service.tls is None else await tls_wire(connection, service.tls.client)
        client = SlowReader(wire, service.url)
        await client.open()
        yield client
