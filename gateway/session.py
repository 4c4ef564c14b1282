"""One client's protocol state: a command in, effects out. Pure; no I/O, no clock.

Refusals are judged in the protocol's order: too long or malformed 107; unknown kind or timeframe 102; a kind not
offered 108; entitlement 103; then, by whoever carries out `Open`, unknown venue or symbol 102 and the count 106.
"""

from enum import Enum
from typing import Final

from msgspec import Raw, Struct

from gateway.entitlements import Entitlements
from gateway.hub import Subscription
from gateway.introspection import Introspection
from gateway.recovery import Recovery
from wire import channel as channels
from wire import close
from wire.channel import Channel, ChannelError, ChannelKind, MalformedChannelError
from wire.client_messages import (
    NOT_OFFERED_METHODS,
    RECOVERY_OR_ERROR,
    ClientPublication,
    Command,
    ConnectRequest,
    ConnectResult,
    Error,
    Reply,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from wire.close import Close, ErrorCode
from wire.codec_json import raw
from wire.position import Epoch, Offset, StreamPosition

OFFERED_KINDS: Final = frozenset({ChannelKind.BARS, ChannelKind.SIGNALS})
REFUSED_LINGER_S: Final = 5.0
"""How long a client whose connect was refused may stay to close by itself."""


class Send(Struct, frozen=True):
    """Answer a command."""

    reply: Reply


class Authenticate(Struct, frozen=True):
    """Ask the user service about `token`, then call `Session.authenticated` or `Session.unreachable`."""

    command_id: int
    token: str


class Open(Struct, frozen=True):
    """Open a subscription under the client's name for it, then call `Session.opened` or `Session.refuse`."""

    command_id: int
    name: str
    channel: Channel
    position: StreamPosition | None
    or_error: bool
    """Error 112 is wanted instead of ``recovered: false``."""


class Leave(Struct, frozen=True):
    """Forget a subscription."""

    subscription: Subscription


class Shut(Struct, frozen=True):
    """Close the connection, `after_s` from now if the client has not."""

    close: Close
    after_s: float = 0.0


class Expire(Struct, frozen=True):
    """Close the connection at `at_s`, seconds since the epoch."""

    at_s: float


Effect = Send | Authenticate | Open | Leave | Shut | Expire


class _Phase(Enum):
    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"


class _ConnectData(Struct, frozen=True):
    time_ms: int
    limits: dict[str, int]


class _SubscribeData(Struct, frozen=True):
    channel: str
    warming: bool
    max_rate: float | None


class Session:
    """The protocol state of one connection. `header_token` is the handshake's bearer token, for clients without one.

    Commands are given one at a time; after `Authenticate` or `Open` the next one waits for its outcome.
    """

    def __init__(self, client_id: str, *, version: str, ping_s: int, default_subscriptions: int) -> None:
        self._client_id = client_id
        self._version = version
        self._ping_s = ping_s
        self._max_subscriptions = default_subscriptions
        self._phase = _Phase.NEW
        self._entitlements = Entitlements(())
        self._subscriptions: dict[str, Subscription] = {}
        self.header_token: str | None = None
        self.subject = ""
        """Who this is, as the user service names it; empty before."""

    @property
    def connected(self) -> bool:
        """True once the client is known."""
        return self._phase is _Phase.CONNECTED

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
        if command.subscribe is not None:
            return self._subscribe(command.id, command.subscribe)
        if command.unsubscribe is not None:
            return self._unsubscribe(command.id, command.unsubscribe)
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

    def authenticated(self, command_id: int, who: Introspection, now_ms: int) -> list[Effect]:
        """The user service has answered."""
        if not who.active or (who.exp is not None and who.exp * 1000 <= now_ms):
            self._phase = _Phase.REFUSED
            return [self.refuse(command_id, close.TOKEN_EXPIRED), Shut(close.EXPIRED, REFUSED_LINGER_S)]
        self._phase = _Phase.CONNECTED
        self.subject = who.sub
        self._entitlements = Entitlements(who.channels)
        if who.limits.subscriptions is not None:
            self._max_subscriptions = who.limits.subscriptions
        data = raw(_ConnectData(now_ms, {"subscriptions": self._max_subscriptions}))
        result = ConnectResult(self._client_id, self._version, data, self._ping_s, pong=True)
        effects: list[Effect] = [Send(Reply(command_id, connect=result))]
        if who.exp is not None:
            effects.append(Expire(float(who.exp)))
        return effects

    def unreachable(self, command_id: int) -> list[Effect]:
        """The user service did not answer: nobody is let in, and the client may try again."""
        self._phase = _Phase.REFUSED
        return [
            self.refuse(command_id, close.UNAVAILABLE, "the user service does not answer"),
            Shut(close.INTERNAL_ERROR, REFUSED_LINGER_S),
        ]

    # subscribe

    def _subscribe(self, command_id: int, request: SubscribeRequest) -> list[Effect]:
        if not request.channel:
            return [Shut(close.BAD_REQUEST.because("expected a channel"))]
        if request.channel in self._subscriptions:
            return [self.refuse(command_id, close.ALREADY_SUBSCRIBED)]
        try:
            channel = channels.parse(request.channel)
        except ChannelError as error:
            code = close.MALFORMED if isinstance(error, MalformedChannelError) else close.UNKNOWN_CHANNEL
            return [self.refuse(command_id, code, str(error))]
        if channel.kind not in OFFERED_KINDS:
            return [self.refuse(command_id, close.NOT_AVAILABLE, f"{channel.kind.value} are not available")]
        if not self._entitlements.may_read(channel.name):
            return [self.refuse(command_id, close.PERMISSION_DENIED)]
        if bytes(request.data) not in (b"", b"null", b"{}"):
            return [self.refuse(command_id, close.NOT_AVAILABLE, "subscription options are not available")]
        position = StreamPosition(Epoch(request.epoch), Offset(request.offset)) if request.recover else None
        or_error = bool(request.flag & RECOVERY_OR_ERROR)
        return [Open(command_id, request.channel, channel, position, or_error)]

    def opened(self, opening: Open, subscription: Subscription, recovery: Recovery, *, warming: bool) -> Reply:
        """The reply to a subscribe; from now on the subscription counts."""
        self._subscriptions[opening.name] = subscription
        publications = tuple(ClientPublication(Raw(f.publication.payload), f.offset) for f in recovery.publications)
        result = SubscribeResult(
            raw(_SubscribeData(subscription.channel, warming, None)),
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
