"""What the public port answers to who does not ask for a WebSocket."""

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from aiohttp import ClientResponse, ClientSession, web
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS
from yarl import URL

from gateway.request_head import Passage, judge
from gateway.web import PageHandler, Pages
from tests.gateway.service import running


@asynccontextmanager
async def asked(path: str, method: str = "GET") -> AsyncIterator[ClientResponse]:
    async with running() as service, ClientSession() as session:
        url = URL(f"http://127.0.0.1:{service.port}{path}", encoded=True)
        async with session.request(method, url, allow_redirects=False) as response:
            yield response


@asynccontextmanager
async def served(
    handler: Callable[[], asyncio.Protocol],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket that is handed to `handler` from the start."""
    server = await asyncio.get_running_loop().create_server(handler, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
    finally:
        server.close()
        await server.wait_closed()


class Elements(HTMLParser):
    """The elements of a page, their attributes, and the text of its style."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.style = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"] and not self.style:
            self.style = data


# what there is


async def test_the_page_says_what_this_is_and_where_to_subscribe() -> None:
    async with asked("/") as response:
        text = await response.text()
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "Signal Service" in text
    assert "/connection/websocket" in text


async def test_the_page_loads_nothing_and_may_do_nothing() -> None:
    async with asked("/") as response:
        elements = Elements()
        elements.feed(await response.text())
    policy = dict(each.strip().split(" ", 1) for each in response.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{b64encode(sha256(elements.style.encode()).digest()).decode()}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert elements.style
    assert not elements.attributes & {"src", "href", "style", "onload"}
    assert not {"script", "link", "form", "img"} & set(elements.tags)


async def test_health_is_ok_while_the_loop_lives() -> None:
    async with asked("/health?from=probe") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert await response.json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/elsewhere", "/health/", "/connection", "/favicon.ico", "/%68ealth", "/%2e%2e/health"]
)
async def test_elsewhere_there_is_nothing_but_a_hint(path: str) -> None:
    async with asked(path) as response:
        assert (response.status, response.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        assert "/connection/websocket" in await response.text()


async def test_the_websockets_path_wants_an_upgrade() -> None:
    async with asked("/connection/websocket?x") as response:
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"
        assert response.headers["Connection"] == "close, Upgrade"
        assert await response.text() == "Expected a WebSocket.\n"


@pytest.mark.parametrize("path", ["/", "/health", "/elsewhere", "/connection/websocket"])
async def test_head_is_answered_as_get_without_the_body(path: str) -> None:
    async with asked(path) as expected:
        body = await expected.read()
    async with asked(path, "HEAD") as response:
        assert await response.read() == b""
    assert response.status == expected.status
    assert int(response.headers["Content-Length"]) == len(body)
    assert {**response.headers, "Date": ""} == {**expected.headers, "Date": ""}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_any_other_method_is_405(method: str) -> None:
    async with asked("/health", method) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/health", "/elsewhere", "/connection/websocket"])
async def test_no_answer_is_stored_guessed_at_kept_alive_or_tells_a_version(path: str) -> None:
    async with asked(path) as response:
        headers = response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "close" in headers["Connection"]
    assert headers["Server"] == "signal-service"
    assert len(headers.getall("Server")) == 1


# sockets


async def test_a_request_as_large_as_may_pass_is_answered() -> None:
    line = b"A: " + b"b" * (MAX_LINE_LENGTH - 5)
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: h", line, *[b"A: b"] * (MAX_NUM_HEADERS - 2), b"", b""])
    assert isinstance(judge(head), Passage)
    async with running() as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(head)
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await writer.wait_closed()


async def test_what_only_aiohttp_finds_fault_with_is_400_without_a_version_or_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"
    assert isinstance(judge(head), Passage)
    with caplog.at_level(logging.DEBUG, "aiohttp"):
        async with running() as service:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(head)
            async with asyncio.timeout(10):
                answer = await reader.read()
            writer.close()
            await writer.wait_closed()
    assert re.match(rb"HTTP/1.\d 400 ", answer)
    assert answer.endswith(b"\r\n\r\nExpected an HTTP/1.1 request.\n")
    assert re.search(rb"aiohttp|python", answer, re.IGNORECASE) is None
    assert caplog.records == []


async def test_what_is_asked_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "aiohttp"):
        async with asked("/?token=secret") as response:
            assert response.status == 200
    assert caplog.records == []


async def test_an_error_of_ours_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: web.BaseRequest) -> web.StreamResponse:
        raise RuntimeError("our fault")

    loop = asyncio.get_running_loop()
    manager = web.Server(fail)
    async with served(lambda: PageHandler(manager, loop=loop)) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
    assert "our fault" in caplog.text


async def test_a_socket_that_asks_nothing_is_closed_in_time() -> None:
    async with served(Pages(0.05).handler) as (reader, _):
        async with asyncio.timeout(10):
            assert await reader.read() == b""


async def test_on_leaving_a_socket_that_asks_nothing_is_closed() -> None:
    pages = Pages(3600)
    made = asyncio.Event()

    def handler() -> asyncio.Protocol:
        made.set()
        return pages.handler()

    async with served(handler) as (reader, _), asyncio.timeout(10):
        await made.wait()
        await asyncio.sleep(0)
        await pages.shut()
        assert await reader.read() == b""
