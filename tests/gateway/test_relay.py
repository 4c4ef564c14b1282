"""Subscriptions open without a gap, whatever is published meanwhile, and are told when one cannot be avoided."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.broker import Listener
from gateway.errors import BusUnavailableError, ChannelRefusedError
from gateway.hub import Hub
from gateway.line import SILENT_TICKS
from gateway.metrics import GatewayMetrics
from gateway.relay import DEAF_TICKS, RENEW_PERIOD_S, SPREAD_FROM, Opening, Relay, _tell
from gateway.subscription import Subscription
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from tests.gateway.plain import interest
from wire.close import Unsubscribe
from wire.envelope import VERSION, Batch, Chart, Description, Envelope, Held, NewestFinal, Ownership, Publication
from wire.position import Epoch, Offset, StreamPosition

CHANNEL = "signals:DEMO:S01@1m:rsi(close,14)"
OTHER = "bars:DEMO:S01@1m"


class Engine:
    """One topic's owner: publishes finals numbered one by one and live values, and repeats the last on demand."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.own: Ownership | None = None
        self.value = 0
        self.live: Publication | None = None
        self.repeats = False
        self.description = Description(warming=True)

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        self.repeats = True

    def describe(self, topic: int, channel: str) -> Description:
        return self.description

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        return Chart(())

    async def start(self) -> None:
        await self.acquire()
        nothing = NewestFinal(Offset(0), Offset(0), None)
        await self.send(rows={CHANNEL: nothing, OTHER: nothing})

    async def acquire(self, *, fresh: bool = False) -> None:
        acquired = await self.broker.acquire(0, "engine", known=self.own, fresh=fresh)
        assert acquired is not None
        self.own = acquired.ownership

    async def send(self, *envelopes: Envelope, rows: Mapping[str, NewestFinal] | None = None, forget: int = 0) -> None:
        assert self.own is not None
        batch = Batch(self.own, envelopes, rows=dict(rows or {}), forget=Offset(forget))
        self.own = (await self.broker.publish({0: batch}))[0]

    async def publish(self, script: str) -> None:
        """One envelope: F a final of the channel, X one of another, L a live value, R a repeated one if asked for."""
        assert self.own is not None
        finals, live = [], []
        for letter in script:
            self.value += letter in "FL"
            payload = b"%d" % self.value
            if letter == "F":
                finals.append(Publication(CHANNEL, payload))
                self.live = None
            elif letter == "X":
                finals.append(Publication(OTHER, b"x"))
            elif letter == "L":
                self.live = Publication(CHANNEL, payload)
                live = [self.live]
            elif self.repeats and self.live is not None:
                live = [self.live]
                self.repeats = False
        own = self.own
        envelope = Envelope(VERSION, own.epoch, own.number + 1, own.next_offset, tuple(finals), tuple(live))
        rows = {
            final.channel: NewestFinal(Offset(0), Offset(own.next_offset + i), final.payload)
            for i, final in enumerate(finals)
        }
        await self.send(envelope, rows=rows)


class Client:
    """A sink that notes what it is sent: ("F" or "L", value, offset)."""

    def __init__(self) -> None:
        self.pending: list[bytes] = []
        self.log: list[tuple[int, int]] = []
        self.evicted: list[Subscription] = []

    def write(self, frame: bytes) -> None:
        self.pending.append(frame)

    def flush(self) -> None:
        for line in self.pending:
            value, offset = line.split()
            self.log.append((int(value), int(offset)))
        self.pending.clear()

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        assert reason.code == 2500
        self.evicted.append(subscription)

    @property
    def values(self) -> list[int]:
        return [value for value, _ in self.log]


class HeldBack:
    """A broker whose answer to READ is on its way until it is let go."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self.before = asyncio.Event()
        self.after = asyncio.Event()
        self.reads = 0
        self.unreadable = 0

    @property
    def unavailable(self) -> str | None:
        return "held back"

    def listen(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        return self._broker.listen(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        self.reads += 1
        await self.before.wait()
        held = await self._broker.read(topic, since, channels)
        await self.after.wait()
        return held

    async def renew(self, channels: Mapping[int, Sequence[str]]) -> None:
        await self._broker.renew(channels)

    async def describe(self, topic: int, channel: str) -> Description:
        return await self._broker.describe(topic, channel)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        return await self._broker.history(topic, channel, limit)

    async def venues(self) -> frozenset[str]:
        return await self._broker.venues()

    async def instruments(self, venue: str) -> frozenset[str] | None:
        return await self._broker.instruments(venue)

    async def unowned(self) -> bool:
        return await self._broker.unowned()


class Lagging:
    """A listener whose envelopes are under way until they are let through."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._under_way: list[tuple[int, Envelope]] = []

    def heard(self, topic: int, envelope: Envelope) -> None:
        self._under_way.append((topic, envelope))

    def attached(self, topic: int) -> None:
        self._listener.attached(topic)

    def arrive(self) -> None:
        """Let everything through that is under way."""
        arrived, self._under_way = self._under_way, []
        for topic, envelope in arrived:
            self._listener.heard(topic, envelope)


class Switch:
    """A broker whose place another can take."""

    def __init__(self, broker: MemoryBroker | HeldBack) -> None:
        self.now = broker

    @property
    def unavailable(self) -> str | None:
        return self.now.unavailable

    @property
    def unreadable(self) -> int:
        return self.now.unreadable

    def listen(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        return self.now.listen(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        return await self.now.read(topic, since, channels)

    async def renew(self, channels: Mapping[int, Sequence[str]]) -> None:
        await self.now.renew(channels)

    async def describe(self, topic: int, channel: str) -> Description:
        return await self.now.describe(topic, channel)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        return await self.now.history(topic, channel, limit)

    async def venues(self) -> frozenset[str]:
        return await self.now.venues()

    async def instruments(self, venue: str) -> frozenset[str] | None:
        return await self.now.instruments(venue)

    async def unowned(self) -> bool:
        return await self.now.unowned()


class Gateway:
    """Relay and hub with one topic; it hears from entering `hearing` on."""

    def __init__(self, broker: MemoryBroker | HeldBack, tasks: asyncio.TaskGroup) -> None:
        self._broker = Switch(broker)
        self.hub = Hub()
        self.registry = CollectorRegistry()
        self.relay = Relay(
            self._broker,
            self.hub,
            topics=1,
            schedule_round=self.hub.collect,
            metrics=GatewayMetrics(self.registry),
            tasks=tasks,
        )

    def use(self, broker: MemoryBroker | HeldBack) -> None:
        """Ask another broker from now on."""
        self._broker.now = broker

    def subscription(self, client: Client) -> Subscription:
        return Subscription(client, interest(CHANNEL))

    async def open(self, client: Client, position: StreamPosition | None = None) -> Opening:
        opening = await self.relay.open(self.subscription(client), position)
        for final in opening.recovery.publications:
            client.pending.append(b"%b %d" % (final.publication.payload, final.offset))
        if opening.recovery.newest is not None:
            client.pending.append(b"%b %d" % (opening.recovery.newest, opening.floor.top))
        self.relay.admit(opening)
        client.flush()
        return opening


async def turn() -> None:
    """Let what was published be heard, and what was missed be read."""
    for _ in range(3):
        await asyncio.sleep(0)


class Bench:
    """A bus in memory, its engine, and a gateway that hears it."""

    def __init__(self, gateway: Gateway, broker: MemoryBroker, engine: Engine, lagging: Lagging) -> None:
        self.gateway = gateway
        self.broker = broker
        self.engine = engine
        self.lagging = lagging

    def position(self, offset: int) -> StreamPosition:
        assert self.engine.own is not None
        return StreamPosition(self.engine.own.epoch, Offset(offset))


@asynccontextmanager
async def bench(*, lagging: bool = False) -> AsyncIterator[Bench]:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: 0.0)
    engine = Engine(broker)
    await engine.start()
    async with broker.serve(engine, [0]), asyncio.TaskGroup() as tasks:
        gateway = Gateway(broker, tasks)
        slow = Lagging(gateway.relay)
        async with broker.listen(slow if lagging else gateway.relay):
            await turn()
            yield Bench(gateway, broker, engine, slow)
        gateway.relay.stop()


async def test_a_fresh_subscriber_gets_the_newest_final_then_everything() -> None:
    client = Client()
    async with bench() as b:
        await b.engine.publish("F")
        await b.engine.publish("FX")
        opening = await b.gateway.open(client)
        assert (opening.recovery.offset, client.log) == (3, [(2, 3)])
        await b.engine.publish("FL")
        await turn()
    client.flush()
    assert client.log == [(2, 3), (3, 4), (4, 4)]


async def test_the_repeated_live_value_reaches_the_newcomer_alone() -> None:
    first, second = Client(), Client()
    async with bench() as b:
        await b.gateway.open(first)
        await b.engine.publish("L")
        await turn()
        await b.gateway.open(second)
        await b.engine.publish("R")
        await turn()
    first.flush()
    second.flush()
    assert (first.values, second.values) == ([1], [1])


async def test_a_client_that_was_away_gets_exactly_what_it_missed() -> None:
    client = Client()
    async with bench() as b:
        await b.engine.publish("F")
        opening = await b.gateway.open(client)
        b.gateway.relay.leave(opening.joiner.subscription)
        for script in ("F", "X", "FL", "F"):
            await b.engine.publish(script)
        back = await b.gateway.open(client, b.position(1))
    assert back.recovery.recovered
    assert client.values == [1, 2, 3, 5]


async def test_what_is_missing_before_an_envelope_is_read_and_handed_on_in_order() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        await b.engine.publish("F")
        await turn()
        b.broker.lose_next_envelope()
        await b.engine.publish("FX")
        await b.engine.publish("F")
        await turn()
        await b.engine.publish("FL")
        await turn()
        client.flush()
        assert client.values == [1, 2, 3, 4, 5]
        assert client.evicted == []
        assert b.gateway.registry.get_sample_value("gateway_holes_total") == 1
        assert b.gateway.registry.get_sample_value("gateway_resets_total") == 0


async def test_what_was_published_while_nothing_was_heard_is_read_when_hearing_begins_again() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        for _ in range(3):
            b.broker.lose_next_envelope()
            await b.engine.publish("F")
        await turn()
        assert client.pending == []
        b.gateway.relay.attached(0)
        await turn()
        client.flush()
        assert client.values == [1, 2, 3]


async def test_what_is_no_longer_held_costs_the_position_of_its_channel_alone() -> None:
    client, other = Client(), Client()
    async with bench() as b:
        opening = await b.gateway.open(client)
        elsewhere = Subscription(other, interest(OTHER))
        b.gateway.relay.admit(await b.gateway.relay.open(elsewhere, None))
        b.broker.lose_next_envelope()
        await b.engine.publish("F")
        await b.engine.send(forget=1)
        await b.engine.publish("L")
        await turn()
        client.flush()
        assert client.values == []
        assert client.evicted == [opening.joiner.subscription]
        assert other.evicted == []


async def test_another_epoch_costs_the_position_and_nothing_follows() -> None:
    client = Client()
    async with bench() as b:
        opening = await b.gateway.open(client)
        await b.engine.acquire(fresh=True)
        await b.engine.publish("F")
        await turn()
        client.flush()
        assert client.log == []
        assert client.evicted == [opening.joiner.subscription]
        assert b.gateway.registry.get_sample_value("gateway_resets_total") == 1
        again = await b.gateway.open(client, StreamPosition(Epoch("old"), Offset(0)))
        assert not again.recovery.recovered
        assert client.values == [1]


async def test_an_envelope_of_an_epoch_that_the_bus_does_not_know_changes_nothing() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        b.gateway.relay.heard(0, Envelope(VERSION, Epoch("old"), 1, Offset(1), (Publication(CHANNEL, b"9"),)))
        await turn()
        await b.engine.publish("F")
        await turn()
        client.flush()
        assert client.values == [1]
        assert client.evicted == []


async def test_an_envelope_heard_again_is_dropped() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        assert b.engine.own is not None
        envelope = Envelope(VERSION, b.engine.own.epoch, 1, Offset(1), (Publication(CHANNEL, b"1"),))
        b.gateway.relay.heard(0, envelope)
        b.gateway.relay.heard(0, envelope)
        client.flush()
    assert client.values == [1]


async def test_an_older_envelope_does_not_bring_an_older_value_back() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        assert b.engine.own is not None
        epoch = b.engine.own.epoch
        for number, value in ((1, b"1"), (2, b"2"), (1, b"1")):
            b.gateway.relay.heard(0, Envelope(VERSION, epoch, number, Offset(1), (), (Publication(CHANNEL, value),)))
        client.flush()
    assert client.values == [1, 2]


async def test_many_that_lose_their_position_at_once_are_told_little_by_little() -> None:
    clients = [Client() for _ in range(SPREAD_FROM * 3)]
    async with bench() as b:
        for client in clients:
            await b.gateway.open(client)
        await b.engine.acquire(fresh=True)
        await b.engine.publish("F")
        await turn()
        told = sum(len(client.evicted) for client in clients)
        assert 0 < told < len(clients)
        assert len(b.gateway.hub) == 0
        assert not any(client.pending for client in clients)


async def test_who_leaves_before_it_is_told_is_not_told() -> None:
    clients = [Client() for _ in range(SPREAD_FROM + 1)]
    async with bench() as b:
        openings = [await b.gateway.open(client) for client in clients]
        await b.engine.acquire(fresh=True)
        await b.engine.publish("F")
        await turn()
        for opening in openings:
            b.gateway.relay.leave(opening.joiner.subscription)
        _tell([opening.joiner.subscription for opening in openings])
        assert sum(len(client.evicted) for client in clients) < len(clients)
        assert b.gateway.relay.subscriptions == 0


async def test_a_bus_that_does_not_answer_is_an_error_and_leaves_nothing_behind() -> None:
    async with bench() as b:
        b.gateway.use(HeldBack(b.broker))
        with pytest.raises(BusUnavailableError):
            await b.gateway.relay.open(b.gateway.subscription(Client()), None)
        assert len(b.gateway.hub) == 0


async def test_a_subscriber_that_goes_away_while_it_is_opened_leaves_nothing_behind() -> None:
    async with bench() as b:
        b.gateway.use(HeldBack(b.broker))
        opening = asyncio.create_task(b.gateway.open(Client()))
        await turn()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert len(b.gateway.hub) == 0
        assert b.gateway.relay.subscriptions == 0


async def test_what_is_subscribed_stays_wanted_and_what_was_left_does_not(clock: ManualClock) -> None:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
    engine = Engine(broker)
    await engine.start()
    async with broker.serve(engine, [0]), asyncio.TaskGroup() as tasks:
        gateway = Gateway(broker, tasks)
        async with broker.listen(gateway.relay):
            await turn()
            opening = await gateway.open(Client())
            for _ in range(4):
                clock.advance(RENEW_PERIOD_S)
                assert await gateway.relay.renew()
            assert await broker.demand([0]) == {CHANNEL}
            gateway.relay.leave(opening.joiner.subscription)
            for _ in range(4):
                clock.advance(RENEW_PERIOD_S)
                assert await gateway.relay.renew()
            assert await broker.demand([0]) == frozenset()


async def test_a_refused_channel_is_an_error_and_leaves_nothing_behind() -> None:
    async with bench() as b:
        for temporary in (True, False):
            b.engine.description = Description(warming=False, refused="no memory", temporary=temporary)
            with pytest.raises(ChannelRefusedError, match="no memory") as refused:
                await b.gateway.open(Client())
            assert refused.value.temporary is temporary
            assert len(b.gateway.hub) == 0


async def test_a_gateway_that_has_not_read_a_topic_yet_says_that_it_is_not_ready() -> None:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: 0.0)
    async with asyncio.TaskGroup() as tasks:
        gateway = Gateway(broker, tasks)
        assert gateway.relay.unready == "1 of 1 topics have not been read yet"
        async with broker.listen(gateway.relay):
            await turn()
            assert gateway.relay.unready is None


async def test_a_gateway_that_hears_nothing_is_ready_for_a_while() -> None:
    async with bench() as b:
        b.gateway.relay.tick()
        b.gateway.use(HeldBack(b.broker))
        said = []
        for _ in range(DEAF_TICKS):
            said.append(b.gateway.relay.unready)
            b.gateway.relay.tick()
        assert said == [None] * DEAF_TICKS
        assert b.gateway.relay.unready == "held back"
        b.gateway.use(b.broker)
        assert b.gateway.relay.unready is None


async def test_a_topic_that_falls_silent_is_read() -> None:
    client = Client()
    async with bench() as b:
        await b.gateway.open(client)
        b.broker.lose_next_envelope()
        await b.engine.publish("F")
        for _ in range(SILENT_TICKS):
            b.gateway.relay.tick()
        await turn()
        client.flush()
        assert client.values == [1]
        assert b.gateway.registry.get_sample_value("gateway_silences_total") == 1


async def test_who_comes_back_is_served_from_what_was_heard_without_a_read() -> None:
    stays, away = Client(), Client()
    async with bench() as b:
        await b.gateway.open(stays)
        opening = await b.gateway.open(away)
        await b.engine.publish("F")
        await turn()
        away.flush()
        b.gateway.relay.leave(opening.joiner.subscription)
        for script in ("F", "X", "FL"):
            await b.engine.publish(script)
        await turn()
        b.gateway.use(HeldBack(b.broker))
        back = await b.gateway.open(away, b.position(1))
        assert (back.recalled, back.recovery.recovered) == (True, True)
        await b.engine.publish("F")
        await turn()
        away.flush()
        stays.flush()
    assert away.values == stays.values == [1, 2, 3, 4, 5]
    assert b.gateway.registry.get_sample_value("gateway_recalls_total") == 1


async def test_what_nobody_here_subscribed_to_all_the_time_is_read() -> None:
    client = Client()
    async with bench() as b:
        opening = await b.gateway.open(client)
        await b.engine.publish("F")
        await turn()
        client.flush()
        b.gateway.relay.leave(opening.joiner.subscription)
        await b.engine.publish("F")
        await turn()
        back = await b.gateway.open(client, b.position(1))
    assert not back.recalled
    assert client.values == [1, 2]


SCRIPTS = st.lists(st.sampled_from(["F", "L", "FL", "FF", "X", "XFL", "R", "turn", "lose", "attach"]), max_size=6)


@settings(max_examples=200)
@given(before=SCRIPTS, asked=SCRIPTS, answered=SCRIPTS, after=SCRIPTS, position=st.none() | st.integers(0, 6))
def test_no_final_is_lost_doubled_or_reordered_whatever_happens_while_a_subscription_opens(
    before: list[str], asked: list[str], answered: list[str], after: list[str], position: int | None
) -> None:
    asyncio.run(_interleave(before, asked, answered, after, position))


async def _interleave(
    before: list[str], asked: list[str], answered: list[str], after: list[str], position: int | None
) -> None:
    client = Client()
    async with bench(lagging=True) as b:

        async def play(scripts: list[str]) -> None:
            for script in scripts:
                if script == "turn":
                    await turn()
                    b.lagging.arrive()
                elif script == "lose":
                    b.broker.lose_next_envelope()
                    await b.engine.publish("FL")
                elif script == "attach":
                    b.gateway.relay.attached(0)
                else:
                    await b.engine.publish(script)

        await play(before)
        slow = HeldBack(b.broker)
        b.gateway.use(slow)
        wanted = None if position is None else b.position(position)
        joining = asyncio.create_task(b.gateway.open(client, wanted))
        await turn()
        await play(asked)
        slow.before.set()
        await turn()
        await play(answered)
        slow.after.set()
        opening = await joining
        await play([*after, "attach", "turn", "turn", "R", "turn", "turn"])
        client.flush()
        held = await b.broker.read(0, Offset(0), [])
    assert client.evicted == []
    finals = {int(f.publication.payload): f.offset for f in held.finals if f.publication.channel == CHANNEL}
    start = opening.recovery.offset if opening.recovery.recovered else opening.floor.top
    assert [v for v in client.values if v in finals and finals[v] > start] == [v for v in finals if finals[v] > start]
    assert client.values == sorted(set(client.values)), "went back in time, or doubled"
    offsets = [offset for _, offset in client.log]
    assert offsets == sorted(offsets), "an offset decreased"
    if b.engine.value and b.engine.live is not None:
        assert client.values[-1:] == [b.engine.value], "the newest value never came"


async def test_those_who_read_a_topic_at_once_share_a_read() -> None:
    async with bench() as b:
        held_back = HeldBack(b.broker)
        b.gateway.use(held_back)
        await b.engine.publish("FXF")
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(b.gateway.relay.read(0, Offset(n % 3), CHANNEL)) for n in range(20)]
            await turn()
            held_back.before.set()
            held_back.after.set()
        assert held_back.reads <= 2
        for n, task in enumerate(reading):
            assert {f.offset for f in task.result().finals} >= set(range(n % 3 + 1, 4))


async def test_what_could_not_be_read_is_counted_once() -> None:
    async with bench() as b:
        held_back = HeldBack(b.broker)
        b.gateway.use(held_back)
        for so_far in (3, 3, 5):
            held_back.unreadable = so_far
            b.gateway.relay.tick()
            assert b.gateway.registry.get_sample_value("gateway_unreadable_total") == so_far
