"""Publishes an engine's finals and live values, topic by topic; owns the sending, so that the cycle never waits.

Finals go out once each, in order, all of one boundary in one step; a live value that waits is replaced by a newer one,
and removed by a final of its channel. One batch of a topic is in flight at a time.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from engine.bus import Bus, Owner
from engine.errors import OwnershipLostError
from engine.metrics import EngineMetrics
from wire.envelope import MAX_PUBLICATIONS, VERSION, Batch, Envelope, Ownership, Publication, encode
from wire.position import Offset

HEARTBEAT_S: Final = 1.0
ACQUIRE_RETRY_S: Final = 0.5


class _Waiting:
    """What waits to be published for one topic."""

    __slots__ = ("closed", "dropped", "finals", "live", "sent_s", "started")

    def __init__(self) -> None:
        self.finals: list[Publication] = []
        self.live: dict[str, bytes] = {}
        self.started: dict[str, None] = {}
        self.dropped: dict[str, None] = {}
        self.closed: dict[str, int] = {}
        self.sent_s = float("-inf")

    def anything(self) -> bool:
        return bool(self.finals or self.live or self.started or self.dropped)


class Publisher:
    """The one writer of an engine's topics. `monotonic_s` is the clock of heartbeats."""

    def __init__(
        self, bus: Bus, topics: Iterable[int], monotonic_s: Callable[[], float], metrics: EngineMetrics
    ) -> None:
        self._bus = bus
        self._identity = secrets.token_hex(8)
        self._monotonic_s = monotonic_s
        self._waiting = {topic: _Waiting() for topic in topics}
        self._owned: dict[int, Ownership] = {}
        self._wake = asyncio.Event()
        self._metrics = metrics
        self._stopping = False

    @property
    def owns_all(self) -> bool:
        """True once every topic is this engine's."""
        return len(self._owned) == len(self._waiting)

    # the cycle's side: never waits

    def start(self, topic: int, channel: str) -> None:
        """`channel` is computed from now on."""
        waiting = self._waiting[topic]
        waiting.dropped.pop(channel, None)
        waiting.started[channel] = None
        self._wake.set()

    def drop(self, topic: int, channel: str) -> None:
        """`channel` is no longer computed."""
        waiting = self._waiting[topic]
        waiting.started.pop(channel, None)
        waiting.live.pop(channel, None)
        waiting.dropped[channel] = None
        self._wake.set()

    def close(self, boundary: str, open_ms: int, finals: Iterable[tuple[int, Publication]]) -> None:
        """The finals of one boundary (``VENUE@TIMEFRAME`` and the open time of its bars), each with its topic."""
        for topic, publication in finals:
            waiting = self._waiting[topic]
            waiting.finals.append(publication)
            waiting.live.pop(publication.channel, None)
            self._wake.set()
        for waiting in self._waiting.values():
            waiting.closed[boundary] = open_ms

    def offer(self, topic: int, publication: Publication) -> None:
        """A live value: the newest of its channel is sent."""
        self._waiting[topic].live[publication.channel] = publication.payload
        self._wake.set()

    # the task's side

    async def acquire(self, owner: Owner) -> None:
        """Own every topic; waits for one that another engine owns until its lease has run out."""
        for topic in self._waiting:
            while (ownership := await self._bus.acquire(topic, self._identity, owner)) is None:  # noqa: ASYNC110
                await asyncio.sleep(ACQUIRE_RETRY_S)
            self._owned[topic] = ownership

    async def release(self) -> None:
        """Send what waits, and give every topic up."""
        for topic in tuple(self._owned):
            await self._send(topic)
            await self._bus.release(topic, self._identity)
            del self._owned[topic]

    def stop(self) -> None:
        """Let `run` end, once what is in flight has been answered."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Send what waits, and a heartbeat for a topic that was silent for a second; until `stop`.

        Raises OwnershipLostError when another engine has written to a topic of ours.
        """
        while not self._stopping:
            self._wake.clear()
            now_s = self._monotonic_s()
            for topic, waiting in self._waiting.items():
                if waiting.anything() or now_s - waiting.sent_s >= HEARTBEAT_S:
                    await self._send(topic)
            try:
                async with asyncio.timeout(HEARTBEAT_S / 4):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _send(self, topic: int) -> None:
        waiting, self._waiting[topic] = self._waiting[topic], _Waiting()
        batch, after = _batch(self._owned[topic], waiting)
        self._waiting[topic].sent_s = self._monotonic_s()
        stands = await self._bus.publish(topic, batch)
        if (stands.owner, stands.epoch, stands.next_offset, stands.number) != after:
            raise OwnershipLostError(f"topic {topic} now belongs to {stands.owner!r}, not to {self._identity!r}")
        self._owned[topic] = stands
        self._metrics.published.inc(len(waiting.finals) + len(waiting.live))
        self._metrics.envelopes.inc(len(batch.envelopes))


def _batch(expected: Ownership, waiting: _Waiting) -> tuple[Batch, tuple[str, str, int, int]]:
    """What to publish, and (owner, epoch, next offset, number) once it is in."""
    number, first = expected.number, expected.next_offset
    finals = list(waiting.finals)
    live = [Publication(channel, payload) for channel, payload in waiting.live.items()]
    envelopes: list[bytes] = []
    while finals or live or not envelopes:
        part, finals = tuple(finals[:MAX_PUBLICATIONS]), finals[MAX_PUBLICATIONS:]
        room = MAX_PUBLICATIONS - len(part) if not finals else 0
        newest, live = tuple(live[:room]), live[room:]
        number += 1
        envelopes.append(encode(Envelope(VERSION, expected.epoch, number, first, part, newest)))
        first = Offset(first + len(part))
    batch = Batch(
        expected,
        tuple(envelopes),
        started=tuple(waiting.started),
        dropped=tuple(waiting.dropped),
        closed=waiting.closed,
    )
    return batch, (expected.owner, expected.epoch, first, number)
