"""Reader: reads one topic for many that ask at once, in one read at a time."""

import asyncio
from typing import Final

from gateway.broker import Broker
from gateway.errors import BusUnavailableError
from wire.envelope import Held
from wire.position import Offset

READ_TIMEOUT_S: Final = 2.0


class _Round:
    """A read that has not been made yet: what everybody wants who asks until then."""

    __slots__ = ("channels", "outcome", "since")

    def __init__(self) -> None:
        self.since: Offset | None = None
        self.channels: dict[str, None] = {}
        self.outcome: asyncio.Future[Held | BusUnavailableError] = asyncio.get_running_loop().create_future()

    def want(self, since: Offset | None, channel: str) -> None:
        if since is not None:
            self.since = since if self.since is None else min(self.since, since)
        self.channels[channel] = None


class Reader:
    """Reads `topic`; reads are children of `tasks`. Who asks while one is under way shares the next."""

    def __init__(self, broker: Broker, topic: int, tasks: asyncio.TaskGroup) -> None:
        self._broker = broker
        self._topic = topic
        self._tasks = tasks
        self._next: _Round | None = None
        self._task: asyncio.Task[None] | None = None

    async def read(self, since: Offset | None, channel: str) -> Held:
        """What a read says that is made after this call: at least the finals above `since`, and of `channel`.

        Raises BusUnavailableError.
        """
        if self._next is None:
            self._next = _Round()
        waited_for = self._next
        waited_for.want(since, channel)
        if self._task is None:
            self._task = self._tasks.create_task(self._work(), name="gateway.reader")
        outcome = await asyncio.shield(waited_for.outcome)
        if isinstance(outcome, BusUnavailableError):
            raise outcome
        return outcome

    def stop(self) -> None:
        """End the read that is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        now: _Round | None = None
        try:
            while (now := self._next) is not None:
                self._next = None
                now.outcome.set_result(await self._read(now))
        finally:
            self._task = None
            for left in (now, self._next):
                if left is not None:
                    left.outcome.set_result(BusUnavailableError("the gateway is leaving"))

    async def _read(self, wanted: _Round) -> Held | BusUnavailableError:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                return await self._broker.read(self._topic, wanted.since, list(wanted.channels))
        except BusUnavailableError as error:
            return error
        except TimeoutError:
            return BusUnavailableError(f"no answer from the bus in {READ_TIMEOUT_S:g} s")
