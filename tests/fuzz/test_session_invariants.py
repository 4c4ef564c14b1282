"""What holds in a session whatever its client and its world do: in the core alone, and through a whole gateway."""

from random import Random
from typing import Any

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fuzz.commands import command, to_json
from tests.fuzz.played import PlayedSession
from tests.gateway.service import BARS, Peer, Service, running
from wire import close, codec_json
from wire.client_messages import Command, ConnectRequest, RefreshRequest, SubscribeRequest, UnsubscribeRequest

RANDOMS = st.randoms(use_true_random=False)
CHANNELS = [*(f"bars:DEMO:S0{n}@1m" for n in range(1, 5)), "trades:DEMO:S01", "quotes:DEMO:S01"]


class AnySession(RuleBasedStateMachine):
    """A client, and a world that PlayedSession plays: after each step it has asserted what must hold.

    Those are: a reply for each command unless closed, never more subscriptions than the plan has, none that the plan
    does not cover, and silence once closed.
    """

    client: PlayedSession

    @initialize(random=RANDOMS)
    def arrive(self, random: Random) -> None:
        self.client = PlayedSession(codec_json, random)
        self.client.take(Command(1, connect=ConnectRequest("t")))

    @precondition(lambda self: self.client.closed or not self.client.session.connected)
    @rule(random=RANDOMS)
    def arrive_again(self, random: Random) -> None:
        self.arrive(random)

    @precondition(lambda self: not self.client.closed)
    @rule(number=st.integers(1, 5), channel=st.sampled_from(CHANNELS), recover=st.booleans())
    def subscribe(self, number: int, channel: str, recover: bool) -> None:
        self.client.take(Command(number, subscribe=SubscribeRequest(channel, recover, "e", 3)))

    @precondition(lambda self: not self.client.closed)
    @rule(number=st.integers(1, 5), channel=st.sampled_from(CHANNELS))
    def unsubscribe(self, number: int, channel: str) -> None:
        self.client.take(Command(number, unsubscribe=UnsubscribeRequest(channel)))

    @precondition(lambda self: not self.client.closed)
    @rule(number=st.integers(1, 5), token=st.sampled_from(["u", "v"]))
    def refresh(self, number: int, token: str) -> None:
        self.client.take(Command(number, refresh=RefreshRequest(token)))

    @precondition(lambda self: not self.client.closed)
    @rule(random=RANDOMS)
    def send(self, random: Random) -> None:
        self.client.hear(to_json(random, command(random)))


TestAnySession = AnySession.TestCase
TestAnySession.settings = settings(max_examples=40, stateful_step_count=25)

# through a gateway

NAMES = [BARS, "bars:DEMO:S02@1m", "trades:DEMO:S01"]
WANTS = st.sampled_from(["subscribe", "subscribe", "unsubscribe"])
SAYS = st.sampled_from(["final", "live", "lose"])
MOVES = st.lists(
    st.one_of(
        st.tuples(WANTS, st.sampled_from(NAMES)),
        st.tuples(SAYS, st.sampled_from(NAMES[:2])),
        st.tuples(st.just("live"), st.just(NAMES[2])),
        st.tuples(st.just("ask"), st.sampled_from(["time", "unknown"])),
        st.tuples(st.just("hear"), st.just("time")),
    ),
    min_size=10,
    max_size=40,
)
PLAN = 2
"""The subscriptions of the token `few`."""


class Listener:
    """What a client of the plan `few` may conclude of what it hears; asserts that it is no contradiction."""

    def __init__(self) -> None:
        self.asked: dict[int, tuple[str, str]] = {}
        """By id: the commands that have no reply yet."""
        self.offsets: dict[str, int] = {}
        """By channel that is subscribed: the offset of the newest publication."""

    def hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._reply(message)
        elif "unsubscribe" in message["push"]:
            del self.offsets[message["push"]["channel"]]
        else:
            push = message["push"]
            assert push["channel"] in self.offsets, "no push before its subscribe reply, none after the end"
            offset = push["pub"].get("offset", 0)
            assert offset >= self.offsets[push["channel"]]
            self.offsets[push["channel"]] = offset

    def _reply(self, message: dict[str, Any]) -> None:
        move, name = self.asked.pop(message["id"])
        if move == "subscribe" and "error" not in message:
            assert name not in self.offsets
            self.offsets[name] = message["subscribe"].get("offset", 0)
            assert len(self.offsets) <= PLAN
        elif move == "subscribe":
            code = message["error"]["code"]
            assert code != close.ALREADY_SUBSCRIBED.code or name in self.offsets
            assert code != close.LIMIT_EXCEEDED.code or len(self.offsets) == PLAN
        elif move == "unsubscribe":
            self.offsets.pop(name, None)


@settings(max_examples=40)
@given(MOVES)
def test_what_a_client_hears_is_never_a_contradiction(moves: list[tuple[str, str]]) -> None:
    uvloop.run(_play(moves))


async def _play(moves: list[tuple[str, str]]) -> None:
    async with running() as service, service.connected("few") as peer:
        for name in NAMES[:2]:
            await service.engine.compute(name)
        listener = Listener()
        for number, (move, name) in enumerate(moves, 2):
            await _move(service, peer, listener, number, move, name)
        await _hear(peer, listener, len(moves) + 2)
        assert not listener.asked, "a reply for each command"


async def _move(service: Service, peer: Peer, listener: Listener, number: int, move: str, name: str) -> None:
    match move:
        case "subscribe" | "unsubscribe":
            listener.asked[number] = move, name
            await peer.send({"id": number, move: {"channel": name}})
        case "ask":
            listener.asked[number] = move, name
            await peer.send({"id": number, "rpc": {"method": name}})
        case "hear":
            await _hear(peer, listener, number)
        case "final" | "live":
            await service.engine.publish(name, {"t": number}, final=move == "final")
        case _:
            await service.engine.begin_epoch(name)
            await service.engine.publish(name, {"t": number}, final=False)


async def _hear(peer: Peer, listener: Listener, number: int) -> None:
    """Hear all that is answered so far: commands are answered in order."""
    listener.asked[number] = "ask", "time"
    await peer.send({"id": number, "rpc": {"method": "time"}})
    while number in listener.asked:
        listener.hear(await peer.receive())
