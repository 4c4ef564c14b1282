"""Clients that read slowly, or not at all: what they get, what they cost, and how they are dropped."""

import asyncio
import gc
import json
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.config import NO_LIMITS, OutboxConfig, TimingConfig
from gateway.connection import MAX_PUSHED_BYTES, Connection
from gateway.socket_options import unaccepted_bytes
from tests.gateway.service import BARS, RSI, RSI_CANONICAL, Peer, Service, running
from tests.gateway.slow_reader import slow_reader
from tests.waiting import until

PATIENT = OutboxConfig(queue_bytes=64 * 1024, oldest_s=60.0, stalled_s=60.0)
TRADES, STATUS = "trades:DEMO:S01", "status:DEMO"
ALERT, SCREEN = "alerts:DEMO:S01@1m:close>open", "screens:DEMO@1m:close>open"
SIZE = 2000
"""Bytes of a publication, about."""


def serving(limits: OutboxConfig) -> AbstractAsyncContextManager[Service]:
    """A gateway that sends no pings while a test lasts, and lets a client send what it likes."""
    return running(timing=TimingConfig(ping_s=3600), outbox=limits, limits=NO_LIMITS)


def value(number: int) -> dict[str, Any]:
    return {"n": number, "fill": "x" * (SIZE - 60)}


def subscribe(channel: str = BARS) -> dict[str, Any]:
    return {"id": 2 + (channel != BARS), "subscribe": {"channel": channel}}


def numbers(messages: list[dict[str, Any]], channel: str = BARS) -> list[int]:
    """What was published on a channel, as it came."""
    pushes = [m["push"] for m in messages if "push" in m and m["push"]["channel"] == channel]
    return [push["pub"]["data"]["n"] for push in pushes if "pub" in push]


def slow_consumers(service: Service) -> dict[str, float]:
    samples = {cause: service.sample("gateway_slow_consumers_total", {"cause": cause}) for cause in CAUSES}
    return {cause: count for cause, count in samples.items() if count}


CAUSES = ("bytes", "age", "stalled")


def congested(service: Service) -> bool:
    return service.sample("gateway_congested") == 1


async def publish(service: Service, *numbers: int, final: bool, channel: str = BARS) -> None:
    """Publish, each in a round of its own."""
    for number in numbers:
        await service.engine.publish(channel, value(number), final=final)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def congest(service: Service, *, final: bool) -> int:
    """Publish 1, 2, 3, .. until somebody is congested; the last number."""
    number = 0
    while not congested(service):
        number += 1
        await publish(service, number, final=final)
        assert number < 2000
    return number


async def settled(peer: Peer) -> None:
    """Wait until the gateway has taken all that was sent to it before."""
    for _ in range(2):
        assert "rpc" in await peer.ask({"id": 77, "rpc": {"method": "time"}})


async def dropped(service: Service) -> None:
    """Wait until a slow consumer is gone."""
    await until(lambda: bool(slow_consumers(service)))
    await until(lambda: service.sample("gateway_closes_total", {"code": "3008"}) == 1)


# who is dropped


async def test_a_client_that_stops_reading_is_dropped_while_another_gets_every_publication() -> None:
    limits = OutboxConfig(queue_bytes=64 * 1024, oldest_s=60.0, stalled_s=0.4)
    with capture_logs() as logs:
        async with serving(limits) as service, service.connected() as good, slow_reader(service) as bad:
            await good.ask(subscribe())
            await bad.ask(subscribe())
            number = 0
            while service.sample("gateway_closes_total", {"code": "3008"}) is None:
                number += 1
                await publish(service, number, final=False)
                assert (await good.receive())["push"]["pub"]["data"]["n"] == number
            assert number * SIZE > limits.queue_bytes
            assert slow_consumers(service) == {"stalled": 1}
            assert service.sample("gateway_connections") == 1
            assert service.sample("gateway_congested") == 0
    (line,) = [line for line in logs if line["event"] == "connection.closed" and line["code"] == 3008]
    assert (line["cause"], line["overdue"]) == ("slow_consumer", "stalled")
    assert line["queued_bytes"] == 0
    assert SIZE - 200 < line["live_bytes"] < SIZE + 200
    assert line["unaccepted_bytes"] > 0
    assert line["held_ms"] >= 400


async def test_finals_that_outgrow_the_queue_drop_a_client_at_once() -> None:
    with capture_logs() as logs:
        async with serving(PATIENT) as service, slow_reader(service) as bad:
            await bad.ask(subscribe())
            number = await congest(service, final=True)
            while not slow_consumers(service):
                number += 1
                await publish(service, number, final=True)
                assert number < 2000
            assert slow_consumers(service) == {"bytes": 1}
            await dropped(service)
    (line,) = [line for line in logs if line["event"] == "connection.closed" and line["code"] == 3008]
    assert (line["cause"], line["overdue"]) == ("slow_consumer", "bytes")
    assert PATIENT.queue_bytes < line["queued_bytes"] < PATIENT.queue_bytes + 2 * SIZE


async def test_a_final_that_waits_for_too_long_drops_a_client_that_reads_too_slowly() -> None:
    limits = OutboxConfig(queue_bytes=64 * 1024, oldest_s=0.3, stalled_s=60.0)
    async with serving(limits) as service, slow_reader(service) as bad:
        await bad.ask(subscribe())
        await congest(service, final=False)
        await publish(service, 1, final=True)
        await dropped(service)
        assert slow_consumers(service) == {"age": 1}


async def test_a_slow_consumer_that_still_reads_is_told_3008() -> None:
    async with serving(PATIENT) as service, slow_reader(service) as bad:
        await bad.ask(subscribe())

        async def read_on() -> None:
            while not bad.ended:
                await bad.read()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read_on())
            await asyncio.sleep(0)
            for number in range(1, 301):
                await service.engine.publish(BARS, value(number), final=True)
        assert bad.close_code == 3008
        got = numbers(bad.messages)
        assert got == list(range(1, len(got) + 1))
        assert slow_consumers(service) == {"bytes": 1}


# who is not


@pytest.mark.parametrize(("moving", "kept"), [(BARS, RSI_CANONICAL), (TRADES, ALERT), (STATUS, SCREEN)])
async def test_a_client_that_reads_slowly_but_steadily_gets_all_finals_in_order_and_the_newest_live_values(
    moving: str, kept: str
) -> None:
    async with serving(PATIENT) as service, slow_reader(service) as slow:
        await slow.ask({"id": 2, "subscribe": {"channel": moving}})
        await slow.ask({"id": 3, "subscribe": {"channel": kept}})
        for number in range(1, 401):
            await publish(service, number, final=False, channel=moving)
            if number % 10 == 0:
                await publish(service, number, final=True, channel=kept)
            if congested(service) and number % 4 == 0:
                await slow.read(SIZE)
        while 400 not in numbers(slow.messages, moving) or 400 not in numbers(slow.messages, kept):
            await slow.read()
        assert numbers(slow.messages, kept) == list(range(10, 401, 10))
        live = numbers(slow.messages, moving)
        assert live == sorted(set(live))
        assert live[-1] == 400
        assert len(live) < 350
        assert slow_consumers(service) == {}
        await until(lambda: not congested(service))


async def test_a_client_that_reads_again_in_time_gets_everything_that_is_due_and_flows_again() -> None:
    async with serving(PATIENT) as service, slow_reader(service) as slow:
        await slow.ask(subscribe())
        await slow.ask(subscribe(RSI))
        last = await congest(service, final=True)
        await publish(service, 1, 2, 3, final=False, channel=RSI_CANONICAL)
        await publish(service, *range(last + 1, last + 11), final=True)
        while 3 not in numbers(slow.messages, RSI):
            await slow.read()
        assert numbers(slow.messages) == list(range(1, last + 11))
        assert numbers(slow.messages, RSI) == [3]
        await until(lambda: not congested(service))
        await publish(service, 4, final=False, channel=RSI_CANONICAL)
        await publish(service, 5, final=False, channel=RSI_CANONICAL)
        while 5 not in numbers(slow.messages, RSI):
            await slow.read()
        assert numbers(slow.messages, RSI) == [3, 4, 5]
        assert slow_consumers(service) == {}


async def test_a_round_that_is_larger_than_the_queue_reaches_a_client_that_reads() -> None:
    limits = OutboxConfig(queue_bytes=4096)
    async with serving(limits) as service, service.connected() as peer:
        await peer.ask(subscribe())
        for number in range(1, 11):
            await service.engine.publish(BARS, value(number), final=True)
        got = [(await peer.receive())["push"]["pub"]["data"]["n"] for _ in range(10)]
        assert got == list(range(1, 11))
        assert "rpc" in await peer.ask({"id": 9, "rpc": {"method": "time"}})


# order while it is congested


async def test_commands_wait_until_their_client_reads_and_are_answered_behind_what_waited() -> None:
    async with serving(PATIENT) as service, service.connected() as other, slow_reader(service) as slow:
        await slow.ask(subscribe())
        last = await congest(service, final=True)
        await slow.send({"id": 8, "unsubscribe": {"channel": BARS}}, {"id": 9, "subscribe": {"channel": RSI}})
        await settled(other)
        await publish(service, last + 1, final=True)
        replies: list[int] = []
        while len(replies) < 2:
            message = await slow.receive()
            if "id" in message:
                replies.append(message["id"])
                assert numbers(slow.messages) == list(range(1, last + 2))
        assert replies == [8, 9]
        await publish(service, last + 2, final=True)
        await publish(service, 1, final=True, channel=RSI_CANONICAL)
        while not numbers(slow.messages, RSI):
            await slow.read()
        assert last + 2 not in numbers(slow.messages)


async def test_commands_whose_answers_are_more_than_may_wait_are_answered_as_their_client_reads() -> None:
    limits = OutboxConfig(queue_bytes=MAX_PUSHED_BYTES + 1000, oldest_s=60.0, stalled_s=60.0)
    async with serving(limits) as service, slow_reader(service) as slow:
        await slow.send(*({"id": n, "subscribe": {"channel": "x"}} for n in range(2, 1502)))
        replies = [await slow.receive() for _ in range(1500)]
        assert [reply["id"] for reply in replies] == list(range(2, 1502))
        assert sum(len(json.dumps(reply)) for reply in replies) > limits.queue_bytes + 64 * 1024
        assert slow_consumers(service) == {}


async def test_a_client_that_sends_commands_without_reading_is_closed_3008() -> None:
    with capture_logs() as logs:
        async with serving(PATIENT) as service, slow_reader(service) as slow:
            await slow.ask(subscribe())
            await congest(service, final=True)
            for _ in range(3):
                await slow.send(*({"id": n, "rpc": {"method": "time"}} for n in range(3, 503)))
            await until(lambda: service.sample("gateway_closes_total", {"code": "3008"}) == 1)
            assert slow_consumers(service) == {}
    (line,) = [line for line in logs if line["event"] == "connection.closed" and line["code"] == 3008]
    assert "too many commands wait" in line["cause"]


async def test_nothing_of_a_channel_follows_its_end_and_what_waited_of_it_is_forgotten() -> None:
    async with serving(PATIENT) as service, slow_reader(service) as slow:
        await slow.ask(subscribe())
        last = await congest(service, final=True)
        await publish(service, last + 1, last + 2, final=True)
        await publish(service, last + 3, final=False)
        await service.engine.begin_epoch(BARS)
        await publish(service, last + 4, final=True)
        while "unsubscribe" not in slow.messages[-1].get("push", {}):
            await slow.read()
        assert slow.messages[-1]["push"]["unsubscribe"]["code"] == 2500
        got = numbers(slow.messages)
        assert got == list(range(1, len(got) + 1))
        assert len(got) <= last
        reply = await slow.ask({"id": 5, "subscribe": {"channel": BARS}})
        assert "subscribe" in reply
        assert (await slow.receive())["push"]["pub"]["data"]["n"] == last + 4


async def test_many_pings_of_a_client_that_does_not_read_are_answered_by_one_pong() -> None:
    async with serving(PATIENT) as service, service.connected() as other, slow_reader(service) as slow:
        await slow.ask(subscribe())
        last = await congest(service, final=True)
        for number in range(50):
            await slow.ping(b"%d" % number)
        await settled(other)
        while not slow.pongs:
            await slow.read()
        await slow.ask({"id": 9, "rpc": {"method": "time"}})
        assert slow.pongs == [b"49"]
        assert numbers(slow.messages) == list(range(1, last + 1))


async def test_a_client_that_leaves_while_it_is_congested_leaves_nothing_behind() -> None:
    async with serving(PATIENT) as service:
        async with slow_reader(service) as slow:
            await slow.ask(subscribe())
            await congest(service, final=True)
        await until(lambda: service.sample("gateway_connections") == 0)
        assert service.sample("gateway_congested") == 0
        assert service.sample("gateway_subscriptions") == 0
        await publish(service, 1, final=True)
        assert slow_consumers(service) == {}


async def test_what_waits_is_written_before_the_gateway_closes_a_client() -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(PATIENT))
        slow = await stack.enter_async_context(slow_reader(service))
        await slow.ask(subscribe())
        last = await congest(service, final=True)
        await publish(service, last + 1, last + 2, final=True)
        await slow.send_raw(bytes((0x81, 0x80, 0, 0, 0, 0)))  # an empty message is none of the protocol's
        while not slow.ended:
            await slow.read()
        assert slow.close_code == 3501
        assert numbers(slow.messages) == list(range(1, last + 3))


# what it costs


SUBSCRIPTIONS = 200
LIVE_BYTES = 1024
BOUND_BYTES = 1024 * 1024
"""What docs/operations.md says of one connection with 200 subscriptions, each of whose publications has 1 KiB."""


def names() -> list[str]:
    return [f"signals:DEMO:S01@1m:sma(close,{length})" for length in range(2, 2 + SUBSCRIPTIONS)]


def connections() -> list[Connection]:
    return [each for each in gc.get_objects() if type(each) is Connection and each.closed_with is None]


def held_bytes(connection: Connection) -> int:
    """All that the gateway and its kernel keep for one reader."""
    assert connection._transport is not None
    size = unaccepted_bytes(connection._transport) + connection._executor._waiting_bytes
    size += sum(len(frame) for frame in connection.pending)
    if connection._congestion is not None:
        size += connection._congestion._outbox.queued_bytes + connection._congestion._outbox.live_bytes
    return size


async def sweep(service: Service, number: int) -> None:
    """Publish a live value on every channel, all in one round."""
    for name in names():
        await service.engine.publish(name, {"n": number, "fill": "x" * (LIVE_BYTES - 120)}, final=False)
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_is_kept_for_the_worst_client_stays_in_the_sum_that_is_stated() -> None:
    limits = OutboxConfig(oldest_s=60.0, stalled_s=60.0)
    worst = 0
    async with serving(limits) as service, service.connected() as other, slow_reader(service) as bad:
        for number, name in enumerate(names()):
            await bad.ask({"id": 2 + number, "subscribe": {"channel": name}})
        connection = max(connections(), key=lambda each: len(each._session.subscriptions))
        for number in range(10, 20):
            await sweep(service, number)
            worst = max(worst, held_bytes(connection))
        await bad.send(*({"id": n, "rpc": {"method": "time"}} for n in range(1000, 2000)))
        await bad.send_raw(bytes((0x81, 0xFE, 0xEA, 0x60, 0, 0, 0, 0)) + b"x" * 50_000)  # of a message of 60,000
        await settled(other)
        number = 0
        while not slow_consumers(service):
            worst = max(worst, held_bytes(connection) + 50_000)
            number += 1
            await publish(service, number, final=True, channel=names()[0])
            assert number < 2000
        assert BOUND_BYTES / 2 < worst < BOUND_BYTES
        await dropped(service)
        await until(lambda: held_bytes(connection) == 0)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell")
async def test_the_process_does_not_grow_by_what_stalled_clients_do_not_read() -> None:
    limits = OutboxConfig(oldest_s=60.0, stalled_s=60.0)
    clients, rounds, size = 20, 200, 50_000
    async with serving(limits) as service, AsyncExitStack() as stack:
        for _ in range(clients):
            bad = await stack.enter_async_context(slow_reader(service))
            await bad.ask(subscribe())
        before = resident_bytes()
        for number in range(rounds):
            await service.engine.publish(BARS, {"n": number, "fill": "x" * size}, final=False)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert service.sample("gateway_congested") == clients
        grown = resident_bytes() - before
    assert clients * rounds * size > 5 * clients * BOUND_BYTES
    assert grown < clients * BOUND_BYTES
