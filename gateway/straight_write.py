"""Writing straight to a socket, past the queue of the event loop's transport, while that is empty. Does I/O.

A transport's own write costs a tenth more than the system call beneath it; that is what a delivery costs.
"""

import asyncio
import os
from collections.abc import Callable

from gateway.tls_transport import TlsTransport


def straight_write(transport: asyncio.Transport) -> Callable[[bytes], None]:
    """A write in the transport's order: what the socket does not take at once is the transport's.

    Not to be called once the transport is closed: by then its descriptor may be another's.
    """
    socket = transport.get_extra_info("socket")
    queue, queued_bytes = transport.write, transport.get_write_buffer_size
    if socket is None or isinstance(transport, TlsTransport):
        return queue
    descriptor, write_out = socket.fileno(), os.write

    def write(data: bytes) -> None:
        if queued_bytes():
            queue(data)
            return
        try:
            count = write_out(descriptor, data)
        except OSError:  # it takes nothing, or is broken: the transport finds out which
            queue(data)
            return
        if count < len(data):
            queue(data[count:])

    return write
