"""The contract of the bus and of a gateway's relay: what each kind of channel says reaches who subscribes to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import ChannelRefusedError
from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.relay import Opening, Relay
from gateway.subscription import Subscription
from tests.contract.pair import TOPICS, News, Owner, Pair, batch
from tests.gateway.plain import interest
from wire.channel import parse
from wire.close import Unsubscribe
from wire.envelope import Description, NewestFinal, Ownership, Publication
from wire.position import Epoch, Offset, StreamPosition
from wire.topics import topic_of

BARS = "bars:DEMO:S01@1m"
TRADES, QUOTES, STATUS = "trades:DEMO:S01", "quotes:DEMO:S01", "status:DEMO"
ALERT, SCREEN = "alerts:DEMO:S01@1m:close>open", "screens:DEMO@1m:close>open"
LIVE_ONLY = pytest.mark.parametrize("channel", [TRADES, QUOTES, STATUS])
EVENTS = pytest.mark.parametrize("channel", [ALERT, SCREEN])


class Client(News):
    """A connection: (payload, offset) as it is handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[bytes] = []
        self.got: list[tuple[bytes, int]] = []

    def write(self, frame: bytes) -> None:
        self.pending.append(frame)
        self.flush()

    def flush(self) -> None:
        for frame in self.pending:
            payload, _, offset = frame.rpartition(b" ")
            self.got.append((payload, int(offset)))
        self.pending.clear()
        self.tell()

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise AssertionError("nobody is to be evicted")

    async def after(self, count: int) -> list[tuple[bytes, int]]:
        await self.until(lambda: len(self.got) >= count)
        return self.got


class Publisher:
    """Publishes by hand, on any topic."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._own: dict[int, Ownership] = {}

    async def say(self, *, finals: tuple[str, ...] = (), live: tuple[str, ...] = (), payload: bytes = b"1") -> None:
        topic = topic_of(parse((finals + live)[0]), TOPICS)
        if (own := self._own.get(topic)) is None:
            own = await self._pair.acquire(topic)
        rows = {c: NewestFinal(Offset(0), Offset(own.next_offset + i), payload) for i, c in enumerate(finals)}
        said = batch(own, [Publication(c, payload) for c in finals], [Publication(c, payload) for c in live], rows=rows)
        self._own[topic] = await self._pair.publish(said, topic)


class Gateway:
    """A relay and its hub on one half of a pair."""

    def __init__(self, pair: Pair, tasks: asyncio.TaskGroup) -> None:
        self.hub = Hub()
        self.relay = Relay(
            pair.broker,
            self.hub,
            topics=TOPICS,
            schedule_round=self._round,
            metrics=GatewayMetrics(CollectorRegistry()),
            tasks=tasks,
        )

    def _round(self) -> None:
        self.hub.write_out()

    async def open(self, client: Client, name: str, position: StreamPosition | None = None) -> Opening:
        channel = parse(name)
        topic, finals = topic_of(channel, TOPICS), channel.kind.has_finals
        subscription = Subscription(client, interest(name, topic=topic, has_finals=finals))
        opening = await self.relay.open(subscription, position)
        self.relay.admit(opening)
        return opening


@asynccontextmanager
async def meeting(pair: Pair, owner: Owner) -> AsyncIterator[tuple[Gateway, Publisher]]:
    """A gateway that has read all topics, and the publisher of an engine that serves them."""
    publisher = Publisher(pair)
    for topic in range(TOPICS):
        await pair.publish(batch(await pair.acquire(topic)), topic)
    async with pair.serving(owner), asyncio.TaskGroup() as tasks:
        gateway = Gateway(pair, tasks)
        async with pair.broker.listen(gateway.relay):
            while gateway.relay.unready is not None:  # noqa: ASYNC110 - a gateway tells nobody when it is ready
                await asyncio.sleep(0.002)
            yield gateway, publisher
        gateway.relay.stop()


@LIVE_ONLY
async def test_what_is_only_now_leaves_nothing_on_the_bus_and_carries_no_offset(
    pair: Pair, owner: Owner, channel: str
) -> None:
    client, topic = Client(), topic_of(parse(channel), TOPICS)
    owner.description = Description(warming=False)
    async with meeting(pair, owner) as (gateway, publisher):
        opening = await gateway.open(client, channel)
        assert not opening.recovery.recovered
        assert opening.recovery.newest is None
        await publisher.say(live=(channel,), payload=b"a")
        await publisher.say(live=(channel,), payload=b"b")
        assert await client.after(2) == [(b"a", 0), (b"b", 0)]
        held = await pair.broker.read(topic, Offset(0), [channel])
        assert (held.finals, held.newest, held.top) == ((), {}, 0)


@LIVE_ONLY
async def test_whoever_subscribes_has_the_owner_repeat_what_is_now(pair: Pair, owner: Owner, channel: str) -> None:
    first, second, topic = Client(), Client(), topic_of(parse(channel), TOPICS)
    owner.description = Description(warming=False)
    async with meeting(pair, owner) as (gateway, publisher):
        await gateway.open(first, channel)
        await publisher.say(live=(channel,), payload=b"a")
        await first.after(1)
        owner.rung.clear()
        await gateway.open(second, channel)
        await owner.until(lambda: (topic, (channel,)) in owner.rung)
        await publisher.say(live=(channel,), payload=b"a")
        assert await second.after(1) == [(b"a", 0)]
        await publisher.say(live=(channel,), payload=b"b")
        assert await first.after(2) == [(b"a", 0), (b"b", 0)]


@EVENTS
async def test_events_are_recovered_behind_finals_of_others(pair: Pair, owner: Owner, channel: str) -> None:
    client = Client()
    other = BARS if channel == ALERT else "screens:DEMO@5m:close>open"
    async with meeting(pair, owner) as (gateway, publisher):
        await publisher.say(finals=(channel,), payload=b"a")
        await publisher.say(finals=(other, channel, other), payload=b"b")
        opening = await gateway.open(client, channel, StreamPosition(Epoch(""), Offset(1)))
        assert [(f.offset, f.publication.payload) for f in opening.recovery.publications] == [(3, b"b")]
        fresh = await gateway.open(Client(), channel)
        assert (fresh.recovery.newest, fresh.recovery.offset) == (b"b", 4)
        await publisher.say(finals=(channel,), payload=b"c")
        assert await client.after(1) == [(b"c", 5)]


@pytest.mark.parametrize("temporary", [False, True])
async def test_a_refusal_says_whether_it_may_pass(pair: Pair, owner: Owner, temporary: bool) -> None:
    owner.description = Description(warming=False, refused="no memory for it", temporary=temporary)
    async with meeting(pair, owner) as (gateway, _):
        with pytest.raises(ChannelRefusedError, match="no memory for it") as refused:
            await gateway.open(Client(), QUOTES)
    assert refused.value.temporary is temporary


async def test_an_owner_that_fails_may_not_fail_the_next_time(pair: Pair, owner: Owner) -> None:
    owner.broken = True
    async with meeting(pair, owner) as (gateway, _):
        with pytest.raises(ChannelRefusedError) as refused:
            await gateway.open(Client(), QUOTES)
    assert refused.value.temporary
