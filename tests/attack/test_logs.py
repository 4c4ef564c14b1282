"""What is written about clients: nothing that they keep secret, nothing that they made up, not a line a message."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import TimingConfig
from runtime.logs import LogConfig, LogForm, configure_logs
from standins.user_service import TokenRecord
from tests.attack.attacker import CLOSE, Attacker, attacker, command, frame, handshake
from tests.gateway.service import KEY, Service, running
from wire import close

SECRET = "s3cret-t0ken-of-one-client"
FORGED = "\r\n2026-01-01T00:00:00Z info operator.logged_in user=root \x1b[2J\u2028\x85"


@pytest.fixture(params=LogForm)
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Give what a process writes that was told to write everything; the configuration is put back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(LogConfig(level="debug", form=request.param, libraries="debug"), stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


async def everywhere(service: Service, text: str) -> None:
    """Say `text` in every place where a client can say something."""
    quoted = text.encode("ascii", "xmlcharrefreplace").decode().replace("\r", "").replace("\n", "")
    line = quoted.replace("\x1b", "").replace(" ", "%20")
    connect = {"token": text, "name": text, "version": text, "data": text, "headers": {"Authorization": text}}
    endings = [
        [frame(command(1, connect=connect))],
        [frame(command(1, connect={})), frame(command(2, refresh={"token": text}))],
        [frame(command(1, connect={}) + b"\n" + command(2, subscribe={"channel": text, "token": text}))],
        [frame(command(1, connect={}) + b"\n" + command(2, rpc={"method": text, "data": {"token": text}}))],
        [frame(text.encode())],
        [frame(b"\x03\xe8" + text.encode()[:100], CLOSE)],
        [frame(b"\x03\xe8" + text.encode()[:100], CLOSE, rsv=1)],
    ]
    for frames in endings:
        async with attacker(service.port) as peer:
            peer.send(handshake(f"Authorization: Bearer {line}", path=f"/connection/websocket?token={line}"), *frames)
            await _bye(peer)
    for sent in (
        f"GET /?token={line} HTTP/1.1\r\nHost: {line}\r\nX-Api-Key: {line}\r\nCookie: token={line}\r\n\r\n",
        f"POST /?token={line} HTTP/1.1\r\nHost: {line}\r\n\r\n",
        f"{line} / HTTP/1.1\r\nHost: {line}\r\n\r\n",
        handshake(f"Origin: https://{line}.example", "Sec-WebSocket-Version: 12").decode(),
    ):
        async with attacker(service.port) as peer:
            peer.send(sent.encode())
            peer.writer.write_eof()
            await peer.rest()


async def _bye(peer: Attacker) -> None:
    await peer.head()
    peer.send(frame(b"\x03\xe8", CLOSE))
    await peer.ending()


async def test_no_token_is_written_wherever_it_was_shown(written: io.StringIO) -> None:
    async with running(timing=TimingConfig(connect_s=5.0)) as service:
        service.users.tokens[SECRET] = TokenRecord(sub="77", channels=("*",))
        await everywhere(service, SECRET)
    assert written.getvalue().count("connection.closed") == 8
    assert "77" in written.getvalue(), "it was a token that counts"
    assert SECRET not in written.getvalue()
    assert KEY.reveal() not in written.getvalue()


async def test_nothing_a_client_says_can_end_a_line_or_begin_an_event(written: io.StringIO) -> None:
    async with running() as service:
        await everywhere(service, FORGED)
    lines = written.getvalue().removesuffix("\n").split("\n")
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not any(line.startswith("2026-01-01") for line in lines)
    assert not any("operator.logged_in" in line.split('"')[0] for line in lines)


async def test_what_the_user_service_calls_a_subscriber_cannot_forge_a_line_either(written: io.StringIO) -> None:
    async with running() as service:
        service.users.tokens["odd"] = TokenRecord(sub=f"7{FORGED}")
        async with service.connected("odd"):
            pass
    lines = written.getvalue().removesuffix("\n").split("\n")
    assert any("connection.closed" in line for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert not any("operator.logged_in" in line.split('"')[0] for line in lines)


async def test_refused_commands_write_no_lines() -> None:
    with structlog.testing.capture_logs() as logs:
        async with running() as service, service.connected("none") as peer:
            before = len(logs)
            for number in range(2, 102):
                assert "error" in await peer.ask({"id": number, "subscribe": {"channel": f"bars:DEMO:S{number}@1m"}})
            assert len(logs) == before


@given(st.text(), st.sampled_from(close.CLOSES))
def test_a_close_reason_is_one_short_printable_line_whatever_it_is_about(detail: str, reason: close.Close) -> None:
    text = reason.because(detail).reason
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 123
