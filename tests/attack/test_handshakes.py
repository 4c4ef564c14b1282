"""Requests that two readers could read in two ways: one answer at most, then the socket ends; nothing is smuggled."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.attack.attacker import CONNECT, attacker, frame, handshake, serves
from tests.gateway.service import Service, running

HEALTH = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
PAGE = b"GET /health HTTP/1.1\r\nHost: test\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


async def statuses(service: Service, *sent: bytes) -> list[int]:
    """The status of every answer on one socket."""
    async with attacker(service.port) as peer:
        peer.send(*sent)
        peer.writer.write_eof()
        return [int(each) for each in STATUS.findall(await peer.rest())]


# one request is one request

SMUGGLED = {
    "CL.TE": (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405),
    "TE.CL": (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n", 405),
    "GET, CL.TE": (PAGE + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    "GET, TE.CL": (PAGE + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n", 413),
    "TE hidden by a space": (PAGE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "TE hidden by a tab": (PAGE + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", 413),
    "TE hidden by a form feed": (PAGE + b"Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n", 400),
    "TE hidden in a fold": (PAGE + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE behind a bare line feed": (PAGE + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE behind a bare return": (PAGE + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE misspelled": (PAGE + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 413),
    "two lengths": (PAGE + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n", 413),
    "two lengths in one": (PAGE + b"Content-Length: 0, 44\r\n\r\n", 413),
    "a signed length": (PAGE + b"Content-Length: +44\r\n\r\n", 413),
    "a negative length": (PAGE + b"Content-Length: -1\r\n\r\n", 413),
    "a hexadecimal length": (PAGE + b"Content-Length: 0x2c\r\n\r\n", 413),
    "a length of nought, written long": (PAGE + b"Content-Length: 000\r\n\r\n", 413),
    "a length with a NUL": (PAGE + b"Content-Length: 0\x00\r\n\r\n", 400),
    "a body": (PAGE + b"Content-Length: 44\r\n\r\n", 413),
    "a tunnel": (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 400),
    "a proxy's request": (b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 400),
    "HTTP/2 from the start": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/2 by an upgrade": (PAGE + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade\r\n\r\n", 200),
    "kept alive": (PAGE + b"Connection: keep-alive\r\n\r\n", 200),
    "an expectation": (PAGE + b"Expect: 100-continue\r\n\r\n", 200),
    "an upgrade elsewhere": (handshake(path="/health"), 200),
    "an upgrade of another version": (handshake().replace(b"Version: 13", b"Version: 777"), 400),
    "an upgrade without a key": (handshake().replace(b"Sec-WebSocket-Key", b"X"), 400),
    "an upgrade with a short key": (handshake().replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"AAAA"), 400),
    "an upgrade with a key of other letters": (handshake().replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"!" * 24), 400),
    "an upgrade with two keys": (handshake("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
    "an upgrade that the connection does not name": (handshake(connection="keep-alive"), 426),
    "an upgrade with a body": (handshake("Content-Length: 44"), 413),
    "an upgrade with a chunked body": (handshake("Transfer-Encoding: chunked"), 413),
    "an upgrade by another method": (handshake().replace(b"GET", b"PATCH"), 405),
}


@pytest.mark.parametrize(("sent", "status"), SMUGGLED.values(), ids=SMUGGLED)
async def test_what_comes_behind_a_request_is_never_a_second_one(sent: bytes, status: int) -> None:
    async with running() as service:
        for behind in (HEALTH, handshake() + CONNECT, b"5\r\nGET /\r\n0\r\n\r\n" + HEALTH):
            assert await statuses(service, sent, behind) == [status]
        assert service.users.requests["all"] == 0


async def test_what_comes_behind_an_upgrade_is_frames_and_no_request() -> None:
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake(), HEALTH)
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert (await peer.ending()).code == 1002


@pytest.mark.parametrize(
    "connection", ["upgrade, x", "x, Upgrade", "keep-alive, Upgrade", "Upgrade, close", "Upgrade, Host", "UPGRADE"]
)
async def test_a_connection_header_that_names_more_is_heard_for_the_upgrade_alone(connection: str) -> None:
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake("x: y", connection=connection), CONNECT)
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert "connect" in await peer.message()


async def test_no_header_changes_what_is_asked_for() -> None:
    async with running() as service:
        for line in (
            "X-Original-URL: /connection/websocket",
            "X-Rewrite-URL: /connection/websocket",
            "X-HTTP-Method-Override: POST",
            "X-Forwarded-Host: evil.example",
            "X-Forwarded-Proto: https",
            "Forwarded: for=127.0.0.1;host=evil.example",
        ):
            assert await statuses(service, PAGE + line.encode() + b"\r\n\r\n") == [200]


@pytest.mark.parametrize(
    "path",
    [
        "/connection/websocket/../../health",
        "/connection//websocket",
        "/connection/websocket;x",
        "/connection/websocket%3Fx",
        "/connection/websocket%00",
        "/./connection/websocket",
        "/connection/websocket#x",
        "/Connection/WebSocket",
    ],
)
async def test_no_other_spelling_is_the_websockets_address(path: str) -> None:
    async with running() as service:
        assert await statuses(service, handshake(path=path), CONNECT) == [404]
        assert service.users.requests["all"] == 0


# an answer says nothing of a request but what is wrong with it


async def test_nothing_of_a_request_can_become_a_header_or_a_page() -> None:
    marks = ("<script>", "evil.example", "\t")
    async with running() as service:
        for sent in (
            handshake("Origin: <script>evil.example</script>"),
            handshake("Sec-WebSocket-Protocol: <script>,evil.example"),
            handshake().replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"<script>evil.example"),
            handshake().replace(b"Upgrade: websocket", b"Upgrade: <script>, websocket"),
            b"GET /<script>evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            b"GET /nowhere?x=%0d%0aSet-Cookie:%20evil.example HTTP/1.1\r\nHost: test\r\n\r\n",
        ):
            async with attacker(service.port) as peer:
                peer.send(sent)
                head = (await peer.head()).decode()
                assert not any(mark in head for mark in marks)
                if not head.startswith("HTTP/1.1 101 "):
                    assert "Content-Type: text/plain" in head


async def test_no_answer_tells_what_the_gateway_is_made_of() -> None:
    async with running(origins=("https://desk.example",)) as service:
        for sent in (
            handshake(),
            handshake("Origin: https://evil.example"),
            handshake().replace(b"Version: 13", b"Version: 12"),
            handshake(connection="close"),
            handshake("Host: other"),
            HEALTH,
        ):
            async with attacker(service.port) as peer:
                peer.send(sent)
                answer = await peer.head()
                if not answer.startswith(b"HTTP/1.1 101 "):
                    answer += await peer.rest()
                assert (
                    re.search(rb"python|aiohttp|websockets/|uvloop|traceback|server: (?!signal)", answer.lower())
                    is None
                )


# headers that were made to cost

COSTLY = [
    "," * 8000,
    ", " * 4000,
    "a," * 4000,
    "a" + " " * 8000 + "b",
    '"' * 8000,
    "\\" * 8000,
    "a;" * 4000,
    "a=" * 4000,
]


@pytest.mark.parametrize(
    "name", ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Connection", "Upgrade", "Origin"]
)
async def test_no_header_costs_more_than_it_is_long(name: str) -> None:
    async with running(origins=("https://desk.example",)) as service:
        for value in COSTLY:
            assert await statuses(service, handshake(f"{name}: {value}")) != [500]
        await serves(service)


NAMES = st.sampled_from(
    [
        "Connection",
        "Upgrade",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Origin",
        "Host",
        "Authorization",
        "Cookie",
        "Content-Length",
        "Accept-Encoding",
        "X-Forwarded-For",
    ]
)
VALUES = st.text(st.characters(max_codepoint=255), max_size=40) | st.sampled_from(
    ["Upgrade", "websocket", "13", "permessage-deflate", "centrifuge-json", "Bearer all", "", "0", "127.0.0.1", "null"]
)


@settings(max_examples=25)
@given(st.lists(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4), min_size=5, max_size=10))
async def test_whatever_the_headers_say_is_answered_once_and_never_by_a_fault(
    requests: list[list[tuple[str, str]]],
) -> None:
    with capture_logs() as logs:
        async with running() as service:
            for headers in requests:
                sent = handshake(*(f"{name}: {value}" for name, value in headers))
                async with attacker(service.port) as peer:
                    peer.send(sent, frame(b"\x03\xe8", 8))
                    peer.writer.write_eof()
                    found = STATUS.findall(await peer.rest())
                assert len(found) == 1
                assert found[0] in {b"101", b"400", b"403", b"413", b"426", b"431"}
            await serves(service)
    assert [line for line in logs if line["log_level"] not in {"info", "debug"}] == []
