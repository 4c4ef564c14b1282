"""A swarm against a server that does what the test says: what is counted is what was sent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from loadtest.dialects import Centrifuge, Plain
from loadtest.errors import LoadTestError
from loadtest.reports import Sample
from loadtest.swarm import Swarm
from loadtest.target import Address, Backoff, Habits, Target
from tests.loadtest.scripted import scripted
from tests.waiting import until

AT_ONCE = Backoff(0.0, 0.0)


class Server:
    """Holds who is connected; refuses who comes while `refuses`."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.refuses = False
        self.port = 0

    @property
    def target(self) -> Target:
        return Target((Address("127.0.0.1", self.port),), Plain())

    async def send(self, text: str) -> None:
        for connection in self.connections:
            await connection.send(text)

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full") if self.refuses else None

    async def hold(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        await connection.wait_closed()
        self.connections.remove(connection)


@asynccontextmanager
async def plain_server() -> AsyncIterator[Server]:
    server = Server()
    options = {"compression": None, "ping_interval": None, "process_request": server.judge}
    async with serve(server.hold, "127.0.0.1", 0, close_timeout=1, **options) as listening:  # type: ignore[arg-type]
        server.port = listening.sockets[0].getsockname()[1]
        yield server


async def looked(swarm: Swarm, **wanted: int) -> Sample:
    """What the swarm says once it says what is wanted."""
    while True:
        sample = await swarm.look()
        if all(getattr(sample, name) == value for name, value in wanted.items()):
            return sample
        await asyncio.sleep(0.005)


async def test_every_delivery_is_counted_with_its_bytes_and_its_latency() -> None:
    async with plain_server() as server, Swarm(processes=2, sample_every=1) as swarm:
        connected = await swarm.connect(server.target, 20)
        assert (connected.opened, connected.failed) == (20, 0)
        await swarm.measure()

        sent_us = time.time_ns() // 1000 - 250_000
        for number in range(5):
            await server.send(f'{{"n":{number},"sent":{sent_us}}}')
        await swarm.wait_for(100)

        sample = await swarm.measure()
        assert sample.deliveries == 100
        assert sample.bytes == 100 * len(f'{{"n":0,"sent":{sent_us}}}') + 200
        assert sample.histogram.count > 0
        assert 250 <= sample.histogram.percentile_us(0) / 1000 < 10_000
        assert (await swarm.measure()).deliveries == 0


async def test_what_comes_in_pieces_is_counted_once_it_is_whole() -> None:
    frame = b"\x81\x7e\x01\x00" + b"x" * 256
    async with scripted() as server, Swarm() as swarm:
        await swarm.connect(Target((server.address,), Plain()), 1)
        (client,) = server.clients
        stream = frame * 3
        for start in range(0, len(stream), 100):
            client.write(stream[start : start + 100])
            await client.drain()
            await looked(swarm, deliveries=(start + 100) // len(frame))
        await swarm.wait_for(3)


async def test_who_is_stalled_reads_nothing_and_who_is_dropped_is_gone_until_called_back() -> None:
    async with plain_server() as server, Swarm() as swarm:
        await swarm.connect(server.target, 10)
        await swarm.measure()
        assert await swarm.stall(3) == 3
        await server.send("a")
        await looked(swarm, deliveries=7, open=7, stalled=3)

        assert await swarm.drop(2) == 2
        assert await swarm.drop(9, stalled=True) == 3
        await until(lambda: len(server.connections) == 5)
        await looked(swarm, open=5, stalled=0, away=5, closed=0)

        connected = await swarm.reconnect()
        assert connected.opened == 5
        await looked(swarm, open=10, away=0)


async def test_how_connections_end_is_told_by_code() -> None:
    async with plain_server() as server, Swarm() as swarm:
        await swarm.connect(server.target, 3)
        first, second, third = server.connections
        await first.close(3001, "bye")
        await second.close(3008, "slow")
        third.transport.abort()

        sample = await looked(swarm, closed=3)
        assert sample.by_code == {3001: 1, 3008: 1, 0: 1}


async def test_clients_with_a_backoff_come_back_but_not_from_what_is_final() -> None:
    async with plain_server() as server, Swarm() as swarm:
        await swarm.connect(server.target, 2, habits=Habits(AT_ONCE))
        first, second = server.connections
        await first.close(3001, "bye")
        await second.close(3500, "never")

        await looked(swarm, closed=2, open=1, away=1)
        assert sum((await swarm.measure()).handshakes.values()) == 3


async def test_refused_handshakes_are_failures_with_their_status() -> None:
    async with plain_server() as server, Swarm() as swarm:
        server.refuses = True
        connected = await swarm.connect(server.target, 4)

        assert (connected.opened, connected.failures) == (0, {"handshake refused: 503": 4})
        assert (await swarm.look()).by_code == {503: 4}


async def test_a_server_that_is_not_there_is_a_failure(free_port: int) -> None:
    async with Swarm() as swarm:
        connected = await swarm.connect(Target((Address("127.0.0.1", free_port),), Plain()), 2)

        assert connected.failures == {"no connection: Connection refused": 2}


async def test_a_client_is_a_subscriber_when_all_is_answered_and_answers_pings() -> None:
    async with scripted() as server, Swarm() as swarm:
        connecting = asyncio.create_task(swarm.connect(Target((server.address,), Centrifuge()), 1, ("x", "y"), 2))
        said = await server.said()
        assert [line for line in said.splitlines() if b'"channel":"y"' in line]
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{}}')
        await looked(swarm, opening=1)
        server.say(b'{"id":3,"subscribe":{}}')
        assert (await connecting).opened == 1

        server.say(b"{}")
        assert await server.said() == b"{}"


async def test_a_refused_subscribe_is_a_failure() -> None:
    async with scripted() as server, Swarm() as swarm:
        connecting = asyncio.create_task(swarm.connect(Target((server.address,), Centrifuge()), 1, ("x",)))
        await server.said()
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"error":{"code":103,"message":"permission denied"}}')

        assert (await connecting).failures == {"subscribe refused: 103 permission denied": 1}


async def test_who_judges_recovers_by_position_and_finds_what_is_lost_and_what_comes_again() -> None:
    async with scripted() as server, Swarm() as swarm:
        habits = Habits(AT_ONCE, step_ms=1000)
        connecting = asyncio.create_task(swarm.connect(Target((server.address,), Centrifuge()), 1, ("x",), 1, habits))
        await server.said()
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":5}}')
        await connecting
        server.say(final(6, 1000), final(7, 2000))
        await swarm.wait_for(2)

        await swarm.drop(1)
        said = await server.said()
        assert b'"recover":true,"epoch":"e","offset":7' in said
        missed = b'{"data":{"t":3000,"final":true},"offset":8}'
        server.say(
            b'{"id":1,"connect":{}}',
            b'{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":7,"recovered":true,"publications":[%b]}}'
            % missed,
            final(9, 4000),
            final(9, 4000),
            final(12, 7000),
        )
        await swarm.wait_for(5)

        sample = await swarm.measure()
        assert (sample.finals, sample.lost, sample.repeated, sample.unrecovered) == (6, 2, 1, 0)


async def test_who_loses_a_position_subscribes_again_at_once() -> None:
    async with scripted() as server, Swarm() as swarm:
        habits = Habits(step_ms=1000)
        connecting = asyncio.create_task(swarm.connect(Target((server.address,), Centrifuge()), 1, ("x",), 1, habits))
        await server.said()
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":5}}')
        await connecting
        server.say(b'{"push":{"channel":"x","unsubscribe":{"code":2500,"reason":"r"}}}')

        assert b'"channel":"x","recover":true,"epoch":"e","offset":5' in await server.said()
        assert (await swarm.measure()).evicted == 1


async def test_more_clients_than_a_process_can_hold_are_refused() -> None:
    async with Swarm() as swarm:
        with pytest.raises(LoadTestError, match="expected at most 19000 clients a process"):
            await swarm.connect(Target((Address("127.0.0.1", 1),), Plain()), 19_001)


async def test_a_process_that_dies_is_told_of() -> None:
    async with Swarm() as swarm:
        (member,) = swarm._members
        member[0].kill()

        with pytest.raises(LoadTestError, match="swarm-0 has ended"):
            await swarm.measure()


def final(offset: int, bar_ms: int) -> bytes:
    return b'{"push":{"channel":"x","pub":{"data":{"t":%d,"final":true},"offset":%d}}}' % (bar_ms, offset)
