"""How many connections a user has over all gateways, and how often it connects, by way of Redis. Does I/O.

Each connection is a member of a sorted set of its user's, for a minute, and renewed while it is there: what a gateway
leaves behind that died is forgotten. While Redis does not answer, what this process knows has to do.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.resources import files
from types import TracebackType
from typing import Any, Final, Self

import structlog
from msgspec import Struct

from gateway.metrics import GatewayMetrics
from gateway.token_bucket import Rate
from gateway.user_limits import Excess, LocalUserLimits
from runtime.errors import RedisUnavailableError
from runtime.redis import Command, Library, RedisClient, RedisTiming
from wire.topics import Keys

MAX_GONE: Final = 20_000
"""Users of whose connections some have gone, which is yet to be told; of more it is not: they end by themselves."""
AT_ONCE: Final = 64
"""Users of one pipeline, and connections of one command: a millisecond or so."""
_NO_LIMIT: Final = -1
_NS_PER_US: Final = 1_000
_MS_PER_S: Final = 1_000

log = structlog.get_logger("gateway")


class UserLimitsTiming(Struct, frozen=True):
    """How long, in seconds.

    A connection that nobody renews counts for `life_s`; all are renewed within `renew_s`. Redis may take `answer_s`
    for an answer, and is not asked for `pause_s` after it gave none.
    """

    life_s: float = 60.0
    renew_s: float = 20.0
    answer_s: float = 1.0
    pause_s: float = 1.0


class RedisUserLimits:
    """The connections of users to all gateways; to be entered before it is used."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        local: LocalUserLimits,
        metrics: GatewayMetrics,
        timing: UserLimitsTiming | None = None,
    ) -> None:
        """Take the server's address, what names begin with there, and what counts those of this process.

        Raises ConfigError for a bad address.
        """
        self._timing = UserLimitsTiming() if timing is None else timing
        self._life_ms = round(self._timing.life_s * _MS_PER_S)
        self._keys = Keys(prefix)
        self._local = local
        self._metrics = metrics
        self._library = Library(files("gateway").joinpath("user_limits.lua").read_text(encoding="utf-8"))
        answer_s = self._timing.answer_s
        asking = RedisTiming(connect_s=answer_s, answer_s=answer_s)
        self._redis = RedisClient(url, name="signal-gateway-users", library=self._library, timing=asking)
        self._gone: dict[str, list[str]] = {}
        self._news = asyncio.Event()
        self._away_until_s = 0.0
        """Redis is not asked before, in the loop's time; 0 while it answers."""
        self._tasks = asyncio.TaskGroup()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin; nothing is connected yet."""
        await self._redis.__aenter__()
        await self._tasks.__aenter__()
        for work, name in ((self._renew_forever(), "renew"), (self._tell_forever(), "tell")):
            self._running.append(self._tasks.create_task(work, name=f"user_limits.{name}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Tell who has gone, if Redis takes it, and disconnect."""
        for task in self._running:
            task.cancel()
        try:
            # Given no error, the group waits for its tasks and leaves the body's error as it is.
            await self._tasks.__aexit__(None, None, None)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.answer_s):
                    await self._tell()
        finally:
            await self._redis.__aexit__(kind, error, trace)

    async def admit(self, user: str, connection: str, limit: int | None) -> Excess | None:
        """Say why a user may not have one more connection; None when it may, and it counts until `leave`."""
        excess = self._local.take(user, connection, limit)
        if excess is not None:
            return excess
        plan = self._local.plan
        excess = await self._ask(user, connection, plan.connections(limit), plan.connects(limit))
        if excess is not None:
            self._local.leave(user, connection)
        return excess

    def leave(self, user: str, connection: str) -> None:
        """A connection is gone; without effect when it does not count."""
        if self._local.leave(user, connection) and len(self._gone) < MAX_GONE:
            self._gone.setdefault(user, []).append(connection)
            self._news.set()

    # what Redis is asked

    async def _ask(self, user: str, connection: str, most: int | None, often: Rate | None) -> Excess | None:
        """What all gateways together know; None too when that cannot be known."""
        name, gone = _name(user), self._gone.pop(user, None)
        before = [] if gone is None else [self._farewell(user, gone)]
        command = self._library.call(
            "signal_admit_user",
            (self._keys.connections(name), self._keys.connects(name)),
            *(self._life_ms, connection, _NO_LIMIT if most is None else most),
            *((0, 0) if often is None else (max(often.interval_ns // _NS_PER_US, 1), often.burst)),
        )
        try:
            *_, answer = await self._run([*before, command])
            return None if answer == b"ok" else Excess(answer.decode())
        except RedisUnavailableError:
            self._metrics.judged_alone.inc()
            return None
        except asyncio.CancelledError:
            if gone is not None:  # who is yet to be told of, if this was not sent
                self._gone.setdefault(user, []).extend(gone)
                self._news.set()
            raise

    async def _renew_forever(self) -> None:
        """Renew all connections once in `renew_s`, a few users at a time."""
        while True:
            users = self._local.users
            slices = [users[start : start + AT_ONCE] for start in range(0, len(users), AT_ONCE)]
            for some in slices:
                await asyncio.sleep(self._timing.renew_s / len(slices))
                with suppress(RedisUnavailableError):
                    await self._run([command for user in some for command in self._renewals(user)])
            if not slices:
                await asyncio.sleep(self._timing.renew_s)

    def _renewals(self, user: str) -> Iterator[Command]:
        connections, key = self._local.connections_of(user), self._keys.connections(_name(user))
        for start in range(0, len(connections), AT_ONCE):
            some = connections[start : start + AT_ONCE]
            yield self._library.call("signal_renew_user", (key,), self._life_ms, *some)

    async def _tell_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._tell()

    async def _tell(self) -> None:
        """Tell who has gone. What Redis does not take now ends by itself."""
        gone, self._gone = self._gone, {}
        commands = [self._farewell(user, connections) for user, connections in gone.items()]
        with suppress(RedisUnavailableError):
            for start in range(0, len(commands), AT_ONCE):
                await self._run(commands[start : start + AT_ONCE])

    def _farewell(self, user: str, connections: Sequence[str]) -> Command:
        return ("ZREM", self._keys.connections(_name(user)), *connections)

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers. Raises RedisUnavailableError, and at once for a while after it did."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until_s:
            raise RedisUnavailableError("gave no answer a moment ago")
        try:
            async with asyncio.timeout(self._timing.answer_s):
                answers = await self._redis.run(commands)
            for answer in answers:
                if isinstance(answer, RedisUnavailableError):
                    raise answer
        except (TimeoutError, RedisUnavailableError) as error:
            if self._away_until_s == 0.0:
                log.warning("user_limits.alone", error=str(error) or "no answer in time")
            self._away_until_s = loop.time() + self._timing.pause_s
            raise RedisUnavailableError(str(error) or "no answer in time") from error
        if self._away_until_s != 0.0:
            self._away_until_s = 0.0
            log.info("user_limits.together")
        return answers


def _name(user: str) -> str:
    """A user's name among the keys: of any characters, and not to be read there."""
    return hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
