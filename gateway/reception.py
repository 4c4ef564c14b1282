"""Where every socket begins: may it come in, and whom is it for? Reads the head of its first request."""

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, cast

import structlog

from gateway.admission import Overload
from gateway.parts import Parts
from gateway.request_head import Destination, Passage, Refusal, judge
from wire.close import Close

TURNED_AWAY_S: Final = 1.0
"""How long a socket that may not come in has to ask for something, and to take the answer."""

log = structlog.get_logger("gateway")


class Reception(asyncio.Protocol):
    """A socket until it is known whom it is for: then it is the protocol's that `destinations` makes for its address.

    It is here for `timeout_s` at most, then it is aborted; a client that was refused has what is left of
    that to hang up, and one that met a limit 1 s in all. While it is here it counts as a client of the gateway.
    """

    def __init__(
        self,
        destinations: Mapping[Destination, Callable[[str | None], asyncio.Protocol]],
        parts: Parts,
        timeout_s: float,
    ) -> None:
        self.closed_with: Close | None = None
        """Never anything else: there is no WebSocket yet whose close could name a code."""
        self.address: str | None = None
        """Where it comes from, as limits count it; None while that is not known, or when it does not count."""
        self._destinations = destinations
        self._parts = parts
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._peer: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._received: bytes | None = b""
        """None once it is known whom the socket is for, or why it is refused."""
        self._overload: Overload | None = None
        """Why it may not come in, whatever it wants."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: if it may come in, the client has a while to say what it wants."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = _peer(self._transport)
        overload = self._judge()
        self._parts.clients.opened(self, arriving=True)
        self._wait(self._timeout_s)
        if overload is not None:
            self._turn_away(overload)

    def data_received(self, data: bytes) -> None:
        """Hand the socket on once the head is there; what a refused client still sends is thrown away."""
        if self._received is None:
            return
        if self._overload is not None:  # whatever it asks for: an answer before that could be lost with the socket
            self._received = None
            self._answer(_refusal(self._overload))
            return
        received = self._received + data
        verdict = judge(received)
        self._received = received if verdict is None else None
        if isinstance(verdict, Refusal):
            log.info("reception.refused", status=verdict.status)
            self._answer(verdict)
        elif verdict is not None:
            self._pass(verdict, received)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went makes no difference
        """Forget the client."""
        if self._overload is not None:
            self._parts.admission.turned_away()
        self._leave()

    def shut(self, reason: Close) -> None:  # noqa: ARG002 - there is no way to tell it yet
        """Abort the socket."""
        if self._transport is not None:
            self._transport.abort()

    # who may come in

    def _judge(self) -> Overload | None:
        """Judge what is known of the socket before it has said anything."""
        admission, clients = self._parts.admission, self._parts.clients
        overload = admission.enter(len(clients))
        if overload is not None or self._peer is None:
            return overload
        address = admission.address(self._peer)
        return None if address is None else self._admit(address)

    def _admit(self, address: str) -> Overload | None:
        parts = self._parts
        overload = parts.admission.admit(address, parts.clients.count_of(address), parts.clock.monotonic_ns())
        if overload is None:
            self.address = address
        return overload

    def _turn_away(self, overload: Overload) -> None:
        """Refuse the socket: it may stay for the answer, if not too many do, and not for a TLS handshake before it."""
        self._parts.metrics.turned_away.labels(overload.cause.value).inc()
        transport = cast("asyncio.Transport", self._transport)
        shakes_hands = self._received is not None and transport.get_extra_info("sslcontext") is not None
        if not shakes_hands and self._parts.admission.turn_away():
            self._overload = overload
            self._wait(TURNED_AWAY_S)
        else:
            transport.abort()

    def _pass(self, passage: Passage, received: bytes) -> None:
        """Hand the socket on; one that comes through a proxy is judged now."""
        if self.address is None and self._peer is not None:
            overload = self._admit(self._parts.admission.forwarded(self._peer, passage.forwarded_for))
            if overload is not None:
                self._turn_away(overload)
                self._answer(_refusal(overload))
                return
        protocol = self._destinations[passage.destination](self.address)
        self._hand_on(protocol, received[: passage.head_bytes], received[passage.head_bytes :])

    # what becomes of the socket

    def _hand_on(self, protocol: asyncio.Protocol, head: bytes, rest: bytes) -> None:
        transport = cast("asyncio.Transport", self._transport)
        self._leave()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)
        # apart from the head, or the library would answer pings behind the handshake before the handshake itself
        if rest:
            protocol.data_received(rest)

    def _answer(self, refusal: Refusal) -> None:
        """Answer, and let the client hang up: to close while it still sends could take the answer away from it."""
        transport = cast("asyncio.Transport", self._transport)
        if not transport.is_closing():
            transport.write(_response(refusal))
            transport.write_eof()

    def _wait(self, timeout_s: float) -> None:
        """Abort the socket after `timeout_s` from now, and no other time."""
        self._stop_waiting()
        transport = cast("asyncio.Transport", self._transport)
        self._deadline = asyncio.get_running_loop().call_later(timeout_s, transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _leave(self) -> None:
        self._stop_waiting()
        self._parts.clients.closed(self)


def _peer(transport: asyncio.Transport) -> str | None:
    """The address of the other end; None for a socket that has none."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else None


def _refusal(overload: Overload) -> Refusal:
    return Refusal(503, "Too many connections, or too fast: try again later.\n", retry_s=overload.retry_s)


def _response(refusal: Refusal) -> bytes:
    """The bytes of a refusal; the socket closes after them."""
    body = refusal.text.encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Connection: close",
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        *([] if refusal.allow is None else [f"Allow: {refusal.allow}"]),
        *([] if refusal.retry_s is None else [f"Retry-After: {refusal.retry_s}"]),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
