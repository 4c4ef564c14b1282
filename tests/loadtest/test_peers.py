"""The peers: each that is installed does what it is told, and one that is not says why."""

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.errors import LoadTestError
from loadtest.peers.catalogue import KINDS, why_not
from loadtest.peers.peer import peer
from loadtest.peers.processor import cpu_ns
from loadtest.peers.publish import Publish, parse
from loadtest.swarm import Swarm
from loadtest.target import Habits

CLIENTS = 20
CENTRIFUGO = Path(os.environ["CENTRIFUGO"]) if "CENTRIFUGO" in os.environ else None


@pytest.mark.parametrize("name", KINDS)
async def test_a_peer_delivers_each_message_to_all(name: str) -> None:
    if (why := why_not(name, CENTRIFUGO)) is not None:
        pytest.skip(why)
    async with peer(name, core=0, centrifugo=CENTRIFUGO) as server, Swarm(sample_every=1) as swarm:
        connected = await swarm.connect(server.target, CLIENTS, server.channels)
        assert connected.failures == {}
        before_ns = cpu_ns(server.pid)

        await server.publish(Publish(3, interval_us=1_000, size_bytes=300))
        await server.publish(Publish(2, size_bytes=100))

        async with asyncio.timeout(10):
            await swarm.wait_for(5 * CLIENTS)
        assert os.sched_getaffinity(server.pid) == {0}
        sample = await swarm.measure()
        taken_ns = cpu_ns(server.pid) - before_ns
    assert sample.deliveries == 5 * CLIENTS
    assert sample.bytes >= CLIENTS * (3 * 300 + 2 * 100)
    assert taken_ns > 0
    assert sample.closed == 0


async def test_a_peer_goes_on_when_clients_have_left() -> None:
    async with peer("bare") as server, Swarm() as swarm:
        await swarm.connect(server.target, CLIENTS)
        await swarm.drop(5)

        await server.publish(Publish(1))
        await server.publish(Publish(3))

        async with asyncio.timeout(10):
            await swarm.wait_for(4 * (CLIENTS - 5))


async def test_the_bare_loop_waits_for_a_reader_that_is_behind() -> None:
    async with peer("bare") as server, Swarm() as swarm:
        await swarm.connect(server.target, 2, habits=Habits(receive_buffer_bytes=4096))

        await server.publish(Publish(100, size_bytes=60_000))

        async with asyncio.timeout(10):
            await swarm.wait_for(200)
        sample = await swarm.measure()
    assert sample.deliveries == 200
    assert sample.bytes >= 200 * (60_000 + 4)


async def test_a_peer_that_cannot_be_had_says_why() -> None:
    assert why_not("centrifugo") == "no program is named (--centrifugo)"
    with pytest.raises(LoadTestError, match="centrifugo: no program is named"):
        async with peer("centrifugo"):
            pass


@given(st.builds(Publish, st.integers(1, 10**6), st.integers(0, 10**6), st.integers(64, 60_000)), st.integers(0, 10**9))
def test_what_is_said_is_understood_and_every_message_has_its_size(publish: Publish, number: int) -> None:
    assert parse(publish.line()) == publish
    message = publish.message(number, 1_723_161_256_000_000)
    assert len(message) == publish.size_bytes
    assert json.loads(message)["sent"] == 1_723_161_256_000_000


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("", "expected publish COUNT"),
        ("publish", "expected publish COUNT"),
        ("stop 1", "expected publish COUNT"),
        ("publish 1 2 300 4", "expected publish COUNT"),
        ("publish many", "count"),
        ("publish 0", "count"),
        ("publish 1 -1", "interval_us"),
        ("publish 1 0 10", "size_bytes"),
    ],
)
def test_a_line_that_says_nothing_is_refused(line: str, part: str) -> None:
    with pytest.raises(ValueError, match=part) as error:
        parse(line)
    assert not isinstance(error.value, msgspec.ValidationError)


def test_what_is_not_said_is_the_default() -> None:
    assert parse("publish 7") == Publish(7, interval_us=0, size_bytes=256)
