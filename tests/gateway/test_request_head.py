"""Who is let in to whom by the head of a request, and what is refused before any library sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS, Request
from websockets.streams import StreamReader

from gateway import request_head
from gateway.request_head import MAX_HEAD_BYTES, Destination, Passage, Refusal, judge

WS = b"/connection/websocket"


def head(request_line: bytes = b"GET / HTTP/1.1", *lines: bytes, host: bytes | None = b"Host: h") -> bytes:
    return b"\r\n".join([request_line, *([] if host is None else [host]), *lines, b"", b""])


def upgrade(path: bytes = WS, *lines: bytes, value: bytes = b"websocket", method: bytes = b"GET") -> bytes:
    return head(method + b" " + path + b" HTTP/1.1", b"Upgrade: " + value, b"Connection: Upgrade", *lines)


def destination(received: bytes) -> Destination | Refusal | None:
    verdict = judge(received)
    return verdict.destination if isinstance(verdict, Passage) else verdict


@pytest.mark.parametrize(
    "received",
    [
        upgrade(),
        upgrade(WS + b"?format=json&x=/elsewhere"),
        upgrade(value=b"WebSocket"),
        upgrade(value=b"h2c ,\twebsocket"),
        upgrade(value=b"websocket,"),
        upgrade(WS, b"UPGRADE: h2c"),
        upgrade(WS, b"Upgrade:h2c", value=b"x").replace(b"Upgrade: x", b"upgrade:websocket"),
        upgrade(WS, b"Content-Length: 0", b"Content-Length:0 "),
        upgrade(WS, b"X-Empty:"),
        upgrade(WS, b"X-Visible: !~ \t"),
    ],
)
def test_an_upgrade_to_websocket_on_its_path_is_for_a_connection(received: bytes) -> None:
    assert destination(received) is Destination.WEBSOCKET


@pytest.mark.parametrize(
    "received",
    [
        head(),
        head(b"HEAD / HTTP/1.1"),
        head(b"GET /health HTTP/1.0", host=None),
        head(b"GET /health HTTP/1.0"),
        head(b"GET " + WS + b" HTTP/1.1"),
        head(b"GET " + WS + b" HTTP/1.0", host=None),
        upgrade(b"/"),
        upgrade(WS + b"/"),
        upgrade(WS.upper()),
        upgrade(b"/connection/%77ebsocket"),
        upgrade(b"/?" + WS),
        upgrade(value=b"h2c"),
        upgrade(value=b"websocket/13"),
        upgrade(value=b"web, socket"),
        head(b"GET " + WS + b" HTTP/1.1", b"X-Upgrade: websocket"),
    ],
)
def test_any_other_request_that_only_reads_is_for_the_pages(received: bytes) -> None:
    assert destination(received) is Destination.PAGES


LONG = b"x" * (MAX_LINE_LENGTH - 2)
REFUSED = [
    (b"\x16\x03\x01\x02\x00\x01", request_head.NOT_HTTP),
    (b"\r\n", request_head.NOT_HTTP),
    (b"\n\n", request_head.NOT_HTTP),
    (b"GET\r\n\r\n", request_head.NOT_HTTP),
    (head(b"GET /"), request_head.NOT_HTTP),
    (head(b"GET  / HTTP/1.1"), request_head.NOT_HTTP),
    (head(b"GET / x HTTP/1.1"), request_head.NOT_HTTP),
    (head(b"GET /\xc3\xa9 HTTP/1.1"), request_head.NOT_HTTP),
    (head(b"GET /\x00 HTTP/1.1"), request_head.NOT_HTTP),
    (head(b"GET / HTTP/1.1 "), request_head.NOT_HTTP),
    (head(b"G@T / HTTP/1.1"), request_head.NOT_HTTP),
    (head(b"GET / http/1.1"), request_head.NOT_HTTP),
    (head(b"GET / HTTP/11"), request_head.NOT_HTTP),
    (head(b"GET / RTSP/1.0"), request_head.NOT_HTTP),
    (head().replace(b"\r\n", b"\n"), request_head.NOT_HTTP),
    (head().replace(b"h\r\n\r\n", b"h\n\r\n"), request_head.NOT_HTTP),
    (head().replace(b"h\r\n\r\n", b"h\r\n\n"), request_head.NOT_HTTP),
    (head().replace(b"1.1\r\n", b"1.1\n"), request_head.NOT_HTTP),
    (head(b"GET / HTTP/1.1", b"A: b\nC: d"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A: b\rC: d"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A: b\x00"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A: b\x7f"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A: \xc3\xa9"), request_head.BAD_FIELD),
    (upgrade(WS, b"Sec-WebSocket-Protocol: \xe9"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A : b"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b" A: b"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b": b"), request_head.BAD_FIELD),
    (head(b"GET / HTTP/1.1", b"A"), request_head.BAD_FIELD),
    (head(host=None), request_head.BAD_HOST),
    (head(b"GET / HTTP/1.1", b"hOST: other"), request_head.BAD_HOST),
    (head(b"GET / HTTP/1.0", b"Host: h"), request_head.BAD_HOST),
    (upgrade(WS, b"Host: h"), request_head.BAD_HOST),
    (head(b"GET http://h/ HTTP/1.1"), request_head.BAD_TARGET),
    (upgrade(b"http://h" + WS), request_head.BAD_TARGET),
    (upgrade(b"/" + WS), request_head.BAD_TARGET),
    (head(b"OPTIONS * HTTP/1.1"), request_head.BAD_TARGET),
    (head(b"CONNECT h:443 HTTP/1.1"), request_head.BAD_TARGET),
    (head(b"POST / HTTP/1.1", b"Content-Length: 3"), request_head.BAD_METHOD),
    (head(b"OPTIONS / HTTP/1.1"), request_head.BAD_METHOD),
    (head(b"BREW / HTTP/1.1"), request_head.BAD_METHOD),
    (head(b"get / HTTP/1.1"), request_head.BAD_METHOD),
    (head(b"POST " + WS + b" HTTP/1.1"), request_head.BAD_METHOD),
    (upgrade(method=b"POST"), request_head.BAD_UPGRADE),
    (upgrade(method=b"HEAD"), request_head.BAD_UPGRADE),
    (upgrade().replace(b"1.1", b"1.0"), request_head.BAD_VERSION),
    (upgrade().replace(b"1.1", b"2.0"), request_head.BAD_VERSION),
    (head(b"GET / HTTP/0.9"), request_head.BAD_VERSION),
    (head(b"GET / HTTP/1.2"), request_head.BAD_VERSION),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", request_head.BAD_VERSION),
    (head(b"GET / HTTP/1.1", b"Content-Length: 1"), request_head.BODY),
    (head(b"GET / HTTP/1.1", b"Content-Length: 0, 1"), request_head.BODY),
    (head(b"GET / HTTP/1.1", b"Content-Length: 0", b"Content-Length: 1"), request_head.BODY),
    (head(b"GET / HTTP/1.1", b"Content-Length:"), request_head.BODY),
    (head(b"GET / HTTP/1.1", b"transfer-encoding: chunked"), request_head.BODY),
    (upgrade(WS, b"Transfer-Encoding: identity"), request_head.BODY),
    (upgrade(WS, b"Content-Length: 9"), request_head.BODY),
    (b"x" * MAX_HEAD_BYTES, request_head.TOO_LARGE),
    (head(b"GET / HTTP/1.1", b"A:" + LONG[:-1]), request_head.TOO_LARGE),
    (head(b"GET /" + LONG + b" HTTP/1.1"), request_head.TOO_LARGE),
    (head(b"GET / HTTP/1.1", *[b"A:"] * MAX_NUM_HEADERS), request_head.TOO_LARGE),
]


@pytest.mark.parametrize(("received", "refusal"), REFUSED)
def test_what_no_library_is_to_see_is_refused(received: bytes, refusal: Refusal) -> None:
    assert judge(received) is refusal


def test_a_head_as_large_as_is_allowed_passes_and_one_byte_more_does_not() -> None:
    lines = [b"A:" + LONG[:-2], *[b"A:"] * (MAX_NUM_HEADERS - 3)]
    spare = MAX_HEAD_BYTES - len(head(b"GET / HTTP/1.1", *lines, b"A:"))

    assert judge(head(b"GET / HTTP/1.1", *lines, b"A:" + b"x" * spare)) == Passage(Destination.PAGES, MAX_HEAD_BYTES)
    assert judge(head(b"GET / HTTP/1.1", *lines, b"A:" + b"x" * (spare + 1))) is request_head.TOO_LARGE


def test_who_says_what_is_allowed() -> None:
    assert request_head.BAD_METHOD.allow == "GET, HEAD"
    assert request_head.BAD_UPGRADE.allow == "GET"


@given(st.sampled_from([head(), upgrade(), upgrade(WS, b"A: b")]), st.binary(max_size=64))
def test_nothing_is_said_before_the_head_is_whole_and_what_follows_makes_no_difference(
    whole: bytes, rest: bytes
) -> None:
    verdict = judge(whole)
    assert isinstance(verdict, Passage)
    assert verdict.head_bytes == len(whole)
    assert judge(whole + rest) == verdict
    assert all(judge(whole[:length]) is None for length in range(1, len(whole)))


TOKENS = (
    *(b"GET", b"HEAD", b"/", WS, b"HTTP/1.1", b"HTTP/1.0", b"websocket", b"Connection: Upgrade", b"A: b"),
    *(b"Host: h", b"host:", b"Upgrade: websocket", b"Upgrade:", b"Content-Length: ", b"0", b"Transfer-Encoding: "),
)
MARKS = (b" ", b"?", b"\r\n", b"\n", b"\r", b"\t", b":", b",", b"\xe9", b"\x00", b"\x0b", b"\x0c", b"\x85")
PIECES = st.sampled_from(TOKENS + MARKS)
MUTILATED = st.builds(
    lambda whole, at, piece, cut: whole[: at % len(whole)] + piece + whole[at % len(whole) + cut :],
    st.sampled_from([head(), upgrade(), upgrade(WS, b"A: b", b"Content-Length: 0")]),
    st.integers(0, 500),
    PIECES,
    st.integers(0, 9),
)


@given(st.one_of(st.binary(), st.lists(PIECES, max_size=20).map(b"".join), MUTILATED))
def test_whatever_is_let_in_to_a_connection_the_library_reads_in_the_same_way(received: bytes) -> None:
    verdict = judge(received)
    if not isinstance(verdict, Passage) or verdict.destination is not Destination.WEBSOCKET:
        return
    reader = StreamReader()
    reader.feed_data(received)
    parsing = Request.parse(reader.read_line)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    request = parsed.value.value
    assert isinstance(request, Request)
    assert len(received) - len(reader.buffer) == verdict.head_bytes
    assert (request.method, request.protocol, request.path.partition("?")[0]) == ("GET", "HTTP/1.1", WS.decode())
    assert len(request.headers.get_all("Host")) == 1
    assert all(value.isascii() for _, value in request.headers.raw_items())
    assert "websocket" in ",".join(request.headers.get_all("Upgrade")).lower()
