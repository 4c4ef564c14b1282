"""The kernel keeps little for a reader that does not read, and says how much."""

import asyncio
import socket
from typing import cast

import pytest

from gateway.socket_options import SEND_BUFFER_BYTES, UNSENT_BYTES, bound_kernel_buffers, unaccepted_bytes

LINUX = hasattr(socket, "TCP_USER_TIMEOUT")


class Accepted(asyncio.Protocol):
    """The accepted socket of a test."""

    def __init__(self) -> None:
        self.made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.set_result(cast("asyncio.Transport", transport))

    def pause_writing(self) -> None:
        self.paused = True


async def stall(*, bounded: bool) -> tuple[int, int, int]:
    """Write to a client that does not read: what was written until no more was taken, in the transport, unaccepted."""
    loop, accepted = asyncio.get_running_loop(), Accepted()
    server = await loop.create_server(lambda: accepted, "127.0.0.1", 0, start_serving=False)
    if bounded:
        bound_kernel_buffers(server.sockets[0])
    await server.start_serving()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        transport = await accepted.made
        transport.set_write_buffer_limits(0)
        written = 0
        while not accepted.paused:
            transport.write(bytes(1000))
            written += 1000
            await asyncio.sleep(0)
        connection: socket.socket = transport.get_extra_info("socket")
        unaccepted, in_transport = unaccepted_bytes(transport), transport.get_write_buffer_size()
        if LINUX and bounded:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER_BYTES
        transport.abort()
        server.close()
        await server.wait_closed()
    return written, in_transport, unaccepted


@pytest.mark.skipif(not LINUX, reason="the kernel's part is bounded on Linux only")
async def test_the_kernel_takes_little_for_a_reader_that_does_not_read() -> None:
    written, in_transport, unaccepted = await stall(bounded=True)
    assert in_transport <= 1000
    assert in_transport < unaccepted <= written
    assert unaccepted - in_transport <= 2 * UNSENT_BYTES
    assert written < 64 * 1024


@pytest.mark.skipif(not LINUX, reason="the kernel's part is bounded on Linux only")
async def test_the_kernel_would_take_much_if_it_were_not_told() -> None:
    written, _, unaccepted = await stall(bounded=False)
    assert written > 1024 * 1024
    assert unaccepted > 1024 * 1024


def test_a_transport_without_a_socket_holds_what_it_says() -> None:
    class Memory(asyncio.Transport):
        def get_write_buffer_size(self) -> int:
            return 7

    assert unaccepted_bytes(Memory()) == 7


async def test_a_socket_that_is_closed_holds_nothing() -> None:
    class Closed(asyncio.Transport):
        def get_extra_info(self, name: str, default: object = None) -> socket.socket:
            return closed

        def get_write_buffer_size(self) -> int:
            return 0

    closed = socket.socket()
    closed.close()
    bound_kernel_buffers(closed)
    assert unaccepted_bytes(Closed()) == 0
