"""The opening handshake of a WebSocket, for a request as clients send it: from its bytes to the answer's. Pure; no I/O.

What is out of the ordinary, and what is to be refused, is left to the library.
"""

import re
from base64 import b64encode
from collections.abc import Collection
from hashlib import sha1
from typing import Final

from msgspec import Struct

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NAMES: Final = frozenset(
    {
        b"authorization",
        b"connection",
        b"origin",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"upgrade",
    }
)
_KEY: Final = re.compile(rb"[0-9A-Za-z+/]{22}==")  # base64 of 16 bytes
_TOKENS: Final = re.compile(rb"[0-9A-Za-z.-]+(?:[ \t]*,[ \t]*[0-9A-Za-z.-]+)*")


class Accepted(Struct, frozen=True):
    """A request that is granted: the `answer` to it, its target, and what was said beside."""

    answer: bytes
    target: str
    subprotocol: str | None
    authorization: str | None


def accept(head: bytes, origins: Collection[str] | None, subprotocols: Collection[str]) -> Accepted | None:
    """Grant a request whose head is well formed and ends there; None when the library has to look at it.

    `origins`: those whose pages may come, None for all; a client that names none may always. The first of the
    client's subprotocols that is one of `subprotocols` is taken.
    """
    lines = head.split(b"\r\n")
    found: dict[bytes, bytes] = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in _NAMES:
            if name in found:
                return None
            found[name] = value.strip(b" \t")
    key = found.get(b"sec-websocket-key", b"")
    origin = found.get(b"origin")
    offered = found.get(b"sec-websocket-protocol", b"")
    if (
        _KEY.fullmatch(key) is None
        or found.get(b"sec-websocket-version") != b"13"
        or found.get(b"upgrade", b"").lower() != b"websocket"
        or _TOKENS.fullmatch(connection := found.get(b"connection", b"")) is None
        or b"upgrade" not in _split(connection.lower())
        or (offered and _TOKENS.fullmatch(offered) is None)
        or (origins is not None and origin is not None and origin.decode("ascii") not in origins)
    ):
        return None
    names = [name.decode("ascii") for name in _split(offered)]
    subprotocol = next((name for name in names if name in subprotocols), None)
    authorization = found.get(b"authorization")
    return Accepted(
        _answer(key, subprotocol),
        lines[0].split(b" ")[1].decode("ascii"),
        subprotocol,
        None if authorization is None else authorization.decode("ascii"),
    )


def _split(tokens: bytes) -> list[bytes]:
    return [token.strip(b" \t") for token in tokens.split(b",")]


def _answer(key: bytes, subprotocol: str | None) -> bytes:
    proof = b64encode(sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = b"" if subprotocol is None else b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (proof, chosen)
    )
