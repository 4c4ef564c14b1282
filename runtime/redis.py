"""How we talk to a Redis server: connections, commands, functions. Does I/O."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from importlib.resources import files
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from runtime.errors import ConfigError, RedisUnavailableError

Command = tuple[str | bytes | int, ...]

READ_BYTES: Final = 256 * 1024
MAX_WAITING: Final = 10_000
"""Groups of commands that wait to be sent, at most; one more is refused."""
MAX_PIPELINED: Final = 64
"""Commands of one pipeline, about."""

_VERSION_MARK: Final = "@VERSION@"
_WHERE: Final = frozenset({"connection_class", "db", "host", "password", "path", "port", "username"})
_NOT_FOUND: Final = "Function not found"


class RedisTiming(Struct, frozen=True):
    """How long Redis may take, and how what is lost comes back; in seconds.

    `connect_s` bounds a subscriber's connecting, `answer_s` everything that is asked. A subscriber that heard nothing
    for `ping_s` pings, and gives its connection up after `silence_s` of silence, then connects again after a pause
    that grows from `first_pause_s` to `longest_pause_s`.
    """

    connect_s: float = 2.0
    answer_s: float = 2.0
    ping_s: float = 0.5
    silence_s: float = 2.0
    first_pause_s: float = 0.05
    longest_pause_s: float = 1.0


class Library:
    """Functions that Redis carries out, in Lua, in one step each.

    Their names end with a digest of the text that defines them, in the place of @VERSION@: what is in Redis under such
    a name is what this process means by it.
    """

    def __init__(self, text: str) -> None:
        self._version = hashlib.sha256(text.encode()).hexdigest()[:8]
        self.source = text.replace(_VERSION_MARK, self._version)

    @classmethod
    def of(cls, package: str) -> Self:
        """That of a package of ours, which has it as ``redis_functions.lua``."""
        return cls(files(package).joinpath("redis_functions.lua").read_text(encoding="utf-8"))

    def call(self, function: str, keys: Sequence[str], *arguments: str | bytes | int) -> Command:
        """The command that calls `function`."""
        return ("FCALL", f"{function}_{self._version}", len(keys), *keys, *arguments)


class _Request:
    """Commands whose answers somebody awaits together."""

    __slots__ = ("answers", "commands")

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = commands
        self.answers: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()


class RedisClient:
    """Carries out commands, many callers' in one pipeline, on one connection that no caller's cancellation touches.

    What gets no answer is not sent again: the caller decides. The next command connects anew.
    """

    def __init__(self, url: str, *, name: str, library: Library, timing: RedisTiming) -> None:
        """Take the server's address, the name that it is to list us under, and the functions that will be called.

        Raises ConfigError when the address cannot be one; nothing is connected yet.
        """
        self._options = _options(url, name, timing)
        self._connection_class: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        try:
            self.open_connection()
        except (TypeError, ValueError, RedisError):
            raise _bad_address() from None
        pool = ConnectionPool(self._connection_class, **self._options)
        self._redis = Redis.from_pool(pool)
        self._library = library
        self._answer_s = timing.answer_s
        self._waiting: deque[_Request] = deque()
        self._news = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to take commands; nothing is connected yet."""
        await self._tasks.__aenter__()
        self._sending = self._tasks.create_task(self._send_forever(), name="redis.send")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, for those who wait as unavailable, and close the connection."""
        if self._sending is not None:
            self._sending.cancel()
        try:
            # Given no error, the group waits for its task and leaves the body's error as it is.
            await self._tasks.__aexit__(None, None, None)
        finally:
            _fail(self._waiting, "closed")
            self._waiting.clear()
            await self._redis.aclose()

    def open_connection(self) -> AbstractConnection:
        """A connection for one user alone; not connected yet."""
        return self._connection_class(**self._options)

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers in order; in the place of one that Redis refused, a RedisUnavailableError that says why.

        Raises RedisUnavailableError when there are none: whether any was carried out is not known.
        """
        if self._sending is None or self._sending.done():
            raise RedisUnavailableError("not open")
        if len(self._waiting) >= MAX_WAITING:
            raise RedisUnavailableError(f"{MAX_WAITING} others wait for an answer")
        request = _Request(commands)
        self._waiting.append(request)
        self._news.set()
        return await request.answers

    async def _send_forever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._send(self._take())

    def _take(self) -> list[_Request]:
        """The next requests to send; those whose caller has gone are dropped."""
        taken: list[_Request] = []
        count = 0
        while self._waiting and count < MAX_PIPELINED:
            request = self._waiting.popleft()
            if not request.answers.done():
                taken.append(request)
                count += len(request.commands)
        return taken

    async def _send(self, requests: Sequence[_Request]) -> None:
        try:
            answers = iter(await self._exchange([command for request in requests for command in request.commands]))
            for request in requests:
                own = [next(answers) for _ in request.commands]
                if not request.answers.done():
                    request.answers.set_result(own)
        except RedisUnavailableError as error:
            _fail(requests, str(error))
        finally:
            _fail(requests, "closed")

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        try:
            async with asyncio.timeout(self._answer_s):
                answers = await self._pipeline(commands)
                unknown = [i for i, answer in enumerate(answers) if _is_not_found(answer)]
                if unknown:  # a new server, one that lost its data, or one that was told to forget
                    await self._redis.function_load(self._library.source, replace=True)
                    again = await self._pipeline([commands[i] for i in unknown])
                    for i, answer in zip(unknown, again, strict=True):
                        answers[i] = answer
        except TimeoutError:
            raise RedisUnavailableError(f"no answer in {self._answer_s:g} s") from None
        except (RedisError, OSError) as error:
            raise RedisUnavailableError(describe(error)) from error
        return [RedisUnavailableError(describe(a)) if isinstance(a, RedisError) else a for a in answers]

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        if not commands:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)


def describe(error: BaseException) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _fail(requests: Sequence[_Request] | deque[_Request], reason: str) -> None:
    for request in requests:
        if not request.answers.done():
            request.answers.set_exception(RedisUnavailableError(reason))


def _is_not_found(answer: object) -> bool:
    return isinstance(answer, ResponseError) and _NOT_FOUND in str(answer)


def _options(url: str, name: str, timing: RedisTiming) -> dict[str, Any]:
    """What a connection is made with: an address says where a server is, and never how it is talked to."""
    try:
        where: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        raise _bad_address() from None
    if any(key not in _WHERE and not key.startswith("ssl_") for key in where):
        raise _bad_address()
    return where | {
        # Pushes of RESP3 are swallowed by read_response, and its pong is mistaken for a message (redis-py #3444).
        "protocol": 2,
        # A function that got no answer may have been carried out: only the caller knows whether to send it again.
        "retry": Retry(NoBackoff(), 0),
        # Times are kept here, over all that is asked together.
        "socket_timeout": None,
        "socket_connect_timeout": timing.connect_s,
        "socket_read_size": READ_BYTES,
        "client_name": name,
        "driver_info": None,
    }


def _bad_address() -> ConfigError:
    # Without the address, and not raised from the error that quotes it: it may hold a password.
    return ConfigError(
        "redis: expected an address as redis://[user:password@]host[:port][/database], or rediss://… with ssl_ options"
    )
