"""An engine at work on one core, and who listens to it: in this process, or over Redis in another. Does I/O."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Final, Protocol, cast

import uvloop
from msgspec import Struct
from prometheus_client import CollectorRegistry

from engine.app import RunningEngine, engine, redis_bus
from engine.bus import Bus
from engine.feeds.feed import Feed
from gateway.app import redis_broker
from gateway.broker import Broker, Listener
from runtime.clock import SystemClock
from runtime.logs import LogConfig, configure_logs
from runtime.redis_config import RedisConfig
from signal_service.bench.heard import Ear, Heard
from standins.broker import MemoryBroker
from wire.channel import Channel, parse
from wire.market import NS_PER_MS, NS_PER_S
from wire.topics import DEFAULT_TOPICS, topic_of

RENEW_S: Final = 10.0
PREFIX: Final = "signal-bench:"


class Listening(Protocol):
    """Who wants channels of an engine, and hears what comes."""

    async def want(self, channels: Iterable[str]) -> None:
        """Want these channels from now on, besides those before."""

    async def reset(self) -> None:
        """What is heard counts from now on."""

    async def taken(self) -> tuple[Heard, int]:
        """What was heard since, and how many channels have had a value since the beginning."""


class Deployment(Struct, frozen=True):
    """An engine and who listens to it."""

    engine: RunningEngine
    listening: Listening
    registry: CollectorRegistry


class _Here:
    """Listens in this process."""

    def __init__(self, broker: Broker, ear: Ear) -> None:
        self._broker = broker
        self._ear = ear
        self._wanted: dict[int, list[str]] = {}

    async def want(self, channels: Iterable[str]) -> None:
        for name in channels:
            self._wanted.setdefault(topic_of(parse(name), DEFAULT_TOPICS), []).append(name)
        await self._broker.renew(self._wanted)

    async def reset(self) -> None:
        self._ear.reset()

    async def taken(self) -> tuple[Heard, int]:
        return self._ear.taken(), len(self._ear.valued)

    async def renew(self) -> None:
        """Keep what is wanted wanted, until it is cancelled."""
        while True:
            await asyncio.sleep(RENEW_S)
            await self._broker.renew(self._wanted)


class _There:
    """Listens in another process, which is asked over a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    async def want(self, channels: Iterable[str]) -> None:
        await self._ask("want", tuple(channels))

    async def reset(self) -> None:
        await self._ask("reset")

    async def taken(self) -> tuple[Heard, int]:
        return cast("tuple[Heard, int]", await self._ask("taken"))

    async def _ask(self, what: str, argument: tuple[str, ...] = ()) -> object:
        self._pipe.send((what, argument))
        return await asyncio.to_thread(self._pipe.recv)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """This process runs on one core from entering to leaving: the `core`-th of those that it may use."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@asynccontextmanager
async def deployment(
    feed: Feed, channels: Iterable[Channel], redis_url: str | None = None
) -> AsyncIterator[Deployment]:
    """Run an engine on `feed` from entering, once it has caught up, to leaving.

    `channels` are those that may be wanted. Over Redis another core is given to who listens.
    """
    clock, registry = SystemClock(), CollectorRegistry()
    durations_ms = {each.name: 0 if each.timeframe is None else each.timeframe.ns // NS_PER_MS for each in channels}
    async with (
        _bus(redis_url, durations_ms) as (bus, listening),
        engine([feed], bus, topics=DEFAULT_TOPICS, clock=clock, registry=registry) as running,
    ):
        await running.caught_up.wait()
        yield Deployment(running, listening, registry)


@asynccontextmanager
async def engine_in_memory(feed: Feed, listener: Listener) -> AsyncIterator[MemoryBroker]:
    """Run an engine on `feed` from entering, once it has caught up, to leaving; `listener` hears what it publishes."""
    clock = SystemClock()
    broker = MemoryBroker(topics=DEFAULT_TOPICS, monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S)
    async with (
        broker.listen(listener),
        engine([feed], broker, topics=DEFAULT_TOPICS, clock=clock, registry=CollectorRegistry()) as running,
    ):
        await running.caught_up.wait()
        yield broker


@asynccontextmanager
async def _bus(redis_url: str | None, durations_ms: Mapping[str, int]) -> AsyncIterator[tuple[Bus, Listening]]:
    if redis_url is None:
        clock = SystemClock()
        broker = MemoryBroker(topics=DEFAULT_TOPICS, monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S)
        async with _listening(broker, durations_ms) as here:
            yield broker, here
        return
    with _reader(redis_url, durations_ms) as pipe:
        async with redis_bus(RedisConfig(url=redis_url, prefix=PREFIX)) as bus:
            yield bus, _There(pipe)


@asynccontextmanager
async def _listening(broker: Broker, durations_ms: Mapping[str, int]) -> AsyncIterator[_Here]:
    ear = Ear(durations_ms)
    here = _Here(broker, ear)
    async with broker.listen(ear), asyncio.TaskGroup() as tasks:
        renewing = tasks.create_task(here.renew(), name="bench.renew")
        yield here
        renewing.cancel()


@contextmanager
def _reader(redis_url: str, durations_ms: Mapping[str, int]) -> Iterator[Connection]:
    """A process that listens, from entering to leaving."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_listen_over_redis, args=(there, redis_url, dict(durations_ms)), daemon=True)
    process.start()
    there.close()
    try:
        here.recv()
        yield here
    finally:
        here.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()


def _listen_over_redis(pipe: Connection, redis_url: str, durations_ms: Mapping[str, int]) -> None:
    """The life of the process that listens: until the pipe is closed."""
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    if others:
        with suppress(OSError):
            os.sched_setaffinity(0, others)
    configure_logs(LogConfig(level="warning"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, suppress(KeyboardInterrupt):
        runner.run(_answer(pipe, redis_url, durations_ms))


async def _answer(pipe: Connection, redis_url: str, durations_ms: Mapping[str, int]) -> None:
    config = RedisConfig(url=redis_url, prefix=PREFIX)
    async with redis_broker(config) as broker, _listening(broker, durations_ms) as here:
        pipe.send("ready")
        while (asked := await asyncio.to_thread(_received, pipe)) is not None:
            what, argument = asked
            match what:
                case "want":
                    await here.want(argument)
                    pipe.send(None)
                case "reset":
                    await here.reset()
                    pipe.send(None)
                case _:
                    pipe.send(await here.taken())


def _received(pipe: Connection) -> tuple[str, tuple[str, ...]] | None:
    """What is asked next; None once nobody asks any more."""
    try:
        asked: tuple[str, tuple[str, ...]] = pipe.recv()
    except EOFError:
        return None
    return asked
