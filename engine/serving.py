"""What the owner of topics hears over Redis: what is wanted, and questions, which it answers. Does I/O."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from collections.abc import Set as AbstractSet
from typing import Final

import structlog

from engine.bus import Owner
from engine.errors import BusUnavailableError
from runtime.errors import RedisUnavailableError
from runtime.redis import RedisClient
from wire.asking import Answer, Ask, AskingError, decode_ask, decode_wanted, encode
from wire.topics import Keys

MAX_ASKED: Final = 256
"""Questions that are being answered, at most; one more gets no answer."""

FAILED: Final = "the engine failed to answer"

log = structlog.get_logger("engine")


class Serving:
    """Tells `owner` what comes over pub/sub. `demand` gives what is wanted of topics; answers are children of `tasks`.

    A message that cannot be read is another version's, and is passed over.
    """

    def __init__(
        self,
        owner: Owner,
        topics: Collection[int],
        *,
        keys: Keys,
        redis: RedisClient,
        demand: Callable[[Collection[int]], Awaitable[AbstractSet[str]]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._owner = owner
        self._wanted = {keys.wanted(topic): topic for topic in topics}
        self._asked = {keys.ask(topic): topic for topic in topics}
        self._redis = redis
        self._demand = demand
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._answering = 0

    @property
    def channels(self) -> tuple[str, ...]:
        """What is to be heard."""
        return (*self._wanted, *self._asked)

    def attached(self, channel: str) -> None:
        """A channel is heard from now on."""
        if (topic := self._wanted.get(channel)) is not None:
            self._start(self._catch_up(topic), "bus.catch_up")

    def heard(self, channel: str, data: bytes) -> None:
        """A message came in."""
        try:
            if (topic := self._wanted.get(channel)) is not None:
                self._owner.wanted(topic, decode_wanted(data))
            elif self._answering < MAX_ASKED:
                ask = decode_ask(data)
                self._answering += 1
                self._start(self._answer(self._asked[channel], ask), "bus.answer")
        except AskingError as error:
            log.warning("bus.unreadable", channel=channel, error=str(error))

    def stop(self) -> None:
        """Leave what is under way unanswered."""
        for task in self._running:
            task.cancel()

    async def _catch_up(self, topic: int) -> None:
        """Tell of all that is wanted of a topic that is heard anew: some of it may have been missed."""
        try:
            channels = await self._demand([topic])
        except BusUnavailableError as error:
            log.warning("bus.demand_unread", topic=topic, error=str(error))
            return
        if channels:
            self._owner.wanted(topic, sorted(channels))

    async def _answer(self, topic: int, ask: Ask) -> None:
        try:
            answer = encode(await self._find_answer(topic, ask))
            await self._redis.run([("PUBLISH", ask.reply_to, answer)])
        except RedisUnavailableError as error:
            log.warning("bus.unanswered", topic=topic, error=str(error))
        finally:
            self._answering -= 1

    async def _find_answer(self, topic: int, ask: Ask) -> Answer:
        try:
            if ask.kind == "describe":
                description = self._owner.describe(topic, ask.channel)
                return Answer(
                    ask.id, warming=description.warming, refused=description.refused, temporary=description.temporary
                )
            chart = await self._owner.history(topic, ask.channel, ask.limit)
            return Answer(ask.id, refused=chart.refused, values=chart.values)
        except Exception:
            log.exception("bus.answer_failed", topic=topic, kind=ask.kind)
            return Answer(ask.id, refused=FAILED, temporary=True)

    def _start(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        task = self._tasks.create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
