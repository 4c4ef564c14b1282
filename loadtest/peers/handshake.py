"""The opening handshake of WebSocket, a server's side of it as short as can be. Pure; no I/O."""

import base64
import hashlib
import re
from typing import Final

END_OF_HEAD: Final = b"\r\n\r\n"
_KEY: Final = re.compile(rb"\r\nSec-WebSocket-Key: *([A-Za-z0-9+/=]+)", re.IGNORECASE)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


def answer(head: bytes) -> bytes:
    """The answer to a request. Raises ValueError for one that has no key."""
    key = _KEY.search(head)
    if key is None:
        raise ValueError("expected a Sec-WebSocket-Key, found none")
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())  # noqa: S324 - RFC 6455 wants it
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + END_OF_HEAD
    )
