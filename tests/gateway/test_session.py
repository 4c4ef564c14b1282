"""A session decides and does nothing: whatever a client sends, there is an answer or a close, and never a crash."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.hub import Subscription
from gateway.introspection import Introspection, Limits
from gateway.recovery import Recovery
from gateway.session import Authenticate, Effect, Expire, Leave, Open, Send, Session, Shut
from tests.gateway.test_hub import Sink
from wire.client_messages import Command, ConnectRequest, NotOffered, SubscribeRequest, UnsubscribeRequest
from wire.position import Epoch, Offset

WHO = Introspection(active=True, sub="1", channels=("*",), limits=Limits(subscriptions=2))
CHANNELS = st.sampled_from(["bars:DEMO:S01@1m", "bars:DEMO:S02@1m", "signals:DEMO:S01@1m:rsi", "trades:X:Y", "?", ""])
COMMANDS = st.one_of(
    st.builds(Command, st.integers(0, 3), connect=st.builds(ConnectRequest, st.sampled_from(["", "t"]))),
    st.builds(
        Command,
        st.integers(0, 9),
        subscribe=st.builds(SubscribeRequest, CHANNELS, st.booleans(), st.just("e"), st.integers(0, 9)),
    ),
    st.builds(Command, st.integers(0, 9), unsubscribe=st.builds(UnsubscribeRequest, CHANNELS)),
    st.builds(Command, st.integers(0, 9), rpc=st.just(NotOffered())),
    st.builds(Command, st.integers(0, 9), send=st.just(NotOffered())),
    st.builds(Command, st.integers(0, 9)),
)


def session() -> Session:
    return Session("c1", version="test", ping_s=10, default_subscriptions=5)


def connected(who: Introspection = WHO) -> Session:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    client.authenticated(1, who, 0)
    return client


def opened(client: Session, opening: Open) -> Subscription:
    subscription = Subscription(Sink(), channel=opening.channel.name, topic=0, name=opening.name, spelling=b'"x"')
    recovery = Recovery(Epoch("e"), Offset(0), recovered=False, publications=(), newest=None)
    client.opened(opening, subscription, recovery, warming=True)
    return subscription


@given(st.lists(COMMANDS, max_size=12))
def test_every_command_is_answered_once_or_ends_the_connection(commands: list[Command]) -> None:
    client = session()
    closed = False
    for command in commands:
        if closed:
            break
        effects = client.receive(command)
        closed = any(isinstance(effect, Shut) for effect in effects)
        answers = 0
        for effect in effects:
            answers += _carry_out(client, effect)
        assert closed or answers == 1
        assert len(client.subscriptions) <= 2


def _carry_out(client: Session, effect: Effect) -> int:
    """Do what a connection does; how many answers that sends."""
    match effect:
        case Authenticate(command_id, _):
            return sum(isinstance(e, Send) for e in client.authenticated(command_id, WHO, 0))
        case Open():
            if not client.full:
                opened(client, effect)
            return 1
        case Send():
            return 1
        case Leave() | Shut() | Expire():
            return 0


def test_a_token_that_ends_is_closed_when_it_ends() -> None:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    effects = client.authenticated(1, Introspection(active=True, sub="1", exp=1000), 999_000)
    assert [effect for effect in effects if isinstance(effect, Expire)] == [Expire(1000.0)]


def test_a_token_that_has_ended_is_refused_even_if_the_user_service_calls_it_active() -> None:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    effects = client.authenticated(1, Introspection(active=True, sub="1", exp=1000), 1_000_000)
    assert not client.connected
    assert [e.reply.error.code for e in effects if isinstance(e, Send) and e.reply.error] == [109]


def test_the_commands_own_token_goes_before_the_handshakes() -> None:
    client = session()
    client.header_token = "header"
    assert client.receive(Command(1, connect=ConnectRequest("own"))) == [Authenticate(1, "own")]
    client = session()
    client.header_token = "header"
    assert client.receive(Command(1, connect=ConnectRequest())) == [Authenticate(1, "header")]


def test_a_plan_without_a_limit_has_the_gateways() -> None:
    client = connected(Introspection(active=True, sub="1", channels=("*",)))
    for n in range(5):
        (effect,) = client.receive(Command(n + 2, subscribe=SubscribeRequest(f"bars:DEMO:S{n}@1m")))
        assert isinstance(effect, Open)
        opened(client, effect)
    assert client.full


def test_an_evicted_subscription_frees_its_name() -> None:
    client = connected()
    command = Command(2, subscribe=SubscribeRequest("bars:DEMO:S01@1m"))
    (opening,) = client.receive(command)
    assert isinstance(opening, Open)
    client.evicted(opened(client, opening))
    assert isinstance(client.receive(command)[0], Open)


def test_nothing_is_done_after_a_refused_connect() -> None:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    client.unreachable(1)
    commands: list[Any] = [Command(2, subscribe=SubscribeRequest("bars:DEMO:S01@1m")), Command(3, send=NotOffered())]
    assert [client.receive(command) for command in commands] == [[], []]
