"""A server of which only the TLS is the gateway's: it echoes what it is sent, and tells what it saw."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from gateway.tls_transport import TlsTransport


class Echo(asyncio.Protocol):
    """Says back what it hears."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.heard: list[bytes] = []
        self.ended = False
        self.paused = 0
        self.lost = 0
        self.stays_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.heard.append(data)
        self.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        return self.stays_open

    def pause_writing(self) -> None:
        self.paused += 1

    def resume_writing(self) -> None:
        self.paused -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


class TlsServer:
    """What came to it: one echo for each socket, whether it has shaken hands or not."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.echoes: list[Echo] = []
        self.port = 0
        self._context = context

    def receive(self) -> TlsTransport:
        self.echoes.append(Echo())
        return TlsTransport(self._context, self.echoes[-1])


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[TlsServer]:
    server = TlsServer(context)
    listening = await asyncio.get_running_loop().create_server(server.receive, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for echo in server.echoes:
            if echo.transport is not None:
                echo.transport.abort()
        await listening.wait_closed()
