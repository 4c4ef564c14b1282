"""The gateway's half of the bus over Redis, by the rules of docs/bus.md. Does I/O."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog

from gateway.broker import Listener
from gateway.errors import BusUnavailableError
from gateway.revocation_stream import LOOK_BACK_MS, PAGE, revoked_of
from runtime.errors import RedisUnavailableError
from runtime.redis import Command, Library, RedisClient, RedisTiming
from runtime.redis_subscriber import Subscriber
from wire.asking import Answer, Ask, AskingError, Kind, decode_answer, encode
from wire.envelope import (
    Chart,
    Description,
    EnvelopeError,
    Held,
    HeldFinal,
    NewestFinal,
    Publication,
    decode,
)
from wire.position import Epoch, Offset
from wire.revocation import Place, Revocation, Revoked, fields_of
from wire.topics import REVOKED, Keys

DEMAND_MS: Final = 30_000
SOON_MS: Final = 15_000
"""Demand that ends later than this is not renewed yet."""
MAX_ASKING: Final = 10_000
"""Questions that wait for their answers, at most; one more is refused."""
MAX_REVOKED: Final = 10_000
"""Entries that the stream of revocations keeps when an operator adds one, about."""

PUBLISH: Final = "PUBLISH"
"""How a message is said: on one server, everybody may listen anywhere."""

log = structlog.get_logger("gateway")

_finals: Final = msgspec.msgpack.Decoder(tuple[Publication, ...])
_rows: Final = msgspec.msgpack.Decoder(NewestFinal)


class RedisBroker:
    """The bus on one Redis server; to be entered before it is used. Questions are answered while it is listened to."""

    def __init__(self, url: str, *, topics: int, prefix: str = "sig:", timing: RedisTiming | None = None) -> None:
        """Take the server's address and what names begin with there. Raises ConfigError for a bad address."""
        self._keys = Keys(prefix)
        self._topics = range(topics)
        self._timing = RedisTiming() if timing is None else timing
        self._library = Library.of("gateway")
        self._redis = RedisClient(url, name="signal-gateway", library=self._library, timing=self._timing)
        self._identity = secrets.token_hex(8)
        self._live = {self._keys.live(topic): topic for topic in self._topics}
        self._subscribers: list[Subscriber] = []
        self._ids = count(1)
        self._asking: dict[int, asyncio.Future[Answer]] = {}
        self.unreadable = 0
        """Messages that could not be read: another version's. An envelope among them leaves a hole."""

    async def __aenter__(self) -> Self:
        """Begin; nothing is connected yet."""
        await self._redis.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, and disconnect."""
        await self._redis.__aexit__(kind, error, trace)

    @property
    def unavailable(self) -> str | None:
        """Why not all topics are heard; None while they are."""
        if not self._subscribers:
            return "nobody listens"
        return next((why for s in self._subscribers if (why := s.unavailable) is not None), None)

    @asynccontextmanager
    async def listen(self, listener: Listener) -> AsyncIterator[None]:
        """Hear all topics, from entering to leaving, while Redis is there; `attached` says from when on."""
        # A reply has a channel of its own in each topic, so that in a cluster question and answer take the one way
        # that the topic's envelopes take; all are subscribed from the start, and no question waits for that.
        subscriber = Subscriber(
            self._redis.open_connection,
            (*self._live, *(self._keys.reply(topic, self._identity) for topic in self._topics)),
            attached=lambda channel: self._attached(listener, channel),
            heard=lambda channel, data: self._heard(listener, channel, data),
            timing=self._timing,
        )
        self._subscribers.append(subscriber)
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(subscriber.run(), name="broker.subscriber")
                try:
                    yield
                finally:
                    hearing.cancel()
        finally:
            self._subscribers.remove(subscriber)

    async def read(self, topic: int, since: Offset | None, channels: Sequence[str]) -> Held:
        """What the topic holds, in one step; renews the demand of `channels` and has their live values repeated."""
        keys = self._keys
        (found,) = await self._run(
            self._library.call(
                "signal_read",
                (keys.meta(topic), keys.finals(topic), keys.final(topic), keys.demand(topic)),
                *(PUBLISH, keys.wanted(topic), DEMAND_MS, "" if since is None else since),
                *channels,
            )
        )
        try:
            return _held(found, since, channels)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BusUnavailableError(f"topic {topic} holds what cannot be read: {error}") from error

    async def renew(self, channels: Mapping[int, Sequence[str]]) -> None:
        """Keep the channels, by topic, wanted for 15 s at least, 30 s at most."""
        keys = self._keys
        await self._run(
            *(
                self._library.call(
                    "signal_renew",
                    (keys.demand(topic),),
                    *(PUBLISH, keys.wanted(topic), DEMAND_MS, SOON_MS),
                    *wanted,
                )
                for topic, wanted in channels.items()
            )
        )

    async def describe(self, topic: int, channel: str) -> Description:
        """What the topic's owner says of `channel`; waits for ever when there is none."""
        answer = await self._ask(topic, "describe", channel)
        return Description(warming=answer.warming, refused=answer.refused, temporary=answer.temporary)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` said of the newest `limit` closed bars; waits for ever when there is no owner."""
        answer = await self._ask(topic, "history", channel, limit)
        return Chart(answer.values, refused=answer.refused)

    async def venues(self) -> frozenset[str]:
        """The venues whose instruments an engine has named."""
        (names,) = await self._run(("SMEMBERS", self._keys.venues))
        return frozenset(name.decode() for name in names)

    async def instruments(self, venue: str) -> frozenset[str] | None:
        """The symbols of `venue`; None when no engine has named it."""
        (symbols,) = await self._run(("SMEMBERS", self._keys.instruments(venue)))
        return frozenset(symbol.decode() for symbol in symbols) if symbols else None

    async def unowned(self) -> bool:
        """True while any topic has no owner."""
        return not all(await self._run(*(("EXISTS", self._keys.lease(topic)) for topic in self._topics)))

    async def revoke(self, revocation: Revocation) -> None:
        """Tell every gateway that somebody may no longer be served."""
        fields = (text for field in fields_of(revocation).items() for text in field)
        await self._run(("XADD", REVOKED, "MAXLEN", "~", MAX_REVOKED, "*", *fields))

    async def revoked(self, place: Place | None) -> Revoked:
        """What was revoked since `place`; with None, in the last minute."""
        after = "" if place is None else place.id
        (found,) = await self._run(self._library.call("signal_revoked", (REVOKED,), after, LOOK_BACK_MS, PAGE))
        return revoked_of(found, place)

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

    async def _ask(self, topic: int, kind: Kind, channel: str, limit: int = 0) -> Answer:
        if len(self._asking) >= MAX_ASKING:
            raise BusUnavailableError(f"{MAX_ASKING} questions wait for their answers")
        ask = Ask(next(self._ids), self._keys.reply(topic, self._identity), kind, channel, limit)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asking[ask.id] = answer
        try:
            await self._run((PUBLISH, self._keys.ask(topic), encode(ask)))
            return await answer
        finally:
            del self._asking[ask.id]

    def _attached(self, listener: Listener, channel: str) -> None:
        if (topic := self._live.get(channel)) is not None:
            listener.attached(topic)

    def _heard(self, listener: Listener, channel: str, data: bytes) -> None:
        topic = self._live.get(channel)
        try:
            if topic is None:
                self._answered(decode_answer(data))
                return
            envelope = decode(data)
        except (AskingError, EnvelopeError) as error:
            self.unreadable += 1
            log.debug("bus.unreadable", channel=channel, error=str(error))
            return
        listener.heard(topic, envelope)

    def _answered(self, answer: Answer) -> None:
        asking = self._asking.get(answer.id)
        if asking is not None and not asking.done():
            asking.set_result(answer)


def _held(found: Sequence[Any], since: Offset | None, channels: Sequence[str]) -> Held:
    """What the function `signal_read` answered."""
    epoch, number, next_offset, first_held, entries, rows = found
    return Held(
        Epoch(epoch.decode()),
        int(number),
        Offset(int(next_offset) - 1),
        Offset(int(first_held)),
        () if since is None else tuple(final for _, fields in entries for final in _finals_of(fields, since)),
        {channel: _rows.decode(row) for channel, row in zip(channels, rows, strict=True) if row is not None},
    )


def _finals_of(fields: Sequence[bytes], since: Offset) -> Iterator[HeldFinal]:
    """The finals of one entry above `since`, which may lie within it."""
    _, first, _, finals = fields
    for offset, publication in enumerate(_finals.decode(finals), int(first)):
        if offset > since:
            yield HeldFinal(Offset(offset), publication)
