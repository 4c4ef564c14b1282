"""The bus in memory: both halves of the contract of docs/bus.md in one process, for the demo and for tests.

What is published is heard in a later step of the event loop, as it would be over a socket. Losing the process loses
everything, and the next one has another epoch.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from wire.envelope import (
    Acquired,
    Batch,
    Chart,
    Description,
    Envelope,
    Held,
    HeldFinal,
    NewestFinal,
    Ownership,
    decode,
    encode,
)
from wire.position import Epoch, Offset
from wire.revocation import Place, Revocation, Revoked

log = structlog.get_logger("broker")

LEASE_S: Final = 5.0
DEMAND_S: Final = 30.0
REVOCATIONS: Final = 1000
"""Revocations that are kept."""


class Listener(Protocol):
    """The gateway's side: who is told of envelopes."""

    def attached(self, topic: int) -> None:
        """Envelopes are heard from now on."""

    def heard(self, topic: int, envelope: Envelope) -> None:
        """An envelope came in."""


class Owner(Protocol):
    """The engine's side: who is told what is wanted, and asked about it."""

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """These channels are newly wanted, or read: repeat their live values."""

    def describe(self, topic: int, channel: str) -> Description:
        """What there is to say about `channel`."""

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` said of the newest closed bars."""


class _Topic:
    """What is held of one topic: `finals` by entry, as they were published."""

    __slots__ = ("closed", "demand", "finals", "lease_until_s", "newest", "owner", "ownership")

    def __init__(self) -> None:
        self.ownership = Ownership("", Epoch(""), Offset(1), 0)
        self.owner: Owner | None = None
        self.closed: dict[str, int] = {}
        self.lease_until_s = float("-inf")
        self.finals: deque[tuple[HeldFinal, ...]] = deque()
        self.newest: dict[str, NewestFinal] = {}
        self.demand: dict[str, float] = {}

    @property
    def top(self) -> Offset:
        return Offset(self.ownership.next_offset - 1)


class MemoryBroker:
    """Every topic of one deployment. `monotonic_s` is its clock; not safe to use from several threads."""

    def __init__(self, *, topics: int, monotonic_s: Callable[[], float]) -> None:
        self._topics = [_Topic() for _ in range(topics)]
        self._monotonic_s = monotonic_s
        self._instruments: dict[str, frozenset[str]] = {}
        self._listeners: list[Listener] = []
        self._inbox: deque[tuple[int, bytes, tuple[Listener, ...]]] = deque()
        self._revoked: deque[tuple[int, Revocation]] = deque(maxlen=REVOCATIONS)
        self._revoked_ever = 0
        self._to_lose = 0

    # the engine's half

    @asynccontextmanager
    async def serve(self, owner: Owner, topics: Collection[int]) -> AsyncIterator[None]:
        """`owner` is told what is wanted of `topics`, and asked, from entering to leaving."""
        for topic in topics:
            self._topics[topic].owner = owner
        try:
            yield
        finally:
            for topic in topics:
                if self._topics[topic].owner is owner:
                    self._topics[topic].owner = None

    async def acquire(
        self, topic: int, identity: str, *, known: Ownership | None = None, fresh: bool = False
    ) -> Acquired | None:
        """Own `topic` for 5 s (every publish extends it); None while another owns it."""
        held = self._topics[topic]
        now = self._monotonic_s()
        before = held.ownership
        if held.lease_until_s > now and before.owner != identity:
            return None
        behind = known is not None and (before.next_offset < known.next_offset or before.number < known.number)
        fresh = fresh or behind or not before.epoch
        epoch = Epoch(secrets.token_hex(8)) if fresh else before.epoch
        next_offset = before.next_offset if known is None else max(before.next_offset, known.next_offset)
        number = before.number if known is None else max(before.number, known.number)
        held.ownership = Ownership(identity, epoch, next_offset, number)
        held.lease_until_s = now + LEASE_S
        return Acquired(held.ownership, dict(held.closed), {c: row.since for c, row in held.newest.items()})

    async def release(self, topics: Collection[int], identity: str) -> None:
        """Give up those of `topics` that are `identity`'s."""
        for topic in topics:
            if self._topics[topic].ownership.owner == identity:
                self._topics[topic].lease_until_s = float("-inf")

    async def publish(self, batches: Mapping[int, Batch]) -> dict[int, Ownership]:
        """Publish each batch in one step if its topic stands where it expects; give where the topics stand now."""
        return {topic: self._publish(topic, batch) for topic, batch in batches.items()}

    def _publish(self, topic: int, batch: Batch) -> Ownership:
        held = self._topics[topic]
        if held.ownership != batch.expected:
            return held.ownership
        for envelope in batch.envelopes:
            if envelope.finals:
                held.finals.append(_held(envelope))
            self._send(topic, encode(envelope))
        held.newest.update(batch.rows)
        for channel in batch.dropped:
            held.newest.pop(channel, None)
        while held.finals and held.finals[0][-1].offset <= batch.forget:
            held.finals.popleft()
        held.ownership = batch.after
        held.closed.update(batch.closed)
        held.lease_until_s = self._monotonic_s() + LEASE_S
        return held.ownership

    async def demand(self, topics: Collection[int]) -> frozenset[str]:
        """The channels of `topics` that somebody wants now."""
        now = self._monotonic_s()
        wanted: set[str] = set()
        for topic in topics:
            held = self._topics[topic]
            held.demand = {channel: until for channel, until in held.demand.items() if until > now}
            wanted.update(held.demand)
        return frozenset(wanted)

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols that exist, by venue; a venue without any is not named."""
        for venue, symbols in instruments.items():
            self._instruments[venue] = frozenset(symbols)
            if not symbols:
                del self._instruments[venue]

    # the gateway's half

    @property
    def unavailable(self) -> str | None:
        """Memory is always there."""
        return None

    @property
    def unreadable(self) -> int:
        """All in one process are of one version."""
        return 0

    @asynccontextmanager
    async def listen(self, listener: Listener) -> AsyncIterator[None]:
        """All topics are heard from entering to leaving."""
        self._listeners.append(listener)
        for topic in range(len(self._topics)):
            listener.attached(topic)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        """What the topic holds, in one step; renews the demand of `channels` and rings `wanted`."""
        held = self._topics[topic]
        finals = () if since is None else tuple(f for entry in held.finals for f in entry if f.offset > since)
        first_held = held.finals[0][0].offset if held.finals else held.ownership.next_offset
        newest = {c: held.newest[c] for c in channels if c in held.newest}
        held.demand.update(dict.fromkeys(channels, self._monotonic_s() + DEMAND_S))
        if held.owner is not None and channels:
            held.owner.wanted(topic, channels)
        return Held(held.ownership.epoch, held.ownership.number, held.top, first_held, finals, newest)

    async def renew(self, channels: Mapping[int, Sequence[str]]) -> None:
        """Keep channels wanted for another 30 s; newly wanted ones are told to the owner."""
        now = self._monotonic_s()
        for topic, wanted in channels.items():
            held = self._topics[topic]
            new = [channel for channel in wanted if held.demand.get(channel, now) <= now]
            held.demand.update(dict.fromkeys(wanted, now + DEMAND_S))
            if new and held.owner is not None:
                held.owner.wanted(topic, new)

    async def describe(self, topic: int, channel: str) -> Description:
        """What the owner says of `channel`; waits for ever when there is none."""
        owner = await self._owner(topic)
        try:
            return owner.describe(topic, channel)
        except Exception as error:  # noqa: BLE001 - whatever is broken there, the asker is answered
            return Description(warming=False, refused=_failed(error), temporary=True)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` said of the newest closed bars; waits for ever when there is no owner."""
        owner = await self._owner(topic)
        try:
            return await owner.history(topic, channel, limit)
        except Exception as error:  # noqa: BLE001 - as above
            return Chart((), refused=_failed(error))

    async def venues(self) -> frozenset[str]:
        """The venues that have been named."""
        return frozenset(self._instruments)

    async def instruments(self, venue: str) -> frozenset[str] | None:
        """The symbols of `venue`; None when nobody has named it."""
        return self._instruments.get(venue)

    async def unowned(self) -> bool:
        """True while any topic has no owner."""
        now = self._monotonic_s()
        return any(held.lease_until_s <= now for held in self._topics)

    async def revoke(self, revocation: Revocation) -> None:
        """Tell every gateway of this process that somebody may no longer be served."""
        self._revoked_ever += 1
        self._revoked.append((self._revoked_ever, revocation))

    async def revoked(self, place: Place | None) -> Revoked:
        """What was revoked since `place`; with None, all that is kept."""
        after = 0 if place is None else int(place.id)
        revocations = tuple(revocation for number, revocation in self._revoked if number > after)
        missed = place is not None and after + len(revocations) != self._revoked_ever
        return Revoked(revocations, Place(str(self._revoked_ever), self._revoked_ever), missed=missed)

    # what a test may do to it

    def lose_next_envelope(self) -> None:
        """The next envelope is held, but nobody hears it: a hole, as a broken connection leaves one."""
        self._to_lose += 1

    # inside

    async def _owner(self, topic: int) -> Owner:
        while (owner := self._topics[topic].owner) is None:
            await asyncio.Event().wait()
        return owner

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


def _held(envelope: Envelope) -> tuple[HeldFinal, ...]:
    return tuple(HeldFinal(Offset(envelope.first_offset + i), p) for i, p in enumerate(envelope.finals))


def _failed(error: Exception) -> str:
    log.error("bus.answer_failed", exc_info=error)
    return "the engine failed to answer"
