"""Subscriptions open without a gap, whatever is published meanwhile, and are told when one cannot be avoided."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.broker import Listener
from gateway.errors import BusUnavailableError, ChannelRefusedError
from gateway.hub import Hub, Subscription
from gateway.metrics import GatewayMetrics
from gateway.relay import RENEW_PERIOD_S, Opening, Relay
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from wire.close import Unsubscribe
from wire.envelope import VERSION, Batch, Description, Envelope, Held, Ownership, Publication, encode
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
        self.refusal: str | None = None

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        self.repeats = True

    def describe(self, topic: int, channel: str) -> Description:
        return Description(warming=True, refused=self.refusal)

    async def start(self) -> None:
        self.own = await self.broker.acquire(0, "engine", self)
        assert self.own is not None
        self.own = await self.broker.publish(0, Batch(self.own, (), started=(CHANNEL, OTHER)))

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
        self.own = await self.broker.publish(0, Batch(own, (encode(envelope),)))


class Client:
    """A sink that notes what it is sent: ("F" or "L", value, offset)."""

    def __init__(self) -> None:
        self.pending: list[bytes] = []
        self.log: list[tuple[int, int]] = []
        self.evicted: list[Subscription] = []

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

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        return self._broker.listen(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        await self.before.wait()
        held = await self._broker.read(topic, since, channels)
        await self.after.wait()
        return held

    async def renew(self, topic: int, channels: Sequence[str]) -> None:
        await self._broker.renew(topic, channels)

    async def describe(self, topic: int, channel: str) -> Description:
        return await self._broker.describe(topic, channel)

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

    def cut(self, topic: int) -> None:
        self._listener.cut(topic)

    def arrive(self) -> None:
        """Let everything through that is under way."""
        arrived, self._under_way = self._under_way, []
        for topic, envelope in arrived:
            self._listener.heard(topic, envelope)


class Switch:
    """A broker whose place another can take."""

    def __init__(self, broker: MemoryBroker | HeldBack) -> None:
        self.now = broker

    def listen(self, listener: Listener) -> AbstractContextManager[None]:
        return self.now.listen(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        return await self.now.read(topic, since, channels)

    async def renew(self, topic: int, channels: Sequence[str]) -> None:
        await self.now.renew(topic, channels)

    async def describe(self, topic: int, channel: str) -> Description:
        return await self.now.describe(topic, channel)

    async def instruments(self, venue: str) -> frozenset[str] | None:
        return await self.now.instruments(venue)

    async def unowned(self) -> bool:
        return await self.now.unowned()


class Gateway:
    """Relay and hub with one topic."""

    def __init__(self, broker: MemoryBroker | HeldBack, read_timeout_s: float = 2.0) -> None:
        self._broker = Switch(broker)
        self.hub = Hub(lambda _spelling, payload, offset: b"%b %d" % (payload, offset))
        self.registry = CollectorRegistry()
        self.relay = Relay(
            self._broker,
            self.hub,
            topics=1,
            schedule_round=lambda: None,
            metrics=GatewayMetrics(self.registry),
            read_timeout_s=read_timeout_s,
        )

    def use(self, broker: HeldBack) -> None:
        """Ask another broker from now on."""
        self._broker.now = broker

    def subscription(self, client: Client) -> Subscription:
        return Subscription(client, channel=CHANNEL, topic=0, name="rsi", spelling=b"rsi")

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
    """Let what was published be heard."""
    await asyncio.sleep(0)


def started() -> tuple[MemoryBroker, Engine]:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: 0.0)
    return broker, Engine(broker)


async def test_a_fresh_subscriber_gets_the_newest_final_then_everything() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        await engine.publish("F")
        await engine.publish("FX")
        opening = await gateway.open(client)
        assert (opening.recovery.offset, client.log) == (3, [(2, 3)])
        await engine.publish("FL")
        await turn()
    client.flush()
    assert client.log == [(2, 3), (3, 4), (4, 4)]


async def test_the_repeated_live_value_reaches_the_newcomer_alone() -> None:
    broker, engine = started()
    await engine.start()
    gateway, first, second = Gateway(broker), Client(), Client()
    with broker.listen(gateway.relay):
        await gateway.open(first)
        await engine.publish("L")
        await turn()
        await gateway.open(second)
        await engine.publish("R")
        await turn()
    first.flush()
    second.flush()
    assert (first.values, second.values) == ([1], [1])


async def test_a_client_that_was_away_gets_exactly_what_it_missed() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        await engine.publish("F")
        opening = await gateway.open(client)
        gateway.relay.leave(opening.joiner.subscription)
        for script in ("F", "X", "FL", "F"):
            await engine.publish(script)
        assert engine.own is not None
        back = await gateway.open(client, StreamPosition(engine.own.epoch, Offset(1)))
    assert back.recovery.recovered
    assert client.values == [1, 2, 3, 5]


async def test_a_hole_in_the_envelopes_costs_the_position_and_nothing_follows() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        opening = await gateway.open(client)
        await engine.publish("F")
        await turn()
    await engine.publish("F")
    with broker.listen(gateway.relay):
        await engine.publish("F")
        await turn()
    client.flush()
    assert client.values == [1]
    assert client.evicted == [opening.joiner.subscription]
    assert gateway.registry.get_sample_value("gateway_resets_total") == 1


async def test_another_epoch_costs_the_position() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        opening = await gateway.open(client)
    gateway.relay.heard(0, Envelope(VERSION, Epoch("another"), 1, Offset(1), (Publication(CHANNEL, b"9"),)))
    client.flush()
    assert client.log == []
    assert client.evicted == [opening.joiner.subscription]


async def test_a_cut_costs_the_position_and_the_next_subscribe_goes_on() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        await gateway.open(client)
        await engine.publish("F")
        await turn()
        gateway.relay.cut(0)
        await engine.publish("F")
        await turn()
        client.flush()
        assert engine.own is not None
        await gateway.open(client, StreamPosition(engine.own.epoch, Offset(1)))
    assert client.values == [1, 2]
    assert len(client.evicted) == 1


async def test_an_envelope_heard_again_is_dropped() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        await gateway.open(client)
        assert engine.own is not None
        envelope = Envelope(VERSION, engine.own.epoch, 1, Offset(1), (Publication(CHANNEL, b"1"),))
        gateway.relay.heard(0, envelope)
        gateway.relay.heard(0, envelope)
    client.flush()
    assert client.values == [1]


async def test_an_older_envelope_does_not_bring_an_older_value_back() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        await gateway.open(client)
        assert engine.own is not None
        epoch = engine.own.epoch
        for number, value in ((1, b"1"), (2, b"2"), (1, b"1")):
            gateway.relay.heard(0, Envelope(VERSION, epoch, number, Offset(1), (), (Publication(CHANNEL, value),)))
    client.flush()
    assert client.values == [1, 2]


async def test_a_bus_that_does_not_answer_is_an_error_and_leaves_nothing_behind() -> None:
    broker, _ = started()
    gateway = Gateway(HeldBack(broker), read_timeout_s=0.01)
    with pytest.raises(BusUnavailableError):
        await gateway.open(Client())
    assert len(gateway.hub) == 0


async def test_a_subscriber_that_goes_away_while_it_is_opened_leaves_nothing_behind() -> None:
    broker, _ = started()
    gateway = Gateway(HeldBack(broker))
    opening = asyncio.create_task(gateway.open(Client()))
    await turn()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert len(gateway.hub) == 0


async def test_what_is_subscribed_stays_wanted_and_what_was_left_does_not(clock: ManualClock) -> None:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: clock.monotonic_ns() / 1e9)
    await Engine(broker).start()
    gateway = Gateway(broker)
    opening = await gateway.open(Client())
    for _ in range(4):
        clock.advance(RENEW_PERIOD_S)
        await gateway.relay.renew()
    assert await broker.demand(0) == {CHANNEL}
    gateway.relay.leave(opening.joiner.subscription)
    for _ in range(4):
        clock.advance(RENEW_PERIOD_S)
        await gateway.relay.renew()
    assert await broker.demand(0) == frozenset()


async def test_a_refused_channel_is_an_error_and_leaves_nothing_behind() -> None:
    broker, engine = started()
    await engine.start()
    engine.refusal = "no memory"
    gateway = Gateway(broker)
    with pytest.raises(ChannelRefusedError, match="no memory"):
        await gateway.open(Client())
    assert len(gateway.hub) == 0


async def test_what_one_subscription_has_read_says_nothing_of_what_another_has_heard() -> None:
    broker, engine = started()
    await engine.start()
    early, late = HeldBack(broker), HeldBack(broker)
    gateway, first, second = Gateway(early), Client(), Client()
    lagging = Lagging(gateway.relay)
    with broker.listen(lagging):
        early.before.set()
        opening = asyncio.create_task(gateway.open(first))
        await turn()
        await engine.publish("F")
        await engine.publish("F")
        gateway.use(late)
        late.before.set()
        late.after.set()
        await gateway.open(second)
        early.after.set()
        await opening
        lagging.arrive()
        await turn()
        lagging.arrive()
    first.flush()
    second.flush()
    assert first.values == [1, 2]
    assert second.values == [2]


async def test_a_hole_between_what_was_read_and_the_first_envelope_heard_costs_the_position() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    with broker.listen(gateway.relay):
        opening = await gateway.open(client)
        broker.lose_next_envelope()
        await engine.publish("F")
        await engine.publish("F")
        await turn()
    assert client.evicted == [opening.joiner.subscription]


async def test_a_first_envelope_of_another_epoch_than_was_read_costs_the_position() -> None:
    broker, engine = started()
    await engine.start()
    gateway, client = Gateway(broker), Client()
    opening = await gateway.open(client)
    gateway.relay.heard(0, Envelope(VERSION, Epoch("another"), 1, Offset(1), (Publication(CHANNEL, b"9"),)))
    client.flush()
    assert client.log == []
    assert client.evicted == [opening.joiner.subscription]


SCRIPTS = st.lists(st.sampled_from(["F", "L", "FL", "FF", "X", "XFL", "R", "turn"]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(before=SCRIPTS, asked=SCRIPTS, answered=SCRIPTS, after=SCRIPTS, position=st.none() | st.integers(0, 6))
def test_no_final_is_lost_doubled_or_reordered_whatever_happens_while_a_subscription_opens(
    before: list[str], asked: list[str], answered: list[str], after: list[str], position: int | None
) -> None:
    asyncio.run(_interleave(before, asked, answered, after, position))


async def _interleave(
    before: list[str], asked: list[str], answered: list[str], after: list[str], position: int | None
) -> None:
    broker, engine = started()
    await engine.start()
    slow = HeldBack(broker)
    gateway, client = Gateway(slow), Client()

    lagging = Lagging(gateway.relay)

    async def play(scripts: list[str]) -> None:
        for script in scripts:
            if script == "turn":
                await turn()
                lagging.arrive()
            else:
                await engine.publish(script)

    with broker.listen(lagging):
        await play(before)
        assert engine.own is not None
        wanted = None if position is None else StreamPosition(engine.own.epoch, Offset(position))
        joining = asyncio.create_task(gateway.open(client, wanted))
        await turn()
        await play(asked)
        slow.before.set()
        await turn()
        await play(answered)
        slow.after.set()
        opening = await joining
        await play([*after, "turn", "R", "turn"])
    client.flush()
    held = await broker.read(0, Offset(0), [])
    finals = {int(f.publication.payload): f.offset for f in held.finals if f.publication.channel == CHANNEL}
    start = opening.recovery.offset if opening.recovery.recovered else opening.floor.top
    assert [v for v in client.values if v in finals and finals[v] > start] == [v for v in finals if finals[v] > start]
    assert client.values == sorted(set(client.values)), "went back in time, or doubled"
    offsets = [offset for _, offset in client.log]
    assert offsets == sorted(offsets), "an offset decreased"
    if engine.value and engine.live is not None:
        assert client.values[-1:] == [engine.value], "the newest value never came"
