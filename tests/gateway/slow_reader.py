"""A client that reads only when it is told to, over a socket whose receive buffer is small."""

import asyncio
import json
import socket
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

    def __init__(self, connection: socket.socket, url: str) -> None:
        self.messages: list[dict[str, Any]] = []
        self.pongs: list[bytes] = []
        self.ended = False
        self._socket = connection
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
            data = await asyncio.get_running_loop().sock_recv(self._socket, limit_bytes)
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
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def _write(self) -> None:
        await self.send_raw(b"".join(self._protocol.data_to_send()))


@asynccontextmanager
async def slow_reader(service: Service) -> AsyncIterator[SlowReader]:
    """A connected client that has read all that was sent to it so far."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", service.port))
        client = SlowReader(connection, service.url)
        await client.open()
        yield client
