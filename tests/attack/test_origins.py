"""Pages of other sites: no browser of a subscriber can be made to connect for them, and nobody is asked about them."""

import pytest

from gateway.config import ListenConfig
from tests.attack.attacker import CONNECT, attacker, command, frame, handshake
from tests.gateway.service import running

DESK = "https://desk.example"
ALLOWED = (DESK, "https://desk.example:8443", "http://localhost:3000")

STRANGERS = [
    "null",
    "",
    "*",
    "file://",
    "http://desk.example",
    "wss://desk.example",
    "https://desk.example.evil.example",
    "https://evil.example?https://desk.example",
    "https://desk.example@evil.example",
    "https://evildesk.example",
    "https://sub.desk.example",
    "https://desk.exampl",
    "https://desk.example.",
    "https://desk.example/",
    "https://desk.example/page",
    "https://desk.example:443",
    "https://desk.example:80",
    "https://desk.example:84430",
    "https://DESK.example",
    "HTTPS://desk.example",
    "desk.example",
    "//desk.example",
    "https://xn--dsk-dma.example",
    "https://deskxexample",
    "http://localhost",
    "http://localhost:30000",
    "http://127.0.0.1:3000",
    "https://desk.example https://evil.example",
    "https://desk.example, https://evil.example",
]


@pytest.mark.parametrize("origin", STRANGERS)
async def test_a_page_of_another_site_is_refused_and_nobody_is_asked(origin: str) -> None:
    async with running(origins=ALLOWED) as service, attacker(service.port) as peer:
        peer.send(handshake(f"Origin: {origin}"), CONNECT)
        assert (await peer.head()).startswith(b"HTTP/1.1 403 ")
        await peer.rest()
        assert service.users.requests["all"] == 0


@pytest.mark.parametrize("second", [DESK, "https://evil.example", "null"])
@pytest.mark.parametrize("names", [("Origin", "Origin"), ("origin", "ORIGIN")])
async def test_several_origins_are_refused_whatever_they_say(names: tuple[str, str], second: str) -> None:
    async with running(origins=ALLOWED) as service:
        for first, last in ((DESK, second), (second, DESK)):
            async with attacker(service.port) as peer:
                peer.send(handshake(f"{names[0]}: {first}", f"{names[1]}: {last}"), CONNECT)
                assert (await peer.head()).startswith(b"HTTP/1.1 400 ")
                await peer.rest()
        assert service.users.requests["all"] == 0


@pytest.mark.parametrize("name", ["Origin", "origin", "ORIGIN"])
@pytest.mark.parametrize("origin", ALLOWED)
async def test_pages_that_are_listed_are_let_in(name: str, origin: str) -> None:
    async with running(origins=ALLOWED) as service, attacker(service.port) as peer:
        peer.send(handshake(f"{name}: {origin}"), CONNECT)
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        assert "connect" in await peer.message()


async def test_no_other_header_stands_for_the_origin() -> None:
    async with running(origins=ALLOWED) as service, attacker(service.port) as peer:
        peer.send(handshake("Origin: https://evil.example", f"Referer: {DESK}/", f"X-Forwarded-Origin: {DESK}"))
        assert (await peer.head()).startswith(b"HTTP/1.1 403 ")
        await peer.rest()


async def test_a_cookie_or_a_basic_password_is_no_token() -> None:
    async with running(origins=ALLOWED) as service:
        for line in ("Cookie: token=all; access_token=all", "Authorization: Basic YWxsOmFsbA==", "X-Token: all"):
            async with attacker(service.port) as peer:
                peer.send(handshake(f"Origin: {DESK}", line), frame(command(1, connect={})))
                assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
                assert (await peer.ending()).code == 3500
        assert service.users.requests["all"] == 0


async def test_no_page_is_allowed_until_one_is_listed() -> None:
    assert ListenConfig().origins == ()
    async with running(origins=()) as service:
        for origin in (DESK, "null", "http://127.0.0.1"):
            async with attacker(service.port) as peer:
                peer.send(handshake(f"Origin: {origin}"))
                assert (await peer.head()).startswith(b"HTTP/1.1 403 ")
                await peer.rest()


async def test_no_answer_lets_a_page_of_another_site_read_it() -> None:
    async with running(origins=ALLOWED) as service:
        for sent in (
            handshake("Origin: https://evil.example"),
            handshake(f"Origin: {DESK}"),
            b"GET /health HTTP/1.1\r\nHost: test\r\nOrigin: https://evil.example\r\n\r\n",
            b"OPTIONS /health HTTP/1.1\r\nHost: test\r\nOrigin: https://evil.example\r\n\r\n",
        ):
            async with attacker(service.port) as peer:
                peer.send(sent)
                assert b"access-control-" not in (await peer.head()).lower()
