"""A bare loop of ``transport.write`` on uvloop, over connections whose handshake is done. Does I/O."""

import asyncio
from functools import partial
from typing import cast

from loadtest.peers.console import announce, obey
from loadtest.peers.handshake import END_OF_HEAD, answer
from loadtest.peers.publish import text_frame


class _Client(asyncio.Protocol):
    """One socket; its transport joins `open_ones` after the handshake, and what it says then is not read."""

    def __init__(self, open_ones: dict["_Client", asyncio.Transport]) -> None:
        self._open_ones = open_ones
        self._transport: asyncio.Transport | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Shake hands."""
        if self in self._open_ones or self._transport is None:
            return
        self._head += data
        if END_OF_HEAD in self._head:
            self._transport.write(answer(self._head))
            self._open_ones[self] = self._transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Send it nothing more."""
        self._open_ones.pop(self, None)


async def serve() -> None:
    """Serve until standard input ends."""
    open_ones: dict[_Client, asyncio.Transport] = {}

    def broadcast(message: bytes) -> None:
        frame = text_frame(message)
        for transport in open_ones.values():
            transport.write(frame)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(_Client, open_ones), "127.0.0.1", 0, backlog=4096)
    async with server:
        announce(server.sockets[0].getsockname()[1])
        await obey(broadcast)
    for transport in list(open_ones.values()):
        transport.abort()
