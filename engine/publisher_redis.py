"""The engine's half of the bus over Redis, by the rules of docs/bus.md. Does I/O."""

import asyncio
import secrets
import struct
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog

from engine.bus import Owner
from engine.errors import BusUnavailableError
from engine.serving import Serving
from runtime.errors import RedisUnavailableError
from runtime.redis import Command, Library, RedisClient, RedisTiming
from runtime.redis_subscriber import Subscriber
from wire.envelope import Acquired, Batch, Envelope, NewestFinal, Ownership, encode
from wire.position import Epoch, Offset
from wire.topics import Keys

LEASE_MS: Final = 5_000

PUBLISH: Final = "PUBLISH"
"""How a message is said: on one server, everybody may listen anywhere."""

_CLOSED: Final = "closed:"
_UNKNOWN: Final = Ownership("", Epoch(""), Offset(0), 0)

log = structlog.get_logger("engine")

_PACK_2: Final = struct.Struct(">H").pack
_PACK_4: Final = struct.Struct(">I").pack
_encoder: Final = msgspec.msgpack.Encoder()
_rows: Final = msgspec.msgpack.Decoder(NewestFinal)


class RedisBus:
    """The bus on one Redis server; to be entered before it is used. Nothing is sent twice unasked."""

    def __init__(self, url: str, *, prefix: str = "sig:", timing: RedisTiming | None = None) -> None:
        """Take the server's address and what names begin with there. Raises ConfigError for a bad address."""
        self._keys = Keys(prefix)
        self._timing = RedisTiming() if timing is None else timing
        self._library = Library.of("engine")
        self._redis = RedisClient(url, name="signal-engine", library=self._library, timing=self._timing)

    async def __aenter__(self) -> Self:
        """Begin; nothing is connected yet."""
        await self._redis.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, and disconnect."""
        await self._redis.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def serve(self, owner: Owner, topics: Collection[int]) -> AsyncIterator[None]:
        """`owner` is told what is wanted of `topics`, and asked, from entering to leaving, while Redis is there.

        After a lost connection it is told of all that is wanted: what was wanted meanwhile may have been missed.
        """
        async with asyncio.TaskGroup() as tasks:
            serving = Serving(owner, topics, keys=self._keys, redis=self._redis, demand=self.demand, tasks=tasks)
            subscriber = Subscriber(
                self._redis.open_connection,
                serving.channels,
                attached=serving.attached,
                heard=serving.heard,
                timing=self._timing,
            )
            hearing = tasks.create_task(subscriber.run(), name="bus.subscriber")
            try:
                yield
            finally:
                hearing.cancel()
                serving.stop()

    async def acquire(
        self, topic: int, identity: str, *, known: Ownership | None = None, fresh: bool = False
    ) -> Acquired | None:
        """Own `topic` for 5 s (every publish extends it); None while another owns it."""
        known = _UNKNOWN if known is None else known
        (found,) = await self._run(
            self._library.call(
                "signal_acquire",
                self._state(topic),
                *(identity, secrets.token_hex(8), int(fresh), known.next_offset, known.number, LEASE_MS),
            )
        )
        if found is None:
            return None
        try:
            return _acquired(identity, found)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BusUnavailableError(f"topic {topic} holds what cannot be read: {error}") from error

    async def release(self, topics: Collection[int], identity: str) -> None:
        """Give up those of `topics` that are `identity`'s."""
        await self._run(*(self._library.call("signal_release", [self._keys.lease(t)], identity) for t in topics))

    async def publish(self, batches: Mapping[int, Batch]) -> dict[int, Ownership]:
        """Publish each batch in one step if its topic stands where it expects; give where the topics stand now.

        A topic is missing when Redis refused its batch. Raises BusUnavailableError when that is all of them.
        """
        try:
            answers = await self._redis.run([self._publication(topic, batch) for topic, batch in batches.items()])
        except RedisUnavailableError as error:
            raise BusUnavailableError(str(error)) from error
        refused = [answer for answer in answers if isinstance(answer, RedisUnavailableError)]
        if refused:
            if len(refused) == len(answers):
                raise BusUnavailableError(str(refused[0])) from refused[0]
            log.warning("bus.refused", topics=len(refused), error=str(refused[0]))
        return {
            topic: _ownership(answer)
            for topic, answer in zip(batches, answers, strict=True)
            if not isinstance(answer, RedisUnavailableError)
        }

    async def demand(self, topics: Collection[int]) -> frozenset[str]:
        """The channels of `topics` that somebody wants now."""
        wanted = await self._run(*(self._library.call("signal_demand", [self._keys.demand(t)]) for t in topics))
        return frozenset(channel.decode() for channels in wanted for channel in channels)

    async def announce(self, instruments: Mapping[str, Sequence[str]]) -> None:
        """Name the symbols that exist, by venue; a venue without any is not named."""
        commands: list[Command] = []
        for venue, symbols in instruments.items():
            commands.append(self._library.call("signal_announce", [self._keys.instruments(venue)], *symbols))
            commands.append(("SADD" if symbols else "SREM", self._keys.venues, venue))
        await self._run(*commands)

    # inside

    async def _run(self, *commands: Command) -> list[Any]:
        try:
            answers = await self._redis.run(commands)
        except RedisUnavailableError as error:
            raise BusUnavailableError(str(error)) from error
        for answer in answers:
            if isinstance(answer, RedisUnavailableError):
                raise BusUnavailableError(str(answer)) from answer
        return answers

    def _state(self, topic: int) -> tuple[str, ...]:
        keys = self._keys
        return (keys.meta(topic), keys.lease(topic), keys.finals(topic), keys.final(topic))

    def _publication(self, topic: int, batch: Batch) -> Command:
        """The call that publishes `batch`: the same bytes whenever it is made."""
        before, after = batch.expected, batch.after
        return self._library.call(
            "signal_publish",
            self._state(topic),
            *(PUBLISH, self._keys.live(topic)),
            *(before.owner, before.epoch, before.next_offset, before.number, after.next_offset, after.number),
            *(LEASE_MS, batch.forget + 1),
            *(_pack_rows(batch.rows), len(batch.envelopes), len(batch.dropped)),
            *(argument for envelope in batch.envelopes for argument in _entry(envelope)),
            *batch.dropped,
            *(argument for name, open_ms in batch.closed.items() for argument in (_CLOSED + name, open_ms)),
        )


def _entry(envelope: Envelope) -> tuple[str | bytes | int, ...]:
    """What of `envelope` is held, and the whole that is said."""
    finals = _encoder.encode(envelope.finals) if envelope.finals else b""
    return envelope.top, envelope.first_offset, finals, encode(envelope)


def _pack_rows(rows: Mapping[str, NewestFinal]) -> bytes:
    """Channels and rows, each behind its length: 2 bytes, and 4."""
    packed: list[bytes] = []
    for channel, row in rows.items():
        name, value = channel.encode(), _encoder.encode(row)
        packed += (_PACK_2(len(name)), name, _PACK_4(len(value)), value)
    return b"".join(packed)


def _ownership(found: Sequence[bytes]) -> Ownership:
    """What the function `signal_publish` answered."""
    owner, epoch, next_offset, number = found
    return Ownership(owner.decode(), Epoch(epoch.decode()), Offset(int(next_offset)), int(number))


def _acquired(identity: str, found: Sequence[Any]) -> Acquired:
    """What the function `signal_acquire` answered."""
    epoch, next_offset, number, meta, final = found
    fields = ((name.decode(), value) for name, value in _pairs(meta))
    return Acquired(
        Ownership(identity, Epoch(epoch.decode()), Offset(int(next_offset)), int(number)),
        {name.removeprefix(_CLOSED): int(open_ms) for name, open_ms in fields if name.startswith(_CLOSED)},
        {channel.decode(): _rows.decode(row).since for channel, row in _pairs(final)},
    )


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
