"""Publishes an engine's finals and live values, topic by topic; owns the sending, so that the cycle never waits.

What is to be sent, and when a topic has to be acquired anew, is decided by the writers; this is the task that asks the
bus. The cycle's side never waits: it fills buffers that are bounded in bytes over all topics.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

import structlog

from engine.acquisition import Acquisition
from engine.bus import Bus
from engine.errors import BusUnavailableError
from engine.metrics import EngineMetrics
from engine.packing import Correction
from engine.resumption import Closing
from engine.writer import HEARTBEAT_S, Writer
from wire.envelope import Batch, Envelope, Ownership, Publication

BUFFER_BYTES: Final = 256 * 1024 * 1024
CALL_BYTES: Final = 1024 * 1024
"""Finals of one call, about: neither Redis nor the engine's cycle gets a turn while they are dealt with."""
FLUSH_S: Final = 0.05
"""Live values wait so long behind those that were sent before."""

_Told = TypeVar("_Told")

log = structlog.get_logger("engine")


class Publisher:
    """The one writer of an engine's `topics`. `monotonic_s` is the clock of heartbeats and retries.

    `instruments`, the symbols by venue, are named before a topic is owned. Finals that wait take `buffer_bytes` at
    most: then all of them go, and every topic gets a new epoch.
    """

    def __init__(
        self,
        bus: Bus,
        topics: Collection[int],
        instruments: Mapping[str, Sequence[str]],
        monotonic_s: Callable[[], float],
        metrics: EngineMetrics,
        *,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        engine = secrets.token_hex(8)
        self.acquired = asyncio.Event()
        """Set once every topic was acquired."""
        self._bus = bus
        self._acquisition = Acquisition(bus, instruments, monotonic_s, metrics)
        self._monotonic_s = monotonic_s
        self._metrics = metrics
        self._buffer_bytes = buffer_bytes
        self._passed: dict[str, int] = {}
        """The newest boundary that was closed here, by ``VENUE@TIMEFRAME``."""
        self._resuming: dict[str, AbstractSet[int]] = {}
        """The topics on which a boundary has not come yet to where the owner before has left it."""
        self._writers = {topic: Writer(topic, engine, self._passed) for topic in topics}
        self._order = list(self._writers.values())
        """The order in which they are asked: the next call begins with the first that had no room in the last."""
        self._chance = secrets.SystemRandom()
        self._wake = asyncio.Event()
        self._flushed_s = float("-inf")
        self._trouble: str | None = None
        self._stopping = False

    @property
    def topics(self) -> AbstractSet[int]:
        """The topics that it writes."""
        return self._writers.keys()

    @property
    def owns_all(self) -> bool:
        """Whether every topic is this engine's."""
        return all(writer.owned for writer in self._order)

    @property
    def waiting_bytes(self) -> int:
        """The size of the finals that the bus has not confirmed."""
        return sum(writer.size_bytes for writer in self._order)

    def unreachable(self) -> str | None:
        """Why the bus cannot be reached; None while it answers."""
        return self._trouble

    # the cycle's side: never waits

    def start(self, topic: int, channel: str, boundary: str) -> None:
        """`channel`, whose bars close at `boundary` (``VENUE@TIMEFRAME``), is computed from now on."""
        self._writers[topic].start(channel, boundary)
        self._wake.set()

    def continues(self, topic: int, channel: str) -> bool:
        """Whether `channel` was computed by the owner before, and can go on without a break until `settle`."""
        return self._writers[topic].continues(channel)

    def settle(self) -> None:
        """All that is wanted was started: what the owner before computed besides is dropped."""
        for writer in self._order:
            writer.settle()
        self._wake.set()

    def drop(self, topic: int, channel: str) -> None:
        """`channel` is no longer computed."""
        self._writers[topic].drop(channel)
        self._wake.set()

    def begin(self, boundary: str, open_ms: int) -> None:
        """The bar that begins at `open_ms`, and those before it, are not this engine's to close."""
        self._passed.setdefault(boundary, open_ms)

    def close(self, closing: Closing, finals: Iterable[tuple[int, Publication]]) -> None:
        """A boundary with its finals, each with its topic; a topic on which it was published before leaves it out.

        Only after all topics were acquired.
        """
        by_topic = _by_topic(finals)
        boundary = closing.boundary
        resuming = self._resuming.get(boundary, self._writers.keys())
        for topic in by_topic.keys() | resuming:
            self._writers[topic].close(closing, tuple(by_topic.get(topic, ())))
        self._resuming[boundary] = {topic for topic in resuming if self._writers[topic].resumes(boundary)}
        self._passed[boundary] = closing.open_ms
        if by_topic:
            self._bound_buffer()
            self._wake.set()

    def correct(self, boundary: str, corrections: Iterable[tuple[int, Correction]]) -> None:
        """Closed bars of `boundary` are told anew, each with its topic."""
        for topic, told in _by_topic(corrections).items():
            self._writers[topic].correct(boundary, tuple(told))
        self._bound_buffer()
        self._wake.set()

    def offer(self, topic: int, live: Iterable[Publication], boundary: str, open_ms: int) -> None:
        """Live values: the newest of each channel is sent. `open_ms`: the bar with which this engine began."""
        self._writers[topic].offer(live, boundary, open_ms)
        self._wake.set()

    # the task's side

    def stop(self) -> None:
        """Let `run` end, once all that waits is in."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Own every topic, send what waits, and a heartbeat for a topic that was silent for a second; until `stop`.

        Raises OwnershipLostError when another engine has a topic that was ours. May be cancelled at any point.
        """
        while not (self._stopping and all(writer.idle for writer in self._order)):
            self._wake.clear()
            await self._acquire()
            if not await self._publish():
                await self._rest()

    async def release(self) -> None:
        """Give every topic up. May raise BusUnavailableError; their leases run out then."""
        under: dict[str, list[int]] = {}
        for topic, writer in self._writers.items():
            under.setdefault(writer.tenure.identity, []).append(topic)
        for identity, topics in under.items():
            await self._bus.release(topics, identity)

    # inside

    def _bound_buffer(self) -> None:
        size = self.waiting_bytes
        if size > self._buffer_bytes:
            log.error("buffer.overflowed", size_bytes=size)
            for writer in self._order:
                writer.overflow()
            size = 0
        self._metrics.buffered.set(size)

    async def _rest(self) -> None:
        """Until there is something new to do; at most a fraction of a heartbeat."""
        soon = any(writer.has_live or writer.failures for writer in self._order)
        rest_s = FLUSH_S if soon else HEARTBEAT_S / 4
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._wake.wait()

    async def _acquire(self) -> None:
        """Ask for the topics that are not ours."""
        now_s = self._monotonic_s()
        missing = [writer for writer in self._order if not writer.owned and now_s >= writer.retry_s]
        if not missing:
            return
        self._judge_bus(await self._acquisition.ask(missing))
        if self.owns_all and not self.acquired.is_set():
            self.acquired.set()
            log.info("topics.acquired", topics=len(self._order))

    async def _publish(self) -> bool:
        """Send what is due; False when nothing is."""
        batches = self._batches()
        if not batches:
            return False
        why = None
        answers: Mapping[int, Ownership] = {}
        try:
            answers = await self._bus.publish(batches)
        except BusUnavailableError as error:
            why = str(error)
        now_s, chance = self._monotonic_s(), self._chance.random()
        taken: list[Envelope] = []
        for topic, batch in batches.items():
            writer, stands = self._writers[topic], answers.get(topic)
            if stands is not None and writer.answered(stands, now_s):
                taken += batch.envelopes
            elif stands is None or writer.owned:
                writer.unanswered(now_s, chance)
            else:
                self._acquisition.lost()
        self._metrics.envelopes.inc(len(taken))
        self._metrics.published.inc(sum(len(envelope.finals) + len(envelope.live) for envelope in taken))
        self._judge_bus(why)
        return True

    def _batches(self) -> dict[int, Batch]:
        """What is due, by topic: as much as one call may carry."""
        now_s = self._monotonic_s()
        flush = now_s - self._flushed_s >= FLUSH_S
        room = CALL_BYTES
        batches: dict[int, Batch] = {}
        crowded = 0
        for place, writer in enumerate(self._order):
            batch = writer.batch(now_s, max(0, room), flush=flush, drain=self._stopping)
            if batch is None:
                continue
            batches[writer.topic] = batch
            if writer.failures:
                self._metrics.resent.inc()
            if room > 0:
                room -= writer.sent_bytes
                crowded = place + 1 if room <= 0 else 0
            if batch.envelopes[-1].live:
                self._flushed_s = now_s
        self._order = self._order[crowded:] + self._order[:crowded]
        return batches

    def _judge_bus(self, why: str | None) -> None:
        """Say so when the bus is lost, and when it is back."""
        failing = any(writer.failures for writer in self._order)
        if failing and self._trouble is None:
            log.warning("bus.lost", why=why)
        elif not failing and self._trouble is not None:
            log.info("bus.back")
        self._trouble = (why or self._trouble or "no answer") if failing else None


def _by_topic(told: Iterable[tuple[int, _Told]]) -> dict[int, list[_Told]]:
    by_topic: dict[int, list[_Told]] = {}
    for topic, each in told:
        by_topic.setdefault(topic, []).append(each)
    return by_topic
