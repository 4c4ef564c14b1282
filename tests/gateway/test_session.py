"""A session decides and does nothing: whatever a client sends, there is an answer or a close, and never a crash."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chart import Query
from gateway.effects import Authenticate, Call, Effect, Evict, Leave, Open, Recall, Refresh, Send, Shut
from gateway.introspection import INACTIVE, Answer, Introspection, Limits
from gateway.recovery import Recovery
from gateway.session import Session
from gateway.standing import Standing, stand
from gateway.subscription import Subscription
from tests.gateway.plain import Sink, interest
from wire import close
from wire.client_messages import (
    Command,
    ConnectRequest,
    HistoryRequest,
    NotOffered,
    RefreshRequest,
    RefreshResult,
    Reply,
    RpcRequest,
    Since,
    SubscribeRequest,
    UnsubscribeRequest,
)
from wire.position import Epoch, Offset, StreamPosition

NS = 1_000_000_000
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
    st.builds(Command, st.integers(0, 9), history=st.builds(HistoryRequest, CHANNELS, st.integers(-2, 2))),
    st.builds(Command, st.integers(0, 9), rpc=st.builds(RpcRequest, st.sampled_from(["time", ""]))),
    st.builds(Command, st.integers(0, 9), refresh=st.builds(RefreshRequest, st.sampled_from(["", "u"]))),
    st.builds(Command, st.integers(0, 9), presence=st.just(NotOffered())),
    st.builds(Command, st.integers(0, 9), sub_refresh=st.just(NotOffered())),
    st.builds(Command, st.integers(0, 9), send=st.just(NotOffered())),
    st.builds(Command, st.integers(0, 9)),
)


def session() -> Session:
    return Session("c1", version="test", ping_s=10, default_subscriptions=5)


def standing(who: Introspection = WHO, token: str = "t") -> Standing:
    return stand(token, Answer(who, 60 * NS), 0, 0, 0.0)


def connected(who: Introspection = WHO) -> Session:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    client.authenticated(1, standing(who), 0)
    return client


def opened(client: Session, opening: Open) -> Subscription:
    subscription = Subscription(Sink(), interest(opening.channel.name, name=opening.name.encode()))
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
    """Do what an executor does; how many answers that sends."""
    match effect:
        case Authenticate(command_id, _):
            return sum(isinstance(e, Send) for e in client.authenticated(command_id, standing(), 0))
        case Refresh(command_id, token):
            return sum(isinstance(e, Send) for e in client.refreshed(command_id, standing(token=token), 0))
        case Open():
            if not client.full:
                opened(client, effect)
            return 1
        case Send() | Recall() | Call():
            return 1
        case Leave() | Evict() | Shut():
            return 0


def test_a_token_that_has_ended_is_refused_even_if_the_user_service_calls_it_active() -> None:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    effects = client.authenticated(1, standing(Introspection(active=True, sub="1", exp=1000)), 1000 * NS)
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


# who this is, again


def subscribed(client: Session, channel: str) -> Subscription:
    (opening,) = client.receive(Command(2, subscribe=SubscribeRequest(channel)))
    assert isinstance(opening, Open)
    return opened(client, opening)


def refused(effects: list[Effect]) -> list[int]:
    return [e.reply.error.code for e in effects if isinstance(e, Send) and e.reply.error]


def closed(effects: list[Effect]) -> list[int]:
    return [e.close.code for e in effects if isinstance(e, Shut)]


NARROW = Introspection(active=True, sub="1", channels=("bars:DEMO:S02@1m",), limits=Limits(subscriptions=1))
GONE = Introspection(active=True, sub="1", exp=1000, channels=("*",))


def test_a_token_that_ends_is_announced_and_its_client_told_when_to_refresh() -> None:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    (reply,) = client.authenticated(1, standing(GONE), 900 * NS)
    assert isinstance(reply, Send)
    assert reply.reply.connect is not None
    assert (reply.reply.connect.expires, reply.reply.connect.ttl) == (True, 70)
    (reply,) = connected_effects(WHO)
    assert isinstance(reply, Send)
    assert reply.reply.connect is not None
    assert (reply.reply.connect.expires, reply.reply.connect.ttl) == (False, 0)


def connected_effects(who: Introspection) -> list[Effect]:
    client = session()
    client.receive(Command(1, connect=ConnectRequest("t")))
    return client.authenticated(1, standing(who), 0)


def test_a_refresh_without_a_token_is_no_command() -> None:
    assert closed(connected().receive(Command(2, refresh=RefreshRequest()))) == [3501]


def test_a_refresh_asks_about_its_own_token() -> None:
    assert connected().receive(Command(2, refresh=RefreshRequest("new"))) == [Refresh(2, "new")]


def test_a_refresh_replaces_what_is_allowed_and_ends_what_is_not_covered_behind_its_reply() -> None:
    client = connected()
    lost, kept = subscribed(client, "bars:DEMO:S01@1m"), subscribed(client, "bars:DEMO:S02@1m")
    new = standing(NARROW, "new")
    reply, *rest = client.refreshed(9, new, 0)
    assert reply == Send(Reply(9, refresh=RefreshResult("c1", "test")))
    assert rest == [Evict(lost, close.ENTITLEMENT_LOST)]
    assert client.standing is new
    client.evicted(lost)
    assert client.subscriptions == (kept,)
    assert client.full
    assert refused(client.receive(Command(3, subscribe=SubscribeRequest("bars:DEMO:S01@1m")))) == [103]


def test_a_refresh_to_a_plan_without_a_limit_has_the_gateways_again() -> None:
    client = connected(NARROW)
    subscribed(client, "bars:DEMO:S02@1m")
    assert client.full
    client.refreshed(9, standing(Introspection(active=True, sub="1", channels=("*",))), 0)
    assert not client.full


def test_a_refresh_says_when_the_next_one_is_due() -> None:
    (reply,) = connected().refreshed(9, standing(GONE), 900 * NS)
    assert reply == Send(Reply(9, refresh=RefreshResult("c1", "test", expires=True, ttl=70)))


@pytest.mark.parametrize("who", [INACTIVE, GONE], ids=["inactive", "ended"])
def test_a_refresh_to_a_token_that_is_not_active_changes_nothing(who: Introspection) -> None:
    client = connected()
    subscribed(client, "bars:DEMO:S01@1m")
    before = client.standing
    assert refused(client.refreshed(9, standing(who), 1000 * NS)) == [109]
    assert client.standing is before
    assert len(client.subscriptions) == 1


def test_a_refresh_to_another_subscribers_token_closes_with_3500() -> None:
    assert closed(connected().refreshed(9, standing(Introspection(active=True, sub="2", channels=("*",))), 0)) == [3500]


def test_a_review_that_finds_a_token_revoked_closes_with_3500_or_3005_once_it_has_ended() -> None:
    for who, code in ((WHO, 3500), (GONE, 3005)):
        client = connected(who)
        assert client.standing is not None
        assert closed(client.reviewed(client.standing, standing(INACTIVE), 1000 * NS)) == [code]


def test_a_review_that_finds_another_subscriber_closes_with_3500() -> None:
    client = connected()
    assert client.standing is not None
    other = Introspection(active=True, sub="2", channels=("*",))
    assert closed(client.reviewed(client.standing, standing(other), 0)) == [3500]


def test_a_review_replaces_what_is_allowed() -> None:
    client = connected()
    lost = subscribed(client, "bars:DEMO:S01@1m")
    assert client.standing is not None
    assert client.reviewed(client.standing, standing(NARROW), 0) == [Evict(lost, close.ENTITLEMENT_LOST)]


def test_a_review_that_says_the_same_judges_nothing_anew() -> None:
    client = connected()
    before, entitlements = client.standing, client.entitlements
    assert before is not None
    assert client.reviewed(before, standing(), 0) == []
    assert client.standing is not before
    assert client.entitlements is entitlements


def test_what_is_said_of_a_token_that_was_replaced_counts_for_nothing() -> None:
    client = connected()
    before = client.standing
    assert before is not None
    client.refreshed(9, standing(token="new"), 0)
    assert client.reviewed(before, standing(INACTIVE), 0) == []
    client.postponed(before, before)
    assert client.standing is not None
    assert client.standing.token == "new"


# history


def test_history_is_refused_in_the_order_of_a_subscribe() -> None:
    client = connected(NARROW)
    names = {"?": 107, "candles:X:Y@1m": 102, "trades:X:Y": 108, "bars:DEMO:S01@1m": 103}
    for name, code in names.items():
        assert refused(client.receive(Command(2, history=HistoryRequest(name)))) == [code]
    assert closed(client.receive(Command(2, history=HistoryRequest()))) == [3501]


def test_history_is_asked_for_under_the_canonical_name_in_what_one_reply_can_hold() -> None:
    for limit, wanted in ((0, 0), (7, 7), (1000, 1000), (1001, 1000), (-1, 1000)):
        request = HistoryRequest("signals:DEMO:S01@1m:rsi", limit, Since(7, "e"), reverse=True)
        (effect,) = connected().receive(Command(2, history=request))
        assert isinstance(effect, Recall)
        assert effect.channel.name == "signals:DEMO:S01@1m:rsi(close,14)"
        assert effect.query == Query(wanted, StreamPosition(Epoch("e"), Offset(7)), reverse=True)
