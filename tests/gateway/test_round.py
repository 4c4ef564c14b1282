"""A round: whatever became pending in one step of the loop is flushed once for each connection, and counted once."""

import asyncio

from prometheus_client import CollectorRegistry

from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.round import Round
from tests.gateway.test_hub import Sink, frame, publish, subscribed, subscription


class Connection(Sink):
    """A sink that notes what each of its flushes would write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[list[bytes]] = []

    def flush(self) -> None:
        self.written.append(list(self.pending))
        super().flush()


class Bench:
    """A hub, its round, and what is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.hub = Hub(frame)
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
