"""The bus in memory: both halves of the contract of docs/bus.md in one process, for the demo and for tests.

What is published is heard in a later step of the event loop, as it would be over a socket. Losing the process loses
everything, and the next one has another epoch.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from wire.envelope import (
    Batch,
    Description,
    Envelope,
    Held,
    HeldFinal,
    NewestFinal,
    Ownership,
    decode,
)
from wire.position import Epoch, Offset

LEASE_S: Final = 5.0
DEMAND_S: Final = 30.0
HELD_S: Final = 600.0
HELD_BYTES: Final = 32 * 1024 * 1024


class Listener(Protocol):
    """The gateway's side: who is told of envelopes."""

    def heard(self, topic: int, envelope: Envelope) -> None:
        """An envelope came in."""

    def cut(self, topic: int) -> None:
        """Envelopes may have been lost."""


class Owner(Protocol):
    """The engine's side: who is told what is wanted, and asked about it."""

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """These channels are newly wanted, or read: repeat their live values."""

    def describe(self, topic: int, channel: str) -> Description:
        """What there is to say about `channel`."""


class _Topic:
    """What is held of one topic."""

    __slots__ = ("demand", "finals", "finals_bytes", "first_held", "lease_until_s", "newest", "owner", "ownership")

    def __init__(self) -> None:
        self.ownership = Ownership("", Epoch(""), Offset(1), 0, {})
        self.owner: Owner | None = None
        self.lease_until_s = float("-inf")
        self.finals: deque[tuple[float, HeldFinal]] = deque()
        self.finals_bytes = 0
        self.newest: dict[str, NewestFinal] = {}
        self.demand: dict[str, float] = {}

    @property
    def top(self) -> Offset:
        return Offset(self.ownership.next_offset - 1)


class MemoryBroker:
    """Every topic of one deployment. `monotonic_s` is its clock; not safe to use from several threads."""

    def __init__(self, *, topics: int, monotonic_s: Callable[[], float], held_bytes: int = HELD_BYTES) -> None:
        self._topics = [_Topic() for _ in range(topics)]
        self._monotonic_s = monotonic_s
        self._held_bytes = held_bytes
        self._instruments: dict[str, frozenset[str]] = {}
        self._listeners: list[Listener] = []
        self._inbox: deque[tuple[int, bytes, tuple[Listener, ...]]] = deque()
        self._to_lose = 0

    # the engine's half

    async def acquire(self, topic: int, identity: str, owner: Owner) -> Ownership | None:
        """Own `topic` for 5 s (every publish extends it) and hear what is wanted of it; None while another owns it."""
        held = self._topics[topic]
        now = self._monotonic_s()
        if held.lease_until_s > now and held.ownership.owner != identity:
            return None
        previous = held.ownership
        epoch = previous.epoch or Epoch(secrets.token_hex(8))
        held.ownership = Ownership(identity, epoch, previous.next_offset, previous.number, previous.closed)
        held.owner = owner
        held.lease_until_s = now + LEASE_S
        return held.ownership

    async def release(self, topic: int, identity: str) -> None:
        """Give `topic` up, if it is `identity`'s."""
        held = self._topics[topic]
        if held.ownership.owner == identity:
            held.owner = None
            held.lease_until_s = float("-inf")

    async def publish(self, topic: int, batch: Batch) -> Ownership:
        """Publish all of `batch` in one step if the topic stands where it expects, else nothing.

        Returns where the topic stands now: the caller sees whether its batch is in.
        """
        held = self._topics[topic]
        if held.ownership != batch.expected:
            return held.ownership
        for channel in batch.started:
            held.newest[channel] = NewestFinal(held.top, Offset(0), None)
        number, next_offset = held.ownership.number, held.ownership.next_offset
        for data in batch.envelopes:
            envelope = decode(data)
            self._hold(held, envelope)
            self._send(topic, data)
            number, next_offset = envelope.number, Offset(envelope.top + 1)
        for channel in batch.dropped:
            held.newest.pop(channel, None)
        before = held.ownership
        held.ownership = Ownership(before.owner, before.epoch, next_offset, number, {**before.closed, **batch.closed})
        held.lease_until_s = self._monotonic_s() + LEASE_S
        return held.ownership

    async def demand(self, topic: int) -> frozenset[str]:
        """The channels of `topic` that somebody wants now."""
        held = self._topics[topic]
        now = self._monotonic_s()
        held.demand = {channel: until for channel, until in held.demand.items() if until > now}
        return frozenset(held.demand)

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols that exist, by venue."""
        for venue, symbols in instruments.items():
            self._instruments[venue] = frozenset(symbols)

    # the gateway's half

    @contextmanager
    def listen(self, listener: Listener) -> Iterator[None]:
        """All topics are heard from entering to leaving."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        """What the topic holds, in one step; renews the demand of `channels` and rings `wanted`."""
        held = self._topics[topic]
        self._trim(held)
        finals = () if since is None else tuple(f for _, f in held.finals if f.offset > since)
        first_held = held.finals[0][1].offset if held.finals else held.ownership.next_offset
        newest = {c: held.newest[c] for c in channels if c in held.newest}
        await self.renew(topic, channels)
        if held.owner is not None:
            held.owner.wanted(topic, channels)
        return Held(held.ownership.epoch, held.ownership.number, held.top, first_held, finals, newest)

    async def renew(self, topic: int, channels: Sequence[str]) -> None:
        """Keep `channels` wanted for another 30 s; newly wanted ones are told to the owner."""
        held = self._topics[topic]
        now = self._monotonic_s()
        new = [channel for channel in channels if held.demand.get(channel, now) <= now]
        held.demand.update(dict.fromkeys(channels, now + DEMAND_S))
        if new and held.owner is not None:
            held.owner.wanted(topic, new)

    async def describe(self, topic: int, channel: str) -> Description:
        """What the owner says of `channel`; waits for ever when there is none."""
        held = self._topics[topic]
        while held.owner is None:
            await asyncio.Event().wait()
        return held.owner.describe(topic, channel)

    async def instruments(self, venue: str) -> frozenset[str] | None:
        """The symbols of `venue`; None when nobody has named it."""
        return self._instruments.get(venue)

    async def unowned(self) -> bool:
        """True while any topic has no owner."""
        now = self._monotonic_s()
        return any(held.lease_until_s <= now for held in self._topics)

    # what a test may do to it

    def lose_next_envelope(self) -> None:
        """The next envelope is held, but nobody hears it: a hole, as a broken connection leaves one."""
        self._to_lose += 1

    # inside

    def _hold(self, held: _Topic, envelope: Envelope) -> None:
        now = self._monotonic_s()
        for i, publication in enumerate(envelope.finals):
            final = HeldFinal(Offset(envelope.first_offset + i), publication)
            held.finals.append((now, final))
            held.finals_bytes += len(publication.payload)
            newest = held.newest.get(publication.channel)
            since = envelope.first_offset - 1 if newest is None else newest.since
            held.newest[publication.channel] = NewestFinal(Offset(since), final.offset, publication.payload)
        self._trim(held)

    def _trim(self, held: _Topic) -> None:
        oldest = self._monotonic_s() - HELD_S
        while held.finals and (held.finals[0][0] < oldest or held.finals_bytes > self._held_bytes):
            _, final = held.finals.popleft()
            held.finals_bytes -= len(final.publication.payload)

    def _send(self, topic: int, data: bytes) -> None:
        if self._to_lose:
            self._to_lose -= 1
            return
        if not self._inbox:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._inbox.append((topic, data, tuple(self._listeners)))

    def _deliver(self) -> None:
        inbox, self._inbox = self._inbox, deque()
        for topic, data, listeners in inbox:
            envelope = decode(data)
            for listener in listeners:
                if listener in self._listeners:
                    listener.heard(topic, envelope)
