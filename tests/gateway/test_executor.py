"""Commands that wait for somebody: in order, bounded, and never in the way of a pong."""

import asyncio
import gc
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from prometheus_client import CollectorRegistry

from gateway.command_rates import ConnectionRates
from gateway.config import NO_LIMITS
from gateway.connection import Connection
from gateway.effects import Open
from gateway.executor import Executor
from gateway.form import JSON, Form
from gateway.introspection import Introspection
from gateway.metrics import GatewayMetrics
from gateway.standing import Standing
from gateway.subscription import Subscription
from standins.clock import ManualClock
from tests.gateway.plain import Sink
from tests.gateway.service import BARS, TOPICS, Service, running
from tests.gateway.test_session import connected, opened
from wire import close
from wire.client_messages import Command, SubscribeRequest
from wire.close import Close

if TYPE_CHECKING:
    from gateway.parts import Parts


async def test_more_than_64_kib_of_commands_waiting_are_closed_with_3008() -> None:
    async with running() as service, service.raw() as peer:
        service.users.hold()
        await peer.send({"id": 1, "connect": {"token": "all"}}, {"id": 2, "subscribe": {"channel": "x" * 40_000}})
        await peer.send({"id": 3, "subscribe": {"channel": "x" * 40_000}})
        code, reason = await peer.closed()
        service.users.release()
    assert code == 3008
    assert reason


async def test_small_commands_count_64_bytes_each_while_they_wait() -> None:
    async with running() as service:
        assert await _closed_behind_connect(service, 1025) == 3008
        assert await _closed_behind_connect(service, 1024) == 3501


async def _closed_behind_connect(service: Service, commands: int) -> int | None:
    """How a client ends that sends so many commands behind its connect, and then nonsense."""
    service.users.hold()
    async with service.raw() as peer:
        await peer.send({"id": 1, "connect": {"token": "all"}}, *({"id": 2, "rpc": {}} for _ in range(commands)))
        await peer.socket.send("nonsense")
        code, _ = await peer.closed()
        service.users.release()
        return code


async def test_what_has_run_makes_room_for_what_comes() -> None:
    async with running(limits=NO_LIMITS) as service, service.connected() as peer:
        for turn in range(3):
            await peer.send(*({"id": n, "subscribe": {"channel": "bars:DEMO:S99@1m"}} for n in range(1, 901)))
            replies = [await peer.receive() for _ in range(900)]
            assert [reply["id"] for reply in replies] == list(range(1, 901)), turn
            assert {reply["error"]["code"] for reply in replies} == {102}


async def test_a_fault_of_ours_ends_the_connection_that_met_it_and_no_other() -> None:
    async with running() as service, service.connected() as good, service.connected() as bad:
        service.broker._instruments["BROKEN"] = 5  # type: ignore[assignment]
        await bad.send({"id": 2, "rpc": {"method": "instruments"}}, {"id": 3, "rpc": {"method": "time"}})
        assert (await bad.closed())[0] == 3004
        assert "rpc" in await good.ask({"id": 2, "rpc": {"method": "time"}})


async def test_a_client_that_leaves_while_a_command_waits_leaves_nothing_behind() -> None:
    async with running(timeout_s=30) as service:
        service.users.hold()
        async with service.raw() as peer:
            await peer.send({"id": 1, "connect": {"token": "all"}}, {"id": 2, "rpc": {"method": "time"}})
            await service.users.wait_for_requests(2)
        await _all_gone(service)
        service.users.release()


async def test_a_client_that_leaves_leaves_no_timer_behind() -> None:
    async with running() as service:
        async with service.connected() as peer:
            await peer.ask({"id": 2, "subscribe": {"channel": BARS}})
        await _all_gone(service)


async def _all_gone(service: Service) -> None:
    """Nobody is connected, and nothing holds a connection that is gone: no task, no timer."""
    while service.sample("gateway_connections") != 0:
        await _turn()
    await _turn()
    assert _connections() == []


async def _turn() -> None:
    await asyncio.sleep(0)


def _connections() -> list[Connection]:
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is Connection]


async def test_a_subscription_that_is_refused_at_the_last_moment_leaves_nothing_behind() -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(BARS)
        command = {"channel": BARS, "recover": True, "offset": 9, "epoch": "another", "flag": 2}
        assert (await peer.ask({"id": 2, "subscribe": command}))["error"]["code"] == 112
        assert service.sample("gateway_subscriptions") == 0


async def test_what_is_not_covered_any_more_when_it_opens_is_refused_with_103() -> None:
    async with running() as service, service.connected() as peer:
        for topic in service.broker._topics:
            topic.owner = None  # nobody says whether the channel is warming up, for a second
        await peer.send({"id": 2, "subscribe": {"channel": BARS}})
        while BARS not in await service.broker.demand(range(TOPICS)):
            await _turn()
        (connection,) = _connections()
        before = connection._session.standing
        assert before is not None
        narrow = Standing("all", Introspection(active=True, sub="1", channels=("signals:*",)), 0, 0)
        assert connection._session.reviewed(before, narrow, 0) == []
        assert (await peer.receive())["error"]["code"] == 103
        assert service.sample("gateway_subscriptions") == 0


# what an executor tells its connection


class Recorder(Sink):
    """A connection that takes note of what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_with: Close | None = None
        self.told: list[str] = []

    @property
    def form(self) -> Form:
        return JSON

    def send(self, frame: bytes) -> None:
        self.told.append(frame[2:].decode() if frame[0] == 0x81 else frame.decode())

    def drop(self, subscription: Subscription) -> None:
        self.told.append(f"drop {subscription.name}")

    def shut(self, reason: Close, after_s: float = 0.0) -> None:
        self.closed_with = reason

    def closed_code(self) -> int | None:
        return None if self.closed_with is None else self.closed_with.code

    def ponged(self) -> None:
        self.told.append("pong")

    def connected(self) -> None:
        self.told.append("connected")


class Relay:
    """Where subscriptions are left."""

    def leave(self, subscription: Subscription) -> None:
        subscription.sink.told.append(f"leave {subscription.name}")  # type: ignore[attr-defined]


def told_by(*names: str) -> tuple[Recorder, Executor, dict[str, Subscription]]:
    """An executor whose client is subscribed to these, and what its connection is told."""
    client, session = Recorder(), connected()
    parts = SimpleNamespace(
        relay=Relay(),
        metrics=GatewayMetrics(CollectorRegistry()),
        users=None,
        directory=None,
        clock=ManualClock(),
        tasks=None,
        rates=ConnectionRates(),
    )
    subscriptions = {}
    for name in names:
        (opening,) = session.receive(Command(2, subscribe=SubscribeRequest(name)))
        assert isinstance(opening, Open)
        subscriptions[name] = opened(session, opening)
        subscriptions[name].sink = client
    return client, Executor(session, cast("Parts", parts), client), subscriptions


def test_nothing_of_a_channel_is_sent_behind_the_reply_to_its_unsubscribe() -> None:
    client, executor, _ = told_by(BARS)
    executor.receive(b'{"id":3,"unsubscribe":{"channel":"%b"}}' % BARS.encode())
    assert client.told == [f"leave {BARS}", f"drop {BARS}", '{"id":3,"unsubscribe":{}}']


def test_nothing_of_a_channel_is_sent_behind_its_unsubscribe_push() -> None:
    client, executor, subscriptions = told_by(BARS)
    executor.evict(subscriptions[BARS], close.POSITION_LOST)
    assert client.told[0] == f"drop {BARS}"
    assert client.told[1] == f"{BARS} unsubscribed 2500"


def test_no_command_behind_the_one_that_ends_a_connection_is_run() -> None:
    client, executor, _ = told_by()
    executor.receive(b'{"send":{}}\n{"id":3,"presence":{}}')
    assert client.closed_code() == 3508
    assert client.told == []


def test_while_paused_commands_wait_and_pongs_do_not_and_then_they_run_in_order() -> None:
    client, executor, _ = told_by()
    executor.pause()
    executor.receive(b'{"id":3,"presence":{}}\n{}\n{"id":4,"presence":{}}')
    assert client.told == ["pong"]
    executor.resume()
    executor.receive(b'{"id":5,"presence":{}}')
    assert [json.loads(each)["id"] for each in client.told[1:]] == [3, 4, 5]


def test_a_client_that_is_paused_and_goes_on_is_closed_with_3008() -> None:
    client, executor, _ = told_by()
    executor.pause()
    for _ in range(1024):
        executor.receive(b'{"id":3,"presence":{}}')
    assert client.closed_code() is None
    executor.receive(b'{"id":3,"presence":{}}')
    assert client.closed_code() == 3008


def test_a_fault_while_going_on_ends_the_connection() -> None:
    client, executor, subscriptions = told_by(BARS)
    executor.pause()
    executor.receive(b'{"id":3,"unsubscribe":{"channel":"%b"}}' % BARS.encode())
    subscriptions[BARS].sink = Sink()
    executor.resume()
    assert client.closed_code() == 3004
