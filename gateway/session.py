"""One client's protocol state: a command in, effects out. Pure; no I/O, no clock.

Refusals are judged in the protocol's order: too long or malformed 107; unknown kind or timeframe 102; the history of a
kind without finals 108; entitlement 103; then, by whoever carries out `Open` or `Recall`, unknown venue or symbol 102
and, for `Open`, the count 106.
"""

from enum import Enum
from typing import Final

from msgspec import Raw, Struct

from gateway.chart import query
from gateway.effects import Authenticate, Call, Effect, Evict, Leave, Open, Recall, Refresh, Send, Shut
from gateway.entitlements import entitlements
from gateway.introspection import Limits
from gateway.offer import Refusal, offered, with_past
from gateway.options import grant, options
from gateway.recovery import Recovery
from gateway.standing import Standing
from gateway.subscription import Subscription
from wire import close
from wire.channel import Channel
from wire.client_messages import (
    NOT_OFFERED_METHODS,
    RECOVERY_OR_ERROR,
    ClientPublication,
    Command,
    ConnectRequest,
    ConnectResult,
    Error,
    HistoryRequest,
    RefreshRequest,
    RefreshResult,
    Reply,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from wire.close import ErrorCode
from wire.codec_json import raw
from wire.market import NS_PER_MS
from wire.position import Epoch, Offset, StreamPosition

REFUSED_LINGER_S: Final = 5.0
"""How long a client whose connect was refused may stay to close by itself."""


class _Phase(Enum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"


class _ConnectData(Struct, frozen=True):
    time_ms: int
    limits: dict[str, int | float]


class _SubscribeData(Struct, frozen=True):
    channel: str
    warming: bool
    max_rate: float | None


class Session:
    """The protocol state of one connection. `header_token` is the handshake's bearer token, for clients without one.

    Commands are given one at a time; after an effect that has an outcome the next one waits for it.
    """

    __slots__ = (
        "_default_subscriptions",
        "_live_rate",
        "_max_subscriptions",
        "_phase",
        "_ping_s",
        "_subscriptions",
        "_version",
        "client_id",
        "entitlements",
        "header_token",
        "standing",
        "subject",
    )

    def __init__(self, client_id: str, *, version: str, ping_s: int, default_subscriptions: int) -> None:
        self.client_id = client_id
        """What the client is told that it is called."""
        self._version = version
        self._ping_s = ping_s
        self._default_subscriptions = default_subscriptions
        self._max_subscriptions = default_subscriptions
        self._live_rate: float | None = None
        self._phase = _Phase.NEW
        self.entitlements = entitlements(())
        self._subscriptions: dict[str, Subscription] = {}
        self.standing: Standing | None = None
        """What the connection stands on; None before it is known who this is."""
        self.header_token: str | None = None
        self.subject = ""
        """Who this is, as the user service names it; empty before."""

    @property
    def connected(self) -> bool:
        """True once the client is known."""
        return self._phase is _Phase.CONNECTED

    @property
    def max_subscriptions(self) -> int:
        """How many subscriptions the plan allows."""
        return self._max_subscriptions

    @property
    def full(self) -> bool:
        """True when the plan allows no further subscription."""
        return len(self._subscriptions) >= self._max_subscriptions

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All that is subscribed now."""
        return tuple(self._subscriptions.values())

    def receive(self, command: Command) -> list[Effect]:
        """What is to be done about one command (not a pong)."""
        if self._phase is _Phase.REFUSED:
            return []
        if command.send is not None:
            return [Shut(close.NOT_OFFERED.because("send"))]
        if command.id == 0:
            return [Shut(close.BAD_REQUEST.because("expected a command with an id above 0"))]
        if command.connect is not None:
            return self._connect(command.id, command.connect)
        if self._phase is _Phase.NEW:
            return [Shut(close.BAD_REQUEST.because("expected connect as the first command"))]
        return self._receive(command)

    def _receive(self, command: Command) -> list[Effect]:
        if command.subscribe is not None:
            return self._subscribe(command.id, command.subscribe)
        if command.unsubscribe is not None:
            return self._unsubscribe(command.id, command.unsubscribe)
        if command.history is not None:
            return self._history(command.id, command.history)
        if command.rpc is not None:
            return [Call(command.id, command.rpc.method, command.rpc.data)]
        if command.refresh is not None:
            return self._refresh(command.id, command.refresh)
        for method in NOT_OFFERED_METHODS:
            if getattr(command, method) is not None:
                return [self.refuse(command.id, close.NOT_AVAILABLE, f"{method} is not available")]
        return [Shut(close.BAD_REQUEST.because("expected a method"))]

    @staticmethod
    def refuse(command_id: int, error: ErrorCode, message: str | None = None) -> Send:
        """The refusal of one command; `message` says more than the code's own."""
        return Send(Reply(command_id, error=Error(error.code, message or error.message, error.temporary)))

    # connect

    def _connect(self, command_id: int, request: ConnectRequest) -> list[Effect]:
        if self._phase is not _Phase.NEW:
            return [Shut(close.BAD_REQUEST.because("connected already"))]
        token = request.token or self.header_token
        if not token:
            return [Shut(close.INVALID_TOKEN.because("no token"))]
        self._phase = _Phase.CONNECTING
        return [Authenticate(command_id, token)]

    def authenticated(self, command_id: int, standing: Standing, wall_ns: int) -> list[Effect]:
        """The user service has answered."""
        who = standing.who
        if not who.active or who.expired(wall_ns):
            self._phase = _Phase.REFUSED
            return [self.refuse(command_id, close.TOKEN_EXPIRED), Shut(close.EXPIRED, REFUSED_LINGER_S)]
        self._phase = _Phase.CONNECTED
        self.subject = who.sub
        self._stand(standing)
        data = raw(_ConnectData(wall_ns // NS_PER_MS, self._limits(who.limits)))
        ttl_s = standing.ttl_s(wall_ns)
        expires, ttl = ttl_s is not None, ttl_s or 0
        result = ConnectResult(self.client_id, self._version, data, self._ping_s, pong=True, expires=expires, ttl=ttl)
        return [Send(Reply(command_id, connect=result))]

    def crowded(self, command_id: int, message: str) -> list[Effect]:
        """The subscriber has too many connections, or comes too often: it may try again."""
        self._phase = _Phase.REFUSED
        return [
            self.refuse(command_id, close.TOO_MANY_REQUESTS, message),
            Shut(close.TOO_FAST, REFUSED_LINGER_S),
        ]

    def unreachable(self, command_id: int) -> list[Effect]:
        """The user service did not answer: nobody is let in, and the client may try again."""
        self._phase = _Phase.REFUSED
        return [
            self.refuse(command_id, close.UNAVAILABLE, "the user service does not answer"),
            Shut(close.INTERNAL_ERROR, REFUSED_LINGER_S),
        ]

    def _limits(self, plan: Limits) -> dict[str, int | float]:
        """What the plan allows, as the client is told; what it leaves open is left out."""
        limits = {"connections": plan.connections, "live_rate": plan.live_rate}
        said = {name: limit for name, limit in limits.items() if limit is not None}
        return {"subscriptions": self._max_subscriptions, **said}

    # who this is, again

    @staticmethod
    def _refresh(command_id: int, request: RefreshRequest) -> list[Effect]:
        if not request.token:
            return [Shut(close.BAD_REQUEST.because("expected a token"))]
        return [Refresh(command_id, request.token)]

    def refreshed(self, command_id: int, standing: Standing, wall_ns: int) -> list[Effect]:
        """The user service has answered about another token: it takes the place of the old one, or nothing changes."""
        who = standing.who
        if not who.active or who.expired(wall_ns):
            return [self.refuse(command_id, close.TOKEN_EXPIRED)]
        if who.sub != self.subject:
            return [Shut(close.INVALID_TOKEN.because("of another subscriber"))]
        ttl_s = standing.ttl_s(wall_ns)
        result = RefreshResult(self.client_id, self._version, expires=ttl_s is not None, ttl=ttl_s or 0)
        return [Send(Reply(command_id, refresh=result)), *self._stand(standing)]

    def reviewed(self, before: Standing, standing: Standing, wall_ns: int) -> list[Effect]:
        """The user service has answered again about the token that the connection stood on."""
        if self.standing is not before:
            return []
        if not standing.who.active:
            return [Shut(close.EXPIRED if before.who.expired(wall_ns) else close.INVALID_TOKEN.because("revoked"))]
        if standing.who.sub != self.subject:
            return [Shut(close.INVALID_TOKEN.because("of another subscriber"))]
        return self._stand(standing)

    def postponed(self, before: Standing, standing: Standing) -> None:
        """The user service did not answer about the token that the connection stood on: it stands on, for a while."""
        if self.standing is before:
            self.standing = standing

    def may_read(self, channel: Channel) -> bool:
        """Whether the subscriber is entitled to a channel now."""
        return self.entitlements.may_read(channel.name)

    def _stand(self, standing: Standing) -> list[Effect]:
        """Take over what is allowed; what is no longer covered ends. A lower count ends nothing that is there."""
        before, self.standing = self.standing, standing
        who = standing.who
        limit = who.limits.subscriptions
        self._max_subscriptions = self._default_subscriptions if limit is None else limit
        self._live_rate = who.limits.live_rate
        if before is not None and before.who.channels == who.channels:
            return []
        self.entitlements = entitlements(who.channels)
        lost = [each for each in self._subscriptions.values() if not self.entitlements.may_read(each.channel)]
        return [Evict(each, close.ENTITLEMENT_LOST) for each in lost]

    # subscribe

    def _subscribe(self, command_id: int, request: SubscribeRequest) -> list[Effect]:
        if not request.channel:
            return [Shut(close.BAD_REQUEST.because("expected a channel"))]
        if request.channel in self._subscriptions:
            return [self.refuse(command_id, close.ALREADY_SUBSCRIBED)]
        channel = self._entitled(offered(request.channel))
        if isinstance(channel, Refusal):
            return [self.refuse(command_id, channel.error, channel.message)]
        wanted = options(bytes(request.data), channel.kind)
        if isinstance(wanted, Refusal):
            return [self.refuse(command_id, wanted.error, wanted.message)]
        position = None
        if request.recover and channel.kind.has_finals:
            position = StreamPosition(Epoch(request.epoch), Offset(request.offset))
        or_error = bool(request.flag & RECOVERY_OR_ERROR)
        return [Open(command_id, request.channel, channel, position, or_error, grant(wanted, self._live_rate))]

    def _entitled(self, channel: Channel | Refusal) -> Channel | Refusal:
        if isinstance(channel, Channel) and not self.may_read(channel):
            return Refusal(close.PERMISSION_DENIED, close.PERMISSION_DENIED.message)
        return channel

    def opened(self, opening: Open, subscription: Subscription, recovery: Recovery, *, warming: bool) -> Reply:
        """The reply to a subscribe; from now on the subscription counts. Without finals it has no position."""
        self._subscriptions[opening.name] = subscription
        data = raw(_SubscribeData(subscription.channel, warming, opening.options.max_rate))
        if not subscription.has_finals:
            return Reply(opening.command_id, subscribe=SubscribeResult(data))
        publications = tuple(ClientPublication(Raw(f.publication.payload), f.offset) for f in recovery.publications)
        result = SubscribeResult(
            data,
            recoverable=True,
            positioned=True,
            epoch=recovery.epoch,
            offset=recovery.offset,
            recovered=recovery.recovered,
            was_recovering=opening.position is not None,
            publications=publications,
        )
        return Reply(opening.command_id, subscribe=result)

    def _unsubscribe(self, command_id: int, request: UnsubscribeRequest) -> list[Effect]:
        if not request.channel:
            return [Shut(close.BAD_REQUEST.because("expected a channel"))]
        done = Send(Reply(command_id, unsubscribe=UnsubscribeResult()))
        subscription = self._subscriptions.pop(request.channel, None)
        return [done] if subscription is None else [Leave(subscription), done]

    def evicted(self, subscription: Subscription) -> None:
        """The server has ended `subscription`; its name is free again."""
        if self._subscriptions.get(subscription.name) is subscription:
            del self._subscriptions[subscription.name]

    # history

    def _history(self, command_id: int, request: HistoryRequest) -> list[Effect]:
        if not request.channel:
            return [Shut(close.BAD_REQUEST.because("expected a channel"))]
        channel = self._entitled(with_past(request.channel))
        if isinstance(channel, Refusal):
            return [self.refuse(command_id, channel.error, channel.message)]
        return [Recall(command_id, channel, query(request))]
