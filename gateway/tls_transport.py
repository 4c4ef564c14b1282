"""TLS between a socket and its protocol: to the socket a protocol, to the protocol a transport. Does I/O.

The loop's own TLS would not do: it keeps 64 KiB of what was written to itself, tells nobody of a client that still
shakes hands, cannot end its side alone, and takes a write buffer limit of 0 for one that is always exceeded.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Final, cast

import structlog

from gateway.token_bucket import Rate

RECORD_BYTES: Final = 16 * 1024
"""What is encrypted or decrypted in one go: OpenSSL's buffers stay as large as they once were."""
OVERHEAD: Final = Rate(interval_ns=250_000, burst=64 * 1024)
"""Bytes that a client may send beside its data: 4 KiB a second, to wrap it. New keys take 27, and 45 µs of our time."""

log = structlog.get_logger("gateway")


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One socket that speaks TLS. Its protocol hears of it at once, and may write when it has heard something.

    How long a client shakes hands is the protocol's to bound. What is written is encrypted at once and waits, if it
    has to, in the socket's own transport: there are the limits, and there it is counted.
    """

    __slots__ = (
        "_ended",
        "_incoming",
        "_outgoing",
        "_overhead_full_ns",
        "_protocol",
        "_secure",
        "_silent",
        "_socket",
        "_tls",
    )

    def __init__(self, context: ssl.SSLContext, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._protocol: asyncio.Protocol | None = protocol
        self._socket: asyncio.Transport
        self._overhead_full_ns = 0
        self._secure = False
        self._ended = False
        """True once the client has said that it sends no more."""
        self._silent = False
        """True once this side has."""

    # the socket's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._socket = cast("asyncio.Transport", transport)
        if self._protocol is not None:
            self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Decrypt; nothing is read any more once either side has ended."""
        pieces = memoryview(data)
        try:
            while pieces and not self._silent and not self._ended:
                count = self._incoming.write(pieces[:RECORD_BYTES])
                pieces = pieces[RECORD_BYTES:]
                if self._secure or self._shake_hands():
                    self._receive(count)
        except ssl.SSLError as error:
            log.info("tls.refused", reason=error.reason, secure=self._secure)
            self._silent = True
            self._write_out()  # the alert that tells the client
            self._socket.close()

    def eof_received(self) -> bool:
        """The socket gives no more."""
        if not self._secure or self._ended or self._protocol is None:
            return False
        self._ended = True
        return bool(self._protocol.eof_received())

    def pause_writing(self) -> None:
        """The socket takes no more."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._silent = True
        protocol, self._protocol = self._protocol, None  # or each would hold the other
        if protocol is not None:
            protocol.connection_lost(exc)

    def _shake_hands(self) -> bool:
        """Go on with the handshake; True when it is done."""
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self._secure = True
        self._write_out()
        return self._secure

    def _receive(self, count: int) -> None:
        received, ended = self._decrypt()
        now_ns = round(asyncio.get_running_loop().time() * 1e9)
        # what waits for the rest of its record is given back when that comes
        overhead_full_ns = OVERHEAD.take(self._overhead_full_ns, now_ns, count - len(received))
        if overhead_full_ns is None:
            log.info("tls.refused", reason="too much beside the data", secure=True)
            self.abort()
            return
        self._overhead_full_ns = overhead_full_ns
        if received and self._protocol is not None:
            self._protocol.data_received(received)
        if ended and not self._ended and self._protocol is not None:
            self._ended = True
            if not self._protocol.eof_received():
                self.close()

    def _decrypt(self) -> tuple[bytes, bool]:
        """All that can be read, and whether the client has said that it sends no more."""
        parts: list[bytes] = []
        try:
            while self._incoming.pending or self._tls.pending():
                part = self._tls.read(RECORD_BYTES)
                if not part:
                    return b"".join(parts), True
                parts.append(part)
        except ssl.SSLWantReadError:  # the rest of a record is still to come
            pass
        return parts[0] if len(parts) == 1 else b"".join(parts), False

    # the protocol's side

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and write; nothing once this side has ended."""
        if self._silent or not data:
            return
        rest, records = memoryview(data), []
        while rest:
            rest = rest[self._tls.write(rest[:RECORD_BYTES]) :]
            records.append(self._outgoing.read())
        self._socket.write(records[0] if len(records) == 1 else b"".join(records))

    def write_eof(self) -> None:
        """End this side; what the client sends from now on is thrown away."""
        self._end()
        if not self._socket.is_closing():
            self._socket.write_eof()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def close(self) -> None:
        """End this side, and the socket once all is written."""
        self._end()
        self._socket.close()

    def abort(self) -> None:
        """End the socket at once."""
        self._silent = True
        self._socket.abort()

    def is_closing(self) -> bool:
        """Whether the socket closes, or is closed."""
        return self._socket.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From now on `protocol` hears of the socket."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who hears of the socket."""
        return cast("asyncio.Protocol", self._protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Limit what may wait, encrypted, in bytes."""
        self._socket.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """What waits, encrypted, in bytes."""
        return self._socket.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What is known of the socket, and of its TLS (``ssl_object``, ``sslcontext``)."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._socket.get_extra_info(name, default)

    def is_reading(self) -> bool:
        """Whether the socket is read."""
        return self._socket.is_reading()

    def pause_reading(self) -> None:
        """Read the socket no more for now."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Read the socket again."""
        self._socket.resume_reading()

    def _end(self) -> None:
        """Tell the client, once, that no more comes."""
        if self._silent:
            return
        self._silent = True
        with suppress(ssl.SSLError):  # its answer is not waited for
            self._tls.unwrap()
        self._write_out()

    def _write_out(self) -> None:
        if self._outgoing.pending and not self._socket.is_closing():
            self._socket.write(self._outgoing.read())
