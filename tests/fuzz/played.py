"""A session whose world is played by chance: the user service, the bus and the operators say what they may. Pure."""

from random import Random
from typing import Final

import msgspec
from msgspec import Raw

from gateway.effects import Authenticate, Call, Effect, Evict, Leave, Open, Recall, Refresh, Send, Shut
from gateway.introspection import INACTIVE, Answer, Introspection, Limits
from gateway.recovery import MAX_REPLY_BYTES, Recovery
from gateway.session import Session
from gateway.standing import Standing, stand
from gateway.subscription import Subscription
from tests.gateway.plain import Sink, interest
from wire import close
from wire.client_messages import Command, HistoryResult, MessageError, Reply, RpcResult
from wire.codec import Codec
from wire.envelope import HeldFinal, Publication
from wire.position import Epoch, Offset

NS: Final = 1_000_000_000
NOW_NS: Final = 1_000 * NS
DEFAULT_SUBSCRIPTIONS: Final = 4
SUBSCRIBERS: Final = (
    Introspection(active=True, sub="1", channels=("*",), limits=Limits(subscriptions=2, live_rate=0.5)),
    Introspection(active=True, sub="1", channels=("bars:*", "signals:DEMO:*"), exp=1_100),
    Introspection(active=True, sub="1", channels=("*",), limits=Limits(subscriptions=0, live_rate=0.0)),
    Introspection(active=True, sub="1", exp=1_000),
    Introspection(active=True, sub="2", channels=("*",)),
    INACTIVE,
)
ERRORS: Final = (close.UNAVAILABLE, close.UNKNOWN_CHANNEL, close.TOO_MANY_REQUESTS)
FINAL: Final = HeldFinal(Offset(5), Publication("bars:DEMO:S01@1m", b'{"t":1,"final":true}'))


class PlayedSession:
    """One client: takes commands, keeps nothing but what the session keeps. Asserts what must always hold."""

    def __init__(self, codec: Codec, random: Random) -> None:
        self.session = Session("c1", version="fuzz", ping_s=10, default_subscriptions=DEFAULT_SUBSCRIPTIONS)
        self.closed = False
        self._codec = codec
        self._random = random
        self._refused = False
        """True after a connect that was refused: what follows is dropped."""
        self._answered: list[int] = []

    def hear(self, message: bytes) -> None:
        """Take the commands of a message, or none when it is refused as a whole."""
        for command in decoded(self._codec, message):
            if not self.closed and command != Command():
                self.take(command)

    def take(self, command: Command) -> None:
        """Carry out a command, then perhaps what nobody asked for."""
        self._answered.clear()
        self._do(self.session.receive(command))
        self._judge(command)
        if self.session.connected and self._random.random() < 0.3:
            self._answered.clear()
            self._do(self._unbidden())
            assert not self._answered, "no reply that nobody asked for"

    def _judge(self, command: Command) -> None:
        expected = [] if self._refused else [command.id]
        assert self.closed or self._answered == expected, "a reply for each command"
        self._refused = not (self.closed or self.session.connected)

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._carry_out(effect)
        session = self.session
        assert all(session.entitlements.may_read(each.channel) for each in session.subscriptions)

    def _carry_out(self, effect: Effect) -> None:
        random, session = self._random, self.session
        match effect:
            case Send(reply):
                self._reply(reply)
            case Authenticate(command_id, token):
                asked = random.random() < 0.9
                outcome = session.authenticated(command_id, self._standing(token), NOW_NS) if asked else None
                self._do(session.unreachable(command_id) if outcome is None else outcome)
            case Refresh(command_id, token):
                self._do(session.refreshed(command_id, self._standing(token), NOW_NS))
            case Open():
                self._open(effect)
            case Recall(command_id):
                result = HistoryResult((), Epoch("e"), Offset(5))
                self._answer(command_id, Reply(command_id, history=result))
            case Call(command_id):
                self._answer(command_id, Reply(command_id, rpc=RpcResult(Raw(b"[]"))))
            case Leave(subscription):
                assert subscription not in session.subscriptions
            case Evict(subscription, reason):
                session.evicted(subscription)
                assert subscription not in session.subscriptions
                assert reason.reason
            case Shut(reason):
                assert 0 < len(reason.reason.encode("ascii")) <= 123
                self.closed = self.closed or effect.after_s == 0

    def _answer(self, command_id: int, reply: Reply) -> None:
        refused = self._random.random() < 0.2
        self._reply(self.session.refuse(command_id, self._random.choice(ERRORS)).reply if refused else reply)

    def _open(self, opening: Open) -> None:
        random, session = self._random, self.session
        if session.full or not session.may_read(opening.channel) or random.random() < 0.2:
            self._reply(session.refuse(opening.command_id, close.LIMIT_EXCEEDED).reply)
            return
        wanted = interest(opening.channel.name, has_finals=opening.channel.kind.has_finals, options=opening.options)
        subscription = Subscription(Sink(), msgspec.structs.replace(wanted, name=opening.name))
        recovered = opening.position is not None and random.random() < 0.5
        recovery = Recovery(Epoch("e"), Offset(5), recovered, (FINAL,) if recovered else (), newest=None)
        before = session.subscriptions
        self._reply(session.opened(opening, subscription, recovery, warming=random.random() < 0.5))
        assert session.subscriptions == (*before, subscription)
        assert session.standing is not None
        limit = session.standing.who.limits.subscriptions
        assert len(session.subscriptions) <= (DEFAULT_SUBSCRIPTIONS if limit is None else limit)

    def _unbidden(self) -> list[Effect]:
        """What the world does by itself."""
        random, session = self._random, self.session
        standing = session.standing
        assert standing is not None
        match random.randrange(4):
            case 0 if session.subscriptions:
                lost = random.choice(session.subscriptions)
                session.evicted(lost)
                assert lost not in session.subscriptions
            case 1:
                session.postponed(standing, standing.postponed(0, random.random()))
            case 2:
                return session.reviewed(standing, self._standing(standing.token), NOW_NS)
        return []

    def _standing(self, token: str) -> Standing:
        who = self._random.choice(SUBSCRIBERS[: self._random.choice((1, 1, len(SUBSCRIBERS)))])
        return stand(token, Answer(who, 60 * NS), NOW_NS, 0, self._random.random())

    def _reply(self, reply: Reply) -> None:
        assert not self.closed, "closed means silent"
        self._answered.append(reply.id)
        error = reply.error
        assert error is None or (error.code and error.message)
        encoded = self._codec.encode_reply(reply)
        assert len(encoded) <= MAX_REPLY_BYTES


def decoded(codec: Codec, message: bytes) -> list[Command]:
    """The commands of a message; none when it is refused as a whole."""
    try:
        commands = [codec.decode(line) for line in codec.split(message)]
    except MessageError:
        return []
    assert commands, "a message without one is refused"
    return commands
