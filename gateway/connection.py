"""One socket: bytes in, frames out, pings and deadlines. The only file that touches a transport.

What a client's messages ask for is its executor's business.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

import structlog

from gateway.command_rates import ReadRates
from gateway.config import OutboxConfig, TimingConfig
from gateway.congestion import Backlog, Congestion
from gateway.executor import Executor
from gateway.form import Form
from gateway.outbox import Overdue
from gateway.parts import Parts
from gateway.session import Session
from gateway.straight_write import straight_write
from gateway.subscription import Subscription
from gateway.websocket import WebSocket
from wire import close
from wire.close import Close, Unsubscribe

__all__ = ["Connection", "Parts"]

CLOSE_TIMEOUT_S: Final = 1.0
"""How long a closing handshake may take before the socket is aborted."""
MAX_PUSHED_BYTES: Final = 64 * 1024
"""Replies and pushes that may be pending; above it no further command runs before they are written."""
READ_AT_ONCE_BYTES: Final = 16 * 1024
"""What is read before frames are counted: 2,700 pings, which take 12 ms."""
DEFAULT_LIMITS: Final = OutboxConfig()

log = structlog.get_logger("gateway")


class Connection(asyncio.Protocol):
    """One client. `pending` is what the next round writes to it; nothing is while it is congested.

    `write` goes straight to the socket while frames flow: it is what a delivery costs.
    """

    def __init__(
        self,
        socket: WebSocket,
        session: Session,
        parts: Parts,
        timing: TimingConfig,
        first_ping_s: float,
        limits: OutboxConfig = DEFAULT_LIMITS,
    ) -> None:
        self.pending: list[bytes] = []
        self.closed_with: Close | None = None
        """How the gateway closed it; None when the client did, or the network."""
        self.address: str | None = None
        """Where it comes from, as limits count it; set before the socket is there, if that is known."""
        self._socket = socket
        self._session = session
        self._executor = Executor(session, parts, self)
        self._parts = parts
        self._reads = ReadRates(parts.rates)
        self._timing = timing
        self._first_ping_s = first_ping_s
        self._transport: asyncio.Transport | None = None
        self._straight_write: Callable[[bytes], None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._limits = limits
        self._congestion: Congestion | None = None
        self._backlog: Backlog | None = None
        """How far behind its reader was, if that is why it was closed."""
        self._pushed_bytes = 0
        self._writable = False
        """True while frames may be written: between the handshake and the first close frame, or the end."""
        self.write: Callable[[bytes], None] = _let_go
        self._pong_due = False
        self._started_s = parts.clock.monotonic_ns() / 1e9

    @property
    def form(self) -> Form:
        """How the client is written to, once the handshake is over."""
        return self._socket.form

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: the client has a while to say who it is."""
        self._transport = cast("asyncio.Transport", transport)
        self._straight_write = straight_write(self._transport)
        self._transport.set_write_buffer_limits(0)  # congested as soon as the kernel does not take all of a write
        self._parts.clients.opened(self)
        self._after(self._timing.connect_s, self._no_connect)

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; a fault of ours ends this connection only."""
        try:
            self._receive(data)
        except Exception:
            log.exception("connection.failed")
            self.shut(close.INTERNAL_ERROR)

    def _receive(self, data: bytes) -> None:
        now_ns = self._parts.clock.monotonic_ns()
        if not self._reads.take_bytes(len(data), now_ns):
            self._flood("bytes")
            return
        for start in range(0, len(data), READ_AT_ONCE_BYTES):
            before = self._socket.frames
            messages = self._take(data[start : start + READ_AT_ONCE_BYTES])
            if not self._reads.take_frames(self._socket.frames - before, now_ns):
                self._flood("frames")
                return
            for message in messages:
                if not self._writable:
                    break
                self._executor.receive(message)

    def _take(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes; what the library says to it is written."""
        greeted = self._socket.greeted
        messages = self._socket.receive(data)
        if not greeted and self._socket.greeted:
            self._session.header_token = bearer_token(self._socket.authorization)
            self._socket.authorization = ()
        self._set_writable(self._socket.open and self.closed_with is None)
        self._write_protocol()
        if self.closed_with is None and (fault := self._socket.fault) is not None:
            self._after(CLOSE_TIMEOUT_S, self._abort)
            self.closed_with = fault
        return messages

    def _flood(self, of: str) -> None:
        """Close a client that sends too much; nothing more of it is read."""
        self._parts.metrics.floods.labels(of).inc()
        self.shut(close.TOO_FAST.because(of))
        cast("asyncio.Transport", self._transport).pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more: it is gone."""
        self._socket.receive_eof()
        self._set_writable(False)
        self._write_protocol()
        return False

    def pause_writing(self) -> None:
        """The socket takes no more: what comes now is kept."""
        if self._writable and self._congestion is None:
            self._congest()

    def resume_writing(self) -> None:
        """The socket takes more."""
        if self._congestion is not None:
            self._drain(self._congestion)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about the client."""
        self._set_writable(False)
        if self._deadline is not None:
            self._deadline.cancel()
        self._executor.end()
        self._end_congestion()
        self.pending.clear()
        self._parts.clients.closed(self)
        code = self.closed_with.code if self.closed_with is not None else self._socket.close_received
        log.info(
            "connection.closed",
            code=code,
            cause=self._cause(exc),
            subject=self._session.subject or None,
            duration=round(self._parts.clock.monotonic_ns() / 1e9 - self._started_s, 3),
            **({} if self._backlog is None else self._backlog.figures()),
        )

    def _cause(self, error: Exception | None) -> str:
        if self._backlog is not None:
            return "slow_consumer"
        if self.closed_with is not None:
            return self.closed_with.reason
        return "client" if error is None else f"network: {error}"

    # what is written

    def flush(self) -> None:
        """Write all that is pending in one go."""
        pending, self.pending = self.pending, []
        transport = self._transport
        if not pending or not self._writable or transport is None:
            return
        data = pending[0] if len(pending) == 1 else b"".join(pending)
        if len(data) <= self._limits.queue_bytes:
            self.write(data)
        else:
            self.pending = pending
            self._congest()
        pushed_bytes, self._pushed_bytes = self._pushed_bytes, 0
        if pushed_bytes > MAX_PUSHED_BYTES and self._congestion is None:
            self._executor.resume()

    def drop(self, subscription: Subscription) -> None:
        """Send nothing more of `subscription`; what is pending is as good as sent."""
        if self._congestion is not None:
            self._congestion.drop(subscription)

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        """Tell the client that `subscription` has ended; nothing of its channel follows."""
        self._executor.evict(subscription, reason)

    def shut(self, reason: Close, after_s: float = 0.0) -> None:
        """Close with `reason`, after what is pending; `after_s` from now if the client has not."""
        if after_s > 0:
            self._after(after_s, partial(self.shut, reason))
            return
        if self.closed_with is not None or self._transport is None:
            return
        self._after(CLOSE_TIMEOUT_S, self._abort)
        self.closed_with = reason
        left = [*self._end_congestion(), *self.pending]
        writable, self.pending = self._writable, []
        self._set_writable(False)
        if left and writable:
            self._transport.write(b"".join(left))
        self._socket.close(reason.code, reason.reason)
        self._write_protocol()

    def send(self, frame: bytes) -> None:
        """Send `frame` after all that is pending."""
        if self._congestion is not None:
            self._congestion.queue(frame)
            return
        self.pending.append(frame)
        self._parts.round.touch(self)
        self._pushed_bytes += len(frame)
        if self._pushed_bytes > MAX_PUSHED_BYTES:
            self._executor.pause()

    def _set_writable(self, writable: bool) -> None:
        self._writable = writable
        flows = writable and self._congestion is None
        self.write = self._straight_write if flows and self._straight_write is not None else _let_go

    def _write_protocol(self) -> None:
        """Write what the library wants written: handshake, pongs, close frames."""
        transport, items = self._transport, self._socket.data_to_send()
        if not items or transport is None or transport.is_closing():
            return
        if self._congestion is not None and self._socket.open:
            self._congestion.pong(items[-1])
            return
        transport.write(b"".join(items))
        if b"" in items:
            transport.close()

    # a reader that is behind

    def _congest(self) -> None:
        """Keep what is pending, and what comes; run no further command."""
        pending, self.pending, self._pushed_bytes = self.pending, [], 0
        transport = cast("asyncio.Transport", self._transport)
        self._congestion = congestion = Congestion(transport, pending, self._limits, self._give_up)
        self._parts.round.congest(self, congestion.hold)
        self._set_writable(self._writable)
        self._executor.pause()
        self._drain(congestion)

    def _drain(self, congestion: Congestion) -> None:
        if congestion.drain():
            self._end_congestion()
            self._executor.resume()

    def _give_up(self, backlog: Backlog) -> None:
        """Close a slow consumer: what was kept is void, and nothing is told to a socket that takes nothing."""
        self._end_congestion()
        self._backlog = backlog
        self._parts.metrics.slow_consumers.labels(backlog.overdue.value).inc()
        if backlog.overdue is Overdue.STALLED:
            self._set_writable(False)
            self.closed_with = close.SLOW_CONSUMER
            self._abort()
        else:
            self.shut(close.SLOW_CONSUMER)

    def _end_congestion(self) -> list[bytes]:
        """Flow again, or never again; what was kept."""
        congestion, self._congestion = self._congestion, None
        if congestion is None:
            return []
        self._parts.round.release(self)
        self._set_writable(self._writable)
        return congestion.end()

    # timers

    def connected(self) -> None:
        """The client is known: pings begin."""
        self._after(self._first_ping_s, self._ping)

    def ponged(self) -> None:
        """The client has answered a ping."""
        self._pong_due = False

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do this next, in place of what was to be done; a connection that is being closed is only aborted."""
        if self.closed_with is not None:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(delay_s, act)

    def _no_connect(self) -> None:
        if not self._socket.greeted:
            self._abort()
        else:
            self.shut(close.STALE)

    def _ping(self) -> None:
        self._pong_due = True
        self.send(self.form.ping)
        self._after(self._timing.pong_s, self._check_pong)

    def _check_pong(self) -> None:
        if self._pong_due:
            self.shut(close.NO_PONG)
        else:
            self._after(self._timing.ping_s - self._timing.pong_s, self._ping)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _let_go(_: bytes) -> None:
    """Write nothing."""


def bearer_token(values: Sequence[str]) -> str | None:
    """The token of the one ``Authorization: Bearer`` header; None when there is none, or more than one."""
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
