"""A bare loop of ``socket.send`` over sockets whose handshake is done: what no server can go below. Does I/O."""

import asyncio
import select
import socket
from contextlib import suppress
from typing import Final

from loadtest.peers.console import announce, obey
from loadtest.peers.handshake import END_OF_HEAD, answer
from loadtest.peers.publish import text_frame

_BACKLOG: Final = 4096
_RECEIVE_BYTES: Final = 4096
_HANDSHAKE_S: Final = 5.0


async def serve() -> None:
    """Serve until standard input ends."""
    clients: dict[int, socket.socket] = {}

    def broadcast(message: bytes) -> None:
        frame = text_frame(message)
        for descriptor, client in list(clients.items()):
            try:
                sent = client.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError:
                clients.pop(descriptor).close()
                continue
            if sent < len(frame):
                _send_rest(client, frame[sent:])

    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(_accept(listener, clients), name="peer.accept")
            announce(listener.getsockname()[1])
            await obey(broadcast)
            accepting.cancel()
    for client in clients.values():
        client.close()


async def _accept(listener: socket.socket, clients: dict[int, socket.socket]) -> None:
    """Shake hands with one after the other."""
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listener)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b""
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                while END_OF_HEAD not in head:
                    received = await loop.sock_recv(client, _RECEIVE_BYTES)
                    if not received:
                        raise ConnectionResetError
                    head += received
                await loop.sock_sendall(client, answer(head))
        except (OSError, ValueError):
            client.close()
            continue
        clients[client.fileno()] = client


def _send_rest(client: socket.socket, rest: bytes) -> None:
    """Wait for a reader that is behind."""
    waiting = select.poll()
    waiting.register(client, select.POLLOUT)
    while rest:
        waiting.poll()
        with suppress(BlockingIOError):
            rest = rest[client.send(rest) :]
