"""What the kernel holds for one reader: how much it may be, and how much it is. Asks and tells sockets; no other I/O.

Left alone, Linux keeps some 4 MB for a reader that does not read, where nothing can be replaced by something newer.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Mapping
from typing import Final

SEND_BUFFER_BYTES: Final = 64 * 1024
"""Linux doubles it, for its own bookkeeping."""
UNSENT_BYTES: Final = 16 * 1024
"""What may lie in the kernel beyond what is on its way to the reader."""
USER_TIMEOUT_MS: Final = 10_000
"""The kernel ends a connection whose reader has acknowledged nothing for so long, whatever this process does."""

_TCP_OPTIONS: Final[Mapping[str, int]] = {
    "TCP_NODELAY": 1,
    "TCP_NOTSENT_LOWAT": UNSENT_BYTES,
    "TCP_USER_TIMEOUT": USER_TIMEOUT_MS,
}


def bound_kernel_buffers(listening: socket.socket) -> None:
    """Set the options of what will be accepted, which inherits them; one that this system does not have is left out."""
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    for name, value in _TCP_OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                listening.setsockopt(socket.IPPROTO_TCP, option, value)


def unaccepted_bytes(transport: asyncio.Transport) -> int:
    """What was written and not acknowledged by the reader's system: in the transport and, on Linux, in the kernel."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    size = transport.get_write_buffer_size()
    if connection is not None:
        with contextlib.suppress(OSError, ValueError):  # not told here, or closed
            (kernel_bytes,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))
            size += kernel_bytes
    return size
