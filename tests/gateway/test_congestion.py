"""A congested connection writes as much as its socket takes, and tells a reader that goes on from one that does not."""

import asyncio
from typing import Any

from gateway.config import OutboxConfig
from gateway.congestion import RESUME_BYTES, Backlog, Congestion
from gateway.outbox import Overdue
from tests.gateway.plain import Sink
from tests.gateway.test_hub import subscription

PATIENT = OutboxConfig(queue_bytes=4096, oldest_s=60.0, stalled_s=60.0)


class Transport(asyncio.Transport):
    """Takes `room` bytes at once, and keeps the rest; `shrink` is what it gets rid of whenever somebody looks."""

    def __init__(self, room: int = 0, kept: int = 0, shrink: int = 0) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.room = room
        self.kept = kept
        self.shrink = shrink

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        taken = min(self.room, len(data))
        self.room -= taken
        self.kept += len(data) - taken

    def get_write_buffer_size(self) -> int:
        self.kept = max(self.kept - self.shrink, min(self.kept, 1))
        return self.kept


class Bench:
    """A congestion, and why it was given up."""

    def __init__(self, transport: Transport, limits: OutboxConfig = PATIENT, *frames: bytes) -> None:
        self.given_up: asyncio.Future[Backlog] = asyncio.get_running_loop().create_future()
        self.congestion = Congestion(transport, frames, limits, self.give_up)

    def give_up(self, backlog: Backlog) -> None:
        self.congestion.end()
        self.given_up.set_result(backlog)

    async def reason(self) -> Overdue:
        async with asyncio.timeout(20):
            return (await self.given_up).overdue


async def test_it_writes_whole_frames_by_portions_until_the_socket_takes_no_more() -> None:
    transport = Transport(room=3 * RESUME_BYTES)
    frames = [bytes([n]) * 5000 for n in range(20)]
    bench = Bench(transport, OutboxConfig(), *frames)
    assert not bench.congestion.drain()
    assert [len(data) for data in transport.written] == [20_000] * 3
    transport.kept, transport.room = 0, 10**6
    assert bench.congestion.drain()
    assert b"".join(transport.written) == b"".join(frames)
    assert bench.congestion.end() == []


async def test_what_is_kept_at_its_end_comes_back_in_order() -> None:
    bench = Bench(Transport(kept=1), PATIENT, b"reply")
    sub = subscription(Sink())
    bench.congestion.hold(sub, b"live", final=False)
    bench.congestion.queue(b"push")
    assert bench.congestion.end() == [b"reply", b"push", b"live"]


async def test_a_reader_is_given_up_as_soon_as_more_waits_than_may() -> None:
    for final in (True, False):
        bench = Bench(Transport(kept=7), PATIENT, bytes(4000))
        bench.congestion.hold(subscription(Sink()), bytes(97), final=final)
        assert bench.given_up.done() == final
        bench.congestion.end()
    bench = Bench(Transport(kept=7), PATIENT, bytes(4000))
    bench.congestion.queue(bytes(97))
    backlog = bench.given_up.result()
    assert (backlog.overdue, backlog.queued_bytes, backlog.live_bytes) == (Overdue.BYTES, 4097, 0)
    assert backlog.unaccepted_bytes == 7
    assert backlog.figures()["overdue"] == "bytes"


async def test_more_than_may_wait_can_be_given_to_a_socket_that_takes_it() -> None:
    bench = Bench(Transport(room=10**6), PATIENT, *[bytes(1000)] * 10)
    assert bench.congestion.drain()
    bench.congestion.end()
    bench = Bench(Transport(room=1000), PATIENT, *[bytes(10_000)] * 4)
    assert not bench.congestion.drain()
    assert bench.given_up.result().queued_bytes == 20_000


async def test_a_reader_that_accepts_nothing_is_stalled() -> None:
    limits = OutboxConfig(queue_bytes=4096, oldest_s=0.2, stalled_s=0.05)
    assert await Bench(Transport(kept=10**6), limits).reason() is Overdue.STALLED


async def test_a_reader_that_accepts_a_little_at_a_time_is_not_stalled_but_may_be_late() -> None:
    limits = OutboxConfig(queue_bytes=4096, oldest_s=0.2, stalled_s=0.05)
    assert await Bench(Transport(kept=10**6, shrink=1), limits, b"final").reason() is Overdue.AGE


class Resuming(Transport):
    """Has just taken all that was written, whenever somebody looks, and was given more."""

    bench: "Bench"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self.written:
            self.kept = 0
            self.bench.congestion.drain()
        return default


async def test_a_reader_that_takes_as_much_as_it_is_given_is_not_stalled_but_may_be_late() -> None:
    limits = OutboxConfig(queue_bytes=10**8, oldest_s=0.2, stalled_s=0.05)
    transport = Resuming()
    transport.bench = Bench(transport, limits, *[bytes(RESUME_BYTES)] * 1000)
    transport.bench.congestion.drain()
    assert await transport.bench.reason() is Overdue.AGE
