"""Builds and joins the parts of an engine; the only place that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry

from engine.bus import Bus
from engine.feeds.feed import Feed
from engine.loop import EngineLoop
from engine.metrics import EngineMetrics
from engine.publisher import Publisher
from engine.shard import Shard
from runtime.clock import Clock
from wire.market import NS_PER_S

log = structlog.get_logger("engine")


class RunningEngine(Struct, frozen=True):
    """An engine at work: `checks` say why it is not ready; `caught_up` is set once its feeds have no arrears."""

    checks: Mapping[str, Callable[[], str | None]]
    caught_up: asyncio.Event


@asynccontextmanager
async def engine(
    feeds: Sequence[Feed], bus: Bus, *, topics: int, clock: Clock, registry: CollectorRegistry
) -> AsyncIterator[RunningEngine]:
    """Run an engine on `feeds` from entering to leaving; it owns all `topics` of `bus` and says so."""
    metrics = EngineMetrics(registry)
    shard = Shard(feeds)
    publisher = Publisher(bus, range(topics), lambda: clock.monotonic_ns() / NS_PER_S, metrics)
    loop = EngineLoop(shard, bus, publisher, topics=topics, clock=clock, metrics=metrics)
    await bus.announce(shard.instruments)
    await publisher.acquire(loop)
    log.info("engine.started", topics=topics, venues=",".join(shard.instruments))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loop.run(), name="engine.loop")
        tasks.create_task(publisher.run(), name="engine.publisher")
        running = [tasks.create_task(feed.run(), name=f"engine.feed.{feed.venue}") for feed in feeds]
        checks = {
            "topics": lambda: None if publisher.owns_all else "not all topics are owned",
            "feeds": shard.unready,
        }
        yield RunningEngine(checks, loop.caught_up)
        for task in running:
            task.cancel()
        loop.stop()
        publisher.stop()
    await publisher.release()
    log.info("engine.stopped")
