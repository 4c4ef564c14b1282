"""The engine that is played for load tests: what it publishes is what it says that it has published."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from signal_service.bench.played import START_MS, STEP_MS, Go, PlayedEngine
from standins.broker import MemoryBroker
from tests.waiting import until
from wire.envelope import MAX_PUBLICATIONS, Envelope, HeldFinal
from wire.position import Offset

CHANNELS = tuple(f"bars:LOAD:S{i}@1s" for i in range(3))


class Ears:
    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def attached(self, topic: int) -> None: ...

    def heard(self, topic: int, envelope: Envelope) -> None:
        self.envelopes.append(envelope)


@asynccontextmanager
async def played() -> AsyncIterator[tuple[PlayedEngine, MemoryBroker, Ears]]:
    broker, ears = MemoryBroker(topics=1, monotonic_s=time.monotonic), Ears()
    engine = PlayedEngine(broker, 1)
    await engine.start()
    async with broker.listen(ears):
        yield engine, broker, ears


def bar_ms(final: HeldFinal) -> int:
    bar: int = msgspec.json.decode(final.publication.payload)["t"]
    return bar


async def finals(broker: MemoryBroker, channel: str) -> list[int]:
    held = await broker.read(0, Offset(0), [channel])
    return [bar_ms(final) for final in held.finals if final.publication.channel == channel]


async def test_finals_are_a_step_apart_on_every_channel_from_the_first_to_the_newest() -> None:
    async with played() as (engine, broker, _):
        await engine.compute(CHANNELS)
        await engine.play(Go(0, finals_every=2, rounds=7))

        told = engine.told()
        assert (told.rounds, told.publications) == (7, 21)
        assert (told.first_ms, told.newest_ms) == (START_MS + STEP_MS, START_MS + 3 * STEP_MS)
        for channel in CHANNELS:
            assert await finals(broker, channel) == list(range(told.first_ms, told.newest_ms + STEP_MS, STEP_MS))


async def test_to_compute_more_leaves_what_is_computed_as_it_is() -> None:
    async with played() as (engine, broker, _):
        await engine.compute(CHANNELS[:1])
        await engine.play(Go(0, finals_every=1, rounds=2))
        await engine.compute(CHANNELS)

        held = await broker.read(0, None, CHANNELS)
        assert [held.newest[channel].offset for channel in CHANNELS] == [2, 0, 0]
        assert [held.newest[channel].since for channel in CHANNELS] == [0, 2, 2]


async def test_more_than_an_envelope_takes_goes_into_several() -> None:
    many = tuple(f"bars:LOAD:S{i}@1s" for i in range(MAX_PUBLICATIONS + 1))
    async with played() as (engine, broker, ears):
        await engine.compute(many)
        await engine.play(Go(0, finals_every=1, rounds=1))
        held = await broker.read(0, Offset(0), many)
        await until(lambda: len(ears.envelopes) == 2)

        assert [len(envelope.finals) for envelope in ears.envelopes] == [MAX_PUBLICATIONS, 1]
        assert [final.offset for final in held.finals] == list(range(1, MAX_PUBLICATIONS + 2))


async def test_a_payload_is_as_long_as_wanted_and_says_when_it_was_sent() -> None:
    async with played() as (engine, broker, _):
        before_us = time.time_ns() // 1000
        await engine.compute(CHANNELS[:1])
        await engine.play(Go(0, finals_every=1, rounds=1, size_bytes=1000))

        held = await broker.read(0, Offset(0), CHANNELS[:1])
        payload = held.finals[0].publication.payload
        assert len(payload) == 1000
        assert before_us <= msgspec.json.decode(payload)["sent"] <= time.time_ns() // 1000
