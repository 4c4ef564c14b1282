"""A full client: it hears every final of a gateway, and finds what a server does wrong."""

import asyncio

import pytest

from loadtest.dialects import Centrifuge
from loadtest.errors import LoadTestError
from loadtest.target import Address, Target
from loadtest.verdict import Verdict
from loadtest.witness import Witness, witnesses
from tests.gateway.service import BARS, Service, running
from tests.loadtest.scripted import Scripted, passage, scripted
from tests.waiting import until

FINALS = range(1000, 6000, 1000)


def target_of(port: int) -> Target:
    return Target((Address("127.0.0.1", port),), Centrifuge(("all",)))


async def publish(service: Service, bar_ms: int) -> None:
    await service.engine.publish(BARS, {"t": bar_ms, "final": True}, final=True)


async def test_it_hears_every_final_once_even_if_it_is_cut_off_meanwhile() -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        await publish(service, 0)
        async with passage(service.port) as way, witnesses(target_of(way.port), 3, [BARS], 1) as those:
            for bar_ms in FINALS:
                await publish(service, bar_ms)
                if bar_ms == 3000:
                    await until(lambda: all(witness.has_heard([3000]) for witness in those))
                    way.cut()
            await until(lambda: all(witness.has_heard([5000]) for witness in those))

        assert [witness.verdict(FINALS) for witness in those] == [Verdict(5)] * 3
        assert all(witness.returned for witness in those)
        assert not any(witness.unrecovered for witness in those)


async def say_finals(server: Scripted, *bars_ms: int) -> None:
    for offset, bar_ms in enumerate(bars_ms, 6):
        said = b'{"push":{"channel":"x","pub":{"data":{"t":%d,"final":true},"offset":%d}}}' % (bar_ms, offset)
        server.say(said)


@pytest.mark.parametrize(
    ("bars_ms", "verdict"),
    [
        ([1000, 2000, 3000, 4000, 5000], Verdict(5)),
        ([1000, 3000, 4000, 5000], Verdict(4, lost=1)),
        ([1000, 2000, 2000, 3000, 4000, 5000], Verdict(6, repeated=1)),
        ([2000, 1000, 3000, 4000, 5000], Verdict(5, disordered=1)),
    ],
)
async def test_it_finds_a_planted_gap_a_repetition_and_a_disorder(bars_ms: list[int], verdict: Verdict) -> None:
    async with scripted() as server:
        witness = Witness(0, Target((server.address,), Centrifuge()), ["x"])
        task = asyncio.create_task(witness.run())
        await server.said()
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":5}}')
        await say_finals(server, *bars_ms)
        await until(lambda: witness.has_heard([5000]))
        task.cancel()
        await asyncio.wait([task])

    assert witness.verdict(FINALS) == verdict


async def test_a_value_that_was_published_before_is_not_judged() -> None:
    async with scripted() as server:
        witness = Witness(0, Target((server.address,), Centrifuge()), ["x"])
        task = asyncio.create_task(witness.run())
        await server.said()
        server.say(b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{"recoverable":true,"epoch":"e","offset":6}}')
        await say_finals(server, 500, *FINALS)
        await until(lambda: witness.has_heard([5000]))
        task.cancel()
        await asyncio.wait([task])

    assert witness.verdict(FINALS) == Verdict(5)


async def test_a_witness_that_is_refused_says_why() -> None:
    async with running() as service:
        target = Target((Address("127.0.0.1", service.port),), Centrifuge(("none",)))

        with pytest.raises(BaseExceptionGroup) as caught:
            async with witnesses(target, 1, [BARS], 1, within_s=0.5):
                pass
        (error,) = caught.value.exceptions
        assert isinstance(error, LoadTestError)
        assert "subscribe refused: 103" in str(error)
