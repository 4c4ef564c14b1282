"""Where every socket begins: reads the head of its first request, and hands the socket on to whom that is for."""

import asyncio
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import structlog

from gateway.clients import Clients
from gateway.request_head import Destination, Refusal, judge
from wire.close import Close

log = structlog.get_logger("gateway")


class Reception(asyncio.Protocol):
    """A socket until it is known whom it is for: then it is the protocol's that `destinations` makes.

    It is here for `timeout_s` at most, then it is aborted; a client that was refused has what is left of that to hang
    up. While it is here it counts as a client of the gateway.
    """

    def __init__(
        self,
        destinations: Mapping[Destination, Callable[[], asyncio.Protocol]],
        clients: Clients,
        timeout_s: float,
    ) -> None:
        self.closed_with: Close | None = None
        """Never anything else: there is no WebSocket yet whose close could name a code."""
        self._destinations = destinations
        self._clients = clients
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._received: bytes | None = b""
        """None once it is known whom the socket is for, or why it is refused."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: the client has a while to say what it wants."""
        self._transport = cast("asyncio.Transport", transport)
        self._clients.opened(self)
        self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Hand the socket on once the head is there; what a refused client still sends is thrown away."""
        if self._received is None:
            return
        received = self._received + data
        verdict = judge(received)
        self._received = received if verdict is None else None
        if isinstance(verdict, Refusal):
            self._refuse(verdict)
        elif verdict is not None:
            protocol = self._destinations[verdict.destination]()
            self._hand_on(protocol, received[: verdict.head_bytes], received[verdict.head_bytes :])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went makes no difference
        """Forget the client."""
        self._leave()

    def shut(self, reason: Close) -> None:  # noqa: ARG002 - there is no way to tell it yet
        """Abort the socket."""
        if self._transport is not None:
            self._transport.abort()

    def _hand_on(self, protocol: asyncio.Protocol, head: bytes, rest: bytes) -> None:
        transport = cast("asyncio.Transport", self._transport)
        self._leave()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(head)
        # apart from the head, or the library would answer pings behind the handshake before the handshake itself
        if rest:
            protocol.data_received(rest)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, and let the client hang up: to close while it still sends could take the answer away from it."""
        log.info("reception.refused", status=refusal.status)
        transport = cast("asyncio.Transport", self._transport)
        transport.write(_response(refusal))
        transport.write_eof()

    def _leave(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._clients.closed(self)


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
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
