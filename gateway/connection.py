"""One socket: bytes in, commands to the session, effects out, frames to the transport. The only file that does that.

Commands run in order: while one waits for the user service or the bus, those behind it wait, and when they grow too
many the socket is not read further. Pongs never wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Final, cast

import structlog

from gateway.clients import Clients
from gateway.config import TimingConfig
from gateway.directory import Directory
from gateway.errors import BusUnavailableError, ChannelRefusedError, UserServiceUnavailableError
from gateway.hub import Subscription
from gateway.metrics import GatewayMetrics
from gateway.relay import Relay
from gateway.round import Round
from gateway.session import Authenticate, Effect, Expire, Leave, Open, Send, Session, Shut
from gateway.user_service import UserService
from gateway.websocket import WebSocket, text_frame
from runtime.clock import Clock
from wire import close, codec_json
from wire.client_messages import Command, MessageError, Reply
from wire.close import Close, ErrorCode, Unsubscribe
from wire.topics import topic_of

MAX_WAITING: Final = 64
"""Commands that wait for the one that runs before the socket is no longer read."""
CLOSE_TIMEOUT_S: Final = 1.0
"""How long a closing handshake may take before the socket is aborted."""

log = structlog.get_logger("gateway")

PING_FRAME: Final = text_frame(codec_json.PING)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every connection of a gateway works with."""

    relay: Relay
    round: Round
    clients: Clients
    metrics: GatewayMetrics
    users: UserService
    directory: Directory
    clock: Clock
    tasks: asyncio.TaskGroup
    topics: int


class Connection(asyncio.Protocol):
    """One client. `pending` is what the next round writes to it."""

    def __init__(
        self, socket: WebSocket, session: Session, parts: Parts, timing: TimingConfig, first_ping_s: float
    ) -> None:
        self.pending: list[bytes] = []
        self.closed_with: Close | None = None
        """How the gateway closed it; None when the client did, or the network."""
        self._socket = socket
        self._session = session
        self._parts = parts
        self._timing = timing
        self._first_ping_s = first_ping_s
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Command] = deque()
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._max_unsent_bytes = timing.max_unsent_bytes
        self._writable = False
        """True while frames may be written: between the handshake and the first close frame, or the end."""
        self._pong_due = False
        self._paused = False
        self._started_s = parts.clock.monotonic_ns() / 1e9

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: the client has a while to say who it is."""
        self._transport = cast("asyncio.Transport", transport)
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
        opened = self._socket.request is not None
        messages = self._socket.receive(data)
        if not opened and (request := self._socket.request) is not None:
            self._session.header_token = bearer_token(request.headers.get_all("Authorization"))
        self._writable = self._socket.open and self.closed_with is None
        self._write_protocol()
        for message in messages:
            if not self._writable:
                return
            self._commands(message)
        self._run()

    def eof_received(self) -> bool:
        """The client sends no more: it is gone."""
        self._socket.receive_eof()
        self._writable = False
        self._write_protocol()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about the client."""
        self._writable = False
        for timer in (self._deadline, self._expiry):
            if timer is not None:
                timer.cancel()
        if self._task is not None:
            self._task.cancel()
        for subscription in self._session.subscriptions:
            self._parts.relay.leave(subscription)
        self.pending.clear()
        self._waiting.clear()
        self._parts.clients.closed(self)
        code = self.closed_with.code if self.closed_with is not None else self._socket.close_received
        log.info(
            "connection.closed",
            code=code,
            cause=self._cause(exc),
            subject=self._session.subject or None,
            duration=round(self._parts.clock.monotonic_ns() / 1e9 - self._started_s, 3),
        )

    def _cause(self, error: Exception | None) -> str:
        if self.closed_with is not None:
            return self.closed_with.reason
        return "client" if error is None else f"network: {error}"

    # the round's side

    def flush(self) -> None:
        """Write all that is pending in one go; a client that lets too much lie is dropped."""
        pending, self.pending = self.pending, []
        transport = self._transport
        if not self._writable or transport is None:
            return
        transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        if transport.get_write_buffer_size() > self._max_unsent_bytes:
            self._writable = False
            self.closed_with = close.SLOW_CONSUMER
            transport.abort()

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        """Tell the client that `subscription` has ended; nothing of its channel follows."""
        self._session.evicted(subscription)
        self._push(codec_json.encode_unsubscribe(subscription.spelling, reason.code, reason.reason))

    def shut(self, reason: Close) -> None:
        """Close with `reason`, after what is pending."""
        if self.pending:
            self.flush()
        if self.closed_with is not None or self._transport is None:
            return
        self._after(CLOSE_TIMEOUT_S, self._abort)
        self.closed_with = reason
        self._writable = False
        self._socket.close(reason.code, reason.reason)
        self._write_protocol()

    # commands

    def _commands(self, message: bytes) -> None:
        try:
            commands = codec_json.decode_commands(message)
        except MessageError as error:
            self.shut(close.BAD_REQUEST.because(str(error)))
            return
        for command in commands:
            if command == Command():
                self._pong_due = False
            else:
                self._waiting.append(command)

    def _run(self) -> None:
        """Run the commands that wait, up to the first that has to wait for somebody else."""
        while self._waiting and self._task is None and self.closed_with is None:
            for effect in self._session.receive(self._waiting.popleft()):
                self._do(effect)
        self._hold_back(held_back=self._task is not None and len(self._waiting) > MAX_WAITING)

    def _hold_back(self, *, held_back: bool) -> None:
        transport = self._transport
        if held_back is self._paused or transport is None or transport.is_closing():
            return
        self._paused = held_back
        if held_back:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(reply):
                self._reply(reply)
            case Authenticate():
                self._start(self._authenticate(effect), "authenticate")
            case Open():
                self._start(self._open(effect), "open")
            case Leave(subscription):
                self._parts.relay.leave(subscription)
            case Shut(reason, after_s) if after_s > 0:
                self._after(after_s, lambda: self.shut(reason))
            case Shut(reason, _):
                self.shut(reason)
            case Expire(at_s):
                delay_s = at_s - self._parts.clock.wall_ns() / 1e9
                loop = asyncio.get_running_loop()
                self._expiry = loop.call_later(max(delay_s, 0.0), self.shut, close.EXPIRED)

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        self._task = self._parts.tasks.create_task(self._guard(work), name=f"connection.{name}")

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        """One connection's error ends that connection only; then the commands behind it run."""
        try:
            await work
        except Exception:
            log.exception("connection.failed")
            self.shut(close.INTERNAL_ERROR)
        finally:
            self._task = None
        self._run()

    async def _authenticate(self, effect: Authenticate) -> None:
        try:
            who = await self._parts.users.introspect(effect.token)
        except UserServiceUnavailableError as error:
            log.warning("user_service.unavailable", error=str(error))
            effects = self._session.unreachable(effect.command_id)
        else:
            now_ms = self._parts.clock.wall_ns() // 1_000_000
            effects = self._session.authenticated(effect.command_id, who, now_ms)
        for each in effects:
            self._do(each)
        if self._session.connected:
            self._after(self._first_ping_s, self._ping)

    async def _open(self, opening: Open) -> None:
        """Subscribe, or refuse; nothing awaits between what the bus said and the reply."""
        name, channel, relay = opening.name, opening.channel, self._parts.relay
        subscription = Subscription(
            self,
            channel=channel.name,
            topic=topic_of(channel, self._parts.topics),
            name=name,
            spelling=codec_json.encode_channel(name),
        )
        try:
            if not await self._parts.directory.knows(channel.venue, channel.symbol):
                self._refuse(opening, close.UNKNOWN_CHANNEL, f"unknown instrument {channel.subject}")
                return
            if self._session.full:
                self._refuse(opening, close.LIMIT_EXCEEDED)
                return
            opened = await relay.open(subscription, opening.position)
        except BusUnavailableError as error:
            log.warning("bus.unavailable", error=str(error))
            self._refuse(opening, close.UNAVAILABLE)
            return
        except ChannelRefusedError as error:
            self._refuse(opening, close.TOO_MANY_REQUESTS, str(error))
            return
        recovery = opened.recovery
        if opening.or_error and opening.position is not None and not recovery.recovered:
            relay.leave(subscription)
            self._refuse(opening, close.UNRECOVERABLE_POSITION)
            return
        self._reply(self._session.opened(opening, subscription, recovery, warming=opened.warming))
        if recovery.newest is not None:
            held_top = opened.floor.top
            self._push(codec_json.encode_publication(subscription.spelling, recovery.newest, held_top))
        relay.admit(opened)

    def _refuse(self, opening: Open, error: ErrorCode, message: str | None = None) -> None:
        self._reply(self._session.refuse(opening.command_id, error, message).reply)

    # frames

    def _reply(self, reply: Reply) -> None:
        if reply.error is not None:
            self._parts.metrics.refusals.labels(reply.error.code).inc()
        self._push(codec_json.encode_reply(reply))

    def _push(self, message: bytes) -> None:
        self.pending.append(text_frame(message))
        self._parts.round.touch(self)

    def _write_protocol(self) -> None:
        """Write what the library wants written: handshake, pongs, close frames."""
        transport = self._transport
        for data in self._socket.data_to_send():
            if transport is None or transport.is_closing():
                return
            if data:
                transport.write(data)
            else:
                transport.close()

    # timers

    def _after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do this next, in place of what was to be done; a connection that is being closed is only aborted."""
        if self.closed_with is not None:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(delay_s, act)

    def _no_connect(self) -> None:
        if self._socket.request is None:
            self._abort()
        else:
            self.shut(close.STALE)

    def _ping(self) -> None:
        self._pong_due = True
        self.pending.append(PING_FRAME)
        self._parts.round.touch(self)
        self._after(self._timing.pong_s, self._check_pong)

    def _check_pong(self) -> None:
        if self._pong_due:
            self.shut(close.NO_PONG)
        else:
            self._after(self._timing.ping_s - self._timing.pong_s, self._ping)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def bearer_token(values: list[str]) -> str | None:
    """The token of the one ``Authorization: Bearer`` header; None when there is none, or more than one."""
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
