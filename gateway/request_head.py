"""The head of a socket's first request: whom the socket is for, or why it is refused. Pure; no I/O.

Only what decides that is looked at, and strictly, so that whoever gets the bytes cannot read them in another way.
"""

import re
from enum import Enum
from typing import Final

from msgspec import Struct
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS

from gateway.websocket import PATH

MAX_HEAD_BYTES: Final = 16 * 1024


class Destination(Enum):
    """Whom a socket is for."""

    WEBSOCKET = "websocket"
    PAGES = "pages"


class Passage(Struct, frozen=True):
    """A request that may pass; its head is the first `head_bytes` of what was received.

    `forwarded_for`: the values of X-Forwarded-For, in order, as whoever sent them wrote them.
    """

    destination: Destination
    head_bytes: int
    forwarded_for: tuple[str, ...] = ()


class Refusal(Struct, frozen=True):
    """The answer to a request that is not passed on.

    `allow` names the methods that would be; after `retry_s` seconds the same request may be.
    """

    status: int
    text: str
    allow: str | None = None
    retry_s: int | None = None


NOT_HTTP: Final = Refusal(400, "Expected an HTTP/1.1 request.\n")
BAD_FIELD: Final = Refusal(400, "Expected header lines as NAME: VALUE, in ASCII.\n")
BAD_HOST: Final = Refusal(400, "Expected exactly one Host header.\n")
BAD_TARGET: Final = Refusal(400, "Expected a path that begins with one slash.\n")
BAD_METHOD: Final = Refusal(405, "Expected GET or HEAD.\n", allow="GET, HEAD")
BAD_UPGRADE: Final = Refusal(405, "Expected GET.\n", allow="GET")
BODY: Final = Refusal(413, "Expected a request without a body.\n")
TOO_LARGE: Final = Refusal(
    431,
    f"Expected a request head of at most {MAX_HEAD_BYTES} bytes, {MAX_NUM_HEADERS} headers and {MAX_LINE_LENGTH} bytes "
    "a line.\n",
)
BAD_VERSION: Final = Refusal(505, "Expected HTTP/1.1.\n")

_END: Final = re.compile(rb"\n\r?\n")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE: Final = re.compile(rb"(%b) ([!-~]+) HTTP/([0-9]\.[0-9])" % _TOKEN.pattern)
_FIELD: Final = re.compile(rb"(%b):([\t -~]*)" % _TOKEN.pattern)


def judge(received: bytes) -> Passage | Refusal | None:
    """Say whom a socket is for on which `received` came; None while the head is not whole.

    What follows the head makes no difference. O(length of the head).
    """
    end = _END.search(received, 0, MAX_HEAD_BYTES)
    if end is None:
        if len(received) >= MAX_HEAD_BYTES:
            return TOO_LARGE
        return NOT_HTTP if _TOKEN.match(received) is None else None
    head_bytes = end.end()
    request = _parse(received[:head_bytes])
    if isinstance(request, Refusal):
        return request
    destination = _destination(request)
    if isinstance(destination, Refusal):
        return destination
    return Passage(destination, head_bytes, tuple(v.decode("ascii") for v in request.values(b"x-forwarded-for")))


class _Request(Struct, frozen=True):
    """What a head says; names of headers in lower case."""

    method: bytes
    target: bytes
    version: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def values(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.headers if each == name]


def _parse(head: bytes) -> _Request | Refusal:
    if not head.endswith(b"\r\n\r\n"):
        return NOT_HTTP
    lines = head[:-4].split(b"\r\n")
    if len(lines) > 1 + MAX_NUM_HEADERS or max(map(len, lines)) > MAX_LINE_LENGTH - len(b"\r\n"):
        return TOO_LARGE
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        return NOT_HTTP
    headers = []
    for line in lines[1:]:
        field = _FIELD.fullmatch(line)
        if field is None:
            return BAD_FIELD
        headers.append((field[1].lower(), field[2].strip()))
    return _Request(first[1], first[2], first[3], tuple(headers))


def _destination(request: _Request) -> Destination | Refusal:
    if request.version not in {b"1.0", b"1.1"}:
        return BAD_VERSION
    if not request.target.startswith(b"/") or request.target.startswith(b"//"):
        return BAD_TARGET
    hosts = len(request.values(b"host"))
    # HTTP/1.0 has no Host, and load balancers probe with it
    if hosts != 1 and (hosts > 1 or request.version == b"1.1"):
        return BAD_HOST
    upgrade = _asks_for_websocket(request)
    if request.method != b"GET" and (upgrade or request.method != b"HEAD"):
        return BAD_UPGRADE if upgrade else BAD_METHOD
    if request.values(b"transfer-encoding") or not set(request.values(b"content-length")) <= {b"0"}:
        return BODY
    if upgrade and request.version == b"1.0":
        return BAD_VERSION
    return Destination.WEBSOCKET if upgrade else Destination.PAGES


def _asks_for_websocket(request: _Request) -> bool:
    """Whether this is for the WebSocket; an upgrade asked for elsewhere is not heard, as HTTP allows."""
    tokens = b",".join(request.values(b"upgrade")).lower().split(b",")
    return request.target.partition(b"?")[0] == PATH.encode() and b"websocket" in {token.strip() for token in tokens}
