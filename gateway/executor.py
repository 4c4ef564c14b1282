"""The commands of one connection, one at a time and in order: carries out what its session decides. Knows no transport.

While a command waits for the user service or the bus, or the connection for its reader, those behind it wait. What
waits is kept as it was sent, because a decoded command takes several times its bytes.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Final, Protocol

import structlog

from gateway.authenticator import Authenticator
from gateway.command_rates import CommandRates
from gateway.effects import Authenticate, Call, Effect, Evict, Leave, Open, Recall, Refresh, Send, Shut
from gateway.errors import BusUnavailableError, ChannelRefusedError
from gateway.form import Form, spell
from gateway.history import recall
from gateway.offer import RefusedError
from gateway.parts import Parts
from gateway.rpc import Rpc
from gateway.session import Session
from gateway.subscription import Interest, Sink, Subscription
from wire import close
from wire.channel import Channel
from wire.client_messages import Command, MessageError, Reply, RpcResult
from wire.close import Close, ErrorCode, Unsubscribe
from wire.topics import topic_of

MAX_WAITING_BYTES: Final = 64 * 1024
"""Commands that wait at most; above it the client is closed. SDKs send all they want in one frame of at most that."""
LEAST_COMMAND_BYTES: Final = 64
"""What a waiting command counts at least: at most 1,024 can wait."""
HISTORY_TIMEOUT_S: Final = 2.0
"""How long a channel's past may take; SDKs wait 5 s."""

log = structlog.get_logger("gateway")


class Client(Sink, Protocol):
    """The connection, as its executor sees it."""

    closed_with: Close | None

    @property
    def form(self) -> Form:
        """How it is written to."""

    def send(self, frame: bytes) -> None:
        """Send `frame` after all that is pending."""

    def drop(self, subscription: Subscription) -> None:
        """Send nothing more of `subscription`, whatever of it still waits."""

    def shut(self, reason: Close, after_s: float = 0.0) -> None:
        """Close with `reason`, after what is pending; `after_s` from now if the client has not."""

    def ponged(self) -> None:
        """A pong came in."""

    def connected(self) -> None:
        """The client is known."""


class Executor:
    """Runs the commands of one client; a command that fails ends that client only."""

    __slots__ = (
        "_authenticator",
        "_client",
        "_parts",
        "_paused",
        "_rates",
        "_rpc",
        "_session",
        "_task",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, session: Session, parts: Parts, client: Client) -> None:
        self._session = session
        self._parts = parts
        self._client = client
        self._waiting: list[bytes] = []  # an empty deque takes 600 bytes
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._authenticator = Authenticator(session, parts, self._act)
        self._rates = CommandRates(parts.rates)
        self._rpc = Rpc(parts.directory, parts.clock)
        self._paused = False

    def receive(self, message: bytes) -> None:
        """Run the commands of one message, or let them wait their turn; pongs never wait."""
        try:
            codec = self._client.form.codec
            lines = codec.split(message)
            commands = [codec.decode(line) for line in lines]
        except MessageError as error:
            self._client.shut(close.BAD_REQUEST.because(str(error)))
            return
        for line, command in zip(lines, commands, strict=True):
            if command == Command():
                self._client.ponged()
            elif self._idle and not self._waiting:
                self._execute(command)
            else:
                self._waiting.append(line)
                self._waiting_bytes += max(len(line), LEAST_COMMAND_BYTES)
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._client.shut(close.SLOW_CONSUMER.because("too many commands wait"))

    def pause(self) -> None:
        """Run no further command: their answers could not be sent. What runs ends."""
        self._paused = True

    def resume(self) -> None:
        """Run commands again, those first that wait."""
        self._paused = False
        try:
            self._run()
        except Exception:
            log.exception("connection.failed")
            self._client.shut(close.INTERNAL_ERROR)

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        """Tell the client that `subscription` has ended; nothing of its channel follows."""
        self._session.evicted(subscription)
        if reason == close.POSITION_LOST:
            self._rates.lose(subscription.name, self._parts.clock.monotonic_ns())
        self._client.drop(subscription)
        self._client.send(subscription.spelling.unsubscribe(reason))

    def end(self) -> None:
        """The client is gone: forget everything about it."""
        self._authenticator.end()
        if self._task is not None:
            self._task.cancel()
        for subscription in self._session.subscriptions:
            self._parts.relay.leave(subscription)
        self._waiting.clear()
        self._waiting_bytes = 0

    # commands

    @property
    def _idle(self) -> bool:
        return self._task is None and not self._paused

    def _run(self) -> None:
        """Run the commands that wait, up to the first that has to wait for somebody else."""
        while self._waiting and self._idle:
            line = self._waiting.pop(0)
            self._waiting_bytes -= max(len(line), LEAST_COMMAND_BYTES)
            self._execute(self._client.form.codec.decode(line))

    def _execute(self, command: Command) -> None:
        if self._client.closed_with is not None:
            return
        if not self._may_run(command):
            self._refuse(command.id, close.TOO_MANY_REQUESTS)
            return
        for effect in self._session.receive(command):
            self._do(effect)

    def _may_run(self, command: Command) -> bool:
        """Whether a command does not come too fast; one that a session would not answer costs nothing."""
        session = self._session
        if not session.connected or command.id == 0:
            return True
        return self._rates.admits(command, session.max_subscriptions, self._parts.clock.monotonic_ns())

    def _act(self, effects: Iterable[Effect]) -> None:
        """Carry out what nobody asked for; a fault of ours ends this connection only."""
        try:
            for effect in effects:
                self._do(effect)
        except Exception:
            log.exception("connection.failed")
            self._client.shut(close.INTERNAL_ERROR)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(reply):
                self._reply(reply)
            case Authenticate():
                self._start(effect.command_id, self._authenticate(effect), "authenticate")
            case Refresh():
                self._start(effect.command_id, self._refresh(effect), "refresh")
            case Open():
                self._start(effect.command_id, self._open(effect), "open")
            case Recall():
                self._start(effect.command_id, self._recall(effect), "history")
            case Call():
                self._start(effect.command_id, self._call(effect), "rpc")
            case Leave(subscription):
                self._parts.relay.leave(subscription)
                self._client.drop(subscription)
            case Evict(subscription, why):
                self._parts.relay.leave(subscription)
                self.evict(subscription, why)
            case Shut(reason, after_s):
                self._client.shut(reason, after_s)

    def _start(self, command_id: int, work: Coroutine[None, None, None], name: str) -> None:
        self._task = self._parts.tasks.create_task(self._guard(command_id, work), name=f"connection.{name}")

    async def _guard(self, command_id: int, work: Coroutine[None, None, None]) -> None:
        """Answer a command, then run those behind it; a fault of ours ends this connection only."""
        try:
            try:
                await work
            except RefusedError as error:
                self._refuse(command_id, error.error, str(error))
            except ChannelRefusedError as error:
                self._refuse(
                    command_id, close.TOO_MANY_REQUESTS if error.temporary else close.NOT_AVAILABLE, str(error)
                )
            except (BusUnavailableError, TimeoutError) as error:
                log.warning("bus.unavailable", error=str(error) or "no answer in time")
                self._refuse(command_id, close.UNAVAILABLE)
            self._task = None
            self._run()
        except Exception:
            log.exception("connection.failed")
            self._client.shut(close.INTERNAL_ERROR)

    async def _authenticate(self, asked: Authenticate) -> None:
        for effect in await self._authenticator.authenticate(asked):
            self._do(effect)
        if self._session.connected:
            self._client.connected()

    async def _refresh(self, asked: Refresh) -> None:
        for effect in await self._authenticator.refresh(asked):
            self._do(effect)

    async def _open(self, opening: Open) -> None:
        """Subscribe, or refuse; nothing awaits between what the bus said and the reply."""
        channel, relay = opening.channel, self._parts.relay
        interest = Interest(
            channel=channel.name,
            topic=topic_of(channel, self._parts.topics),
            name=opening.name,
            spelling=spell(self._client.form, opening.name),
            has_finals=channel.kind.has_finals,
            options=opening.options,
        )
        subscription = Subscription(self._client, interest)
        await self._find(channel)
        if self._session.full:
            raise RefusedError(close.LIMIT_EXCEEDED)
        opened = await relay.open(subscription, opening.position)
        recovery = opened.recovery
        refused = None
        if not self._session.may_read(channel):  # any more: the user service was asked again meanwhile
            refused = close.PERMISSION_DENIED
        elif opening.or_error and opening.position is not None and not recovery.recovered:
            refused = close.UNRECOVERABLE_POSITION
        if refused is not None:
            relay.leave(subscription)
            raise RefusedError(refused)
        self._reply(self._session.opened(opening, subscription, recovery, warming=opened.warming))
        if recovery.newest is not None and opening.options.snapshot:
            self._client.send(subscription.spelling.publication(recovery.newest, opened.floor.top))
        relay.admit(opened)

    async def _recall(self, asked: Recall) -> None:
        channel, relay = asked.channel, self._parts.relay
        await self._find(channel)
        async with asyncio.timeout(HISTORY_TIMEOUT_S):
            result = await recall(relay, topic_of(channel, self._parts.topics), channel, asked.query)
        self._reply(Reply(asked.command_id, history=result))

    async def _find(self, channel: Channel) -> None:
        if not await self._parts.directory.knows(channel.venue, channel.symbol):
            thing = "venue" if channel.symbol is None else "instrument"
            raise RefusedError(close.UNKNOWN_CHANNEL, f"unknown {thing} {channel.subject}")

    async def _call(self, asked: Call) -> None:
        data = await self._rpc.call(asked.method, bytes(asked.data), self._session.entitlements)
        self._reply(Reply(asked.command_id, rpc=RpcResult(data)))

    def _refuse(self, command_id: int, error: ErrorCode, message: str | None = None) -> None:
        self._reply(self._session.refuse(command_id, error, message).reply)

    def _reply(self, reply: Reply) -> None:
        if reply.error is not None:
            self._parts.metrics.refusals.labels(reply.error.code).inc()
        form = self._client.form
        self._client.send(form.frame(form.codec.encode_reply(reply)))
