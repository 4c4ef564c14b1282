"""A round: whatever became pending in one step of the loop is flushed once for each connection, and counted once."""

import asyncio

from prometheus_client import CollectorRegistry

from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.options import Options
from gateway.round import Round
from gateway.subscription import Subscription
from tests.gateway.plain import Sink
from tests.gateway.test_hub import CHANNEL, opened, subscribed, subscription
from tests.waiting import until
from wire.envelope import Publication
from wire.position import Offset


class Connection(Sink):
    """A sink that notes what each of its flushes would write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[list[bytes]] = []

    def write(self, frame: bytes) -> None:
        self.written.append([frame])

    def flush(self) -> None:
        self.written.append(list(self.pending))
        super().flush()


class Congested(Sink):
    """A sink that is congested, and keeps what it is given."""

    def __init__(self, bench: "Bench") -> None:
        super().__init__()
        self.let_go: list[bytes] = []
        self.held: list[tuple[Subscription, bytes, bool]] = []
        bench.round.congest(self, self.hold)

    def write(self, frame: bytes) -> None:
        self.let_go.append(frame)

    def hold(self, subscription: Subscription, frame: bytes, *, final: bool) -> None:
        self.held.append((subscription, frame, final))


def publish(hub: Hub, payload: bytes, offset: int, number: int, *, final: bool) -> None:
    hub.publish(Publication(CHANNEL, payload), Offset(offset), number, final=final)


class Bench:
    """A hub, its round, and what is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hub = Hub()
        self.round = Round(self.hub, GatewayMetrics(self.registry))

    def publish(self, payload: bytes, offset: int) -> None:
        publish(self.hub, payload, offset, offset, final=True)
        self.round.schedule()

    def deliveries(self) -> float | None:
        return self.registry.get_sample_value("gateway_deliveries_total")


async def test_many_publications_of_one_step_are_one_write_for_each_connection() -> None:
    bench, one, two = Bench(), Connection(), Connection()
    subscribed(bench.hub, subscription(one))
    subscribed(bench.hub, subscription(two))
    for n in range(1, 4):
        bench.publish(b"%d" % n, n)
    assert one.written == []
    await asyncio.sleep(0)
    wanted = [[b"rsi 1 @1", b"rsi 2 @2", b"rsi 3 @3"]]
    assert one.written == two.written == wanted
    assert bench.deliveries() == 6


async def test_the_next_step_is_another_round_and_an_untouched_connection_is_left_alone() -> None:
    bench, reader, idle = Bench(), Connection(), Connection()
    subscribed(bench.hub, subscription(reader))
    for n in (1, 2):
        bench.publish(b"%d" % n, n)
        await asyncio.sleep(0)
    assert reader.written == [[b"rsi 1 @1"], [b"rsi 2 @2"]]
    assert idle.written == []


async def test_a_reply_and_a_publication_of_one_step_go_together_in_their_order() -> None:
    bench, sink = Bench(), Connection()
    subscribed(bench.hub, subscription(sink))
    sink.pending.append(b"reply")
    bench.round.touch(sink)
    bench.publish(b"1", 1)
    await asyncio.sleep(0)
    assert sink.written == [[b"reply", b"rsi 1 @1"]]


# sinks that are congested


async def test_publications_for_a_congested_sink_are_held_while_the_others_flow() -> None:
    bench, flowing = Bench(), Connection()
    congested = Congested(bench)
    subscribed(bench.hub, subscription(flowing))
    sub = subscribed(bench.hub, subscription(congested))
    bench.publish(b"1", 1)
    publish(bench.hub, b"2", 1, 2, final=False)
    await asyncio.sleep(0)
    assert flowing.written == [[b"rsi 1 @1", b"rsi 2 @1"]]
    assert congested.held == [(sub, b"rsi 1 @1", True), (sub, b"rsi 2 @1", False)]
    assert congested.pending == []
    assert bench.deliveries() == 4


async def test_a_congested_sink_is_given_each_of_its_subscriptions_under_its_own_name() -> None:
    bench = Bench()
    congested = Congested(bench)
    one = subscribed(bench.hub, subscription(congested, b"rsi"))
    two = subscribed(bench.hub, subscription(congested, b"rsi(14)"))
    bench.publish(b"1", 1)
    bench.hub.collect()
    assert congested.held == [(one, b"rsi 1 @1", True), (two, b"rsi(14) 1 @1", True)]


async def test_what_only_a_newcomer_gets_is_held_for_it_too() -> None:
    bench, old = Bench(), Connection()
    congested = Congested(bench)
    subscribed(bench.hub, subscription(old))
    publish(bench.hub, b"live", 0, 1, final=False)
    joiner = opened(bench.hub, subscription(congested), number=1)
    publish(bench.hub, b"final", 1, 2, final=True)
    publish(bench.hub, b"next", 1, 3, final=False)
    bench.hub.settle(joiner)
    late = subscribed(bench.hub, subscription(congested, b"late"))
    publish(bench.hub, b"next", 1, 4, final=False)
    sub = joiner.subscription
    bench.hub.collect()
    assert congested.held == [
        (sub, b"rsi final @1", True),
        (sub, b"rsi next @1", False),
        (late, b"late next @1", False),
    ]
    assert congested.pending == []


async def test_a_sink_that_is_released_flows_again_and_both_are_counted() -> None:
    bench = Bench()
    congested, other = Congested(bench), Congested(bench)
    subscribed(bench.hub, subscription(congested))
    assert bench.registry.get_sample_value("gateway_congested") == 2
    bench.round.release(congested)
    bench.round.release(congested)
    assert bench.registry.get_sample_value("gateway_congested") == 1
    bench.publish(b"1", 1)
    bench.hub.collect()
    assert (congested.held, congested.pending) == ([], [b"rsi 1 @1"])
    assert other.held == []


async def test_an_only_publication_is_held_for_the_congested_and_written_straight_to_the_others() -> None:
    bench, flowing = Bench(), Connection()
    congested = Congested(bench)
    subscribed(bench.hub, subscription(flowing))
    sub = subscribed(bench.hub, subscription(congested))
    bench.publish(b"1", 1)
    await asyncio.sleep(0)
    assert flowing.written == [[b"rsi 1 @1"]]
    assert congested.held == [(sub, b"rsi 1 @1", True)]
    assert congested.let_go == [b"rsi 1 @1"]


# what waits for its turn


async def test_a_live_value_that_waits_is_written_when_its_turn_has_come() -> None:
    bench, sink = Bench(), Connection()
    subscribed(bench.hub, subscription(sink, options=Options(max_rate=100)))
    for n in range(3):
        publish(bench.hub, b"%d" % n, 0, n + 1, final=False)
        bench.round.schedule()
    await until(lambda: not bench.hub.pacing)
    assert sink.written == [[b"rsi 0 @0"], [b"rsi 2 @0"]]
