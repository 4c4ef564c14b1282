"""Clients that are as slow as they can be: every wait of a connection has an end that nothing they send can move."""

import asyncio
from collections.abc import Iterator
from itertools import chain, cycle

from gateway.config import NO_LIMITS, OutboxConfig, TimingConfig
from tests.attack.attacker import (
    CLOSE,
    CONT,
    PING,
    Attacker,
    Ending,
    attacker,
    command,
    frame,
    handshake,
    known,
    opened,
    serves,
)
from tests.gateway.service import BARS, Service, running
from tests.gateway.slow_reader import slow_reader
from tests.waiting import until

SOON = TimingConfig(connect_s=0.2)
IMPATIENT = TimingConfig(connect_s=0.2, ping_s=1, pong_s=0.2)


def bytes_of(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


async def drip(peer: Attacker, pieces: Iterator[bytes]) -> Ending:
    """Send piece after piece until the socket has ended; how it did."""
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(peer.ending())
        for piece in pieces:
            if reading.done():
                break
            peer.send(piece)
            await asyncio.sleep(0.001)
    return reading.result()


async def gone(service: Service, count: int = 0) -> None:
    async with asyncio.timeout(20):
        await until(lambda: service.sample("gateway_connections") == count)


async def test_a_handshake_that_drips_is_cut_at_the_deadline_however_many_there_are() -> None:
    async with running(timing=SOON) as service:

        async def attack() -> None:
            async with attacker(service.port) as peer:
                assert (await drip(peer, chain(bytes_of(handshake()[:-2]), cycle(bytes_of(b"A: b\r\n"))))).code is None

        await asyncio.gather(*(attack() for _ in range(50)))
        await gone(service)
        await serves(service)


def drips() -> list[Iterator[bytes]]:
    """A message without an end, fragments with pings between them, and pings."""
    return [
        chain([frame(size=60_000)], cycle([b" "])),
        chain([frame(b"{", fin=False)], cycle([frame(opcode=PING)])),
        cycle([frame(b"still here", PING)]),
    ]


async def test_nothing_that_drips_puts_off_the_deadline_of_connect() -> None:
    async def attack(data: Iterator[bytes]) -> None:
        async with running(timing=SOON, limits=NO_LIMITS) as service, opened(service) as peer:
            assert (await drip(peer, data)).code == 3502

    await asyncio.gather(*(attack(data) for data in [*drips(), cycle([frame(b"{}")])]))


async def test_nothing_that_drips_stands_for_the_pong_that_is_due() -> None:
    async def attack(data: Iterator[bytes]) -> None:
        async with running(timing=IMPATIENT, limits=NO_LIMITS) as service, known(service) as peer:
            assert (await drip(peer, data)).code == 3012

    commands = frame(command(2, rpc={"method": "time"}))
    await asyncio.gather(*(attack(data) for data in [*drips(), cycle([commands])]))


async def test_a_close_that_is_not_answered_is_cut() -> None:
    async with running(timing=SOON) as service, opened(service) as peer:
        peer.send(frame(b"nonsense"))
        assert (await peer.frame())[0] == CLOSE
        await drip(peer, chain([frame(size=60_000)], cycle([b" "])))
        await gone(service)


async def test_a_client_that_stops_reading_and_sends_its_end_is_forgotten() -> None:
    limits = OutboxConfig(queue_bytes=64 * 1024, oldest_s=60.0, stalled_s=0.3)
    async with running(outbox=limits) as service:
        for farewell in (frame(b"\x03\xe8", CLOSE), frame(rsv=7), frame(b"nonsense"), frame(b"{", CONT)):
            async with slow_reader(service) as slow:
                await slow.ask({"id": 2, "subscribe": {"channel": BARS}})
                number = 0
                while not service.sample("gateway_congested"):
                    number += 1
                    await service.engine.publish(BARS, {"n": number, "fill": "x" * 8000}, final=False)
                    await asyncio.sleep(0)
                await slow.send_raw(farewell)
                await gone(service)
            assert service.sample("gateway_congested") == 0
            assert service.sample("gateway_subscriptions") == 0
        await serves(service)


async def test_a_page_that_is_not_read_is_forgotten() -> None:
    async with running(timing=SOON) as service:
        for sent in (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b"nonsense\r\n\r\n", handshake(connection="close")):
            async with attacker(service.port) as peer:
                peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
                peer.send(sent)
                await until(lambda: service.sample("gateway_connections") in {0, 1})
                await gone(service)
