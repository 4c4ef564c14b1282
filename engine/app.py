"""Builds and joins the parts of an engine; the only place that knows them all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry

from engine.budget import Budget
from engine.bus import Bus
from engine.config import ComputingConfig, SnapshotsConfig
from engine.errors import BusUnavailableError
from engine.feeds.feed import Feed
from engine.loop import EngineLoop
from engine.metrics import EngineMetrics
from engine.publisher import Publisher
from engine.publisher_redis import RedisBus
from engine.shard import Shard
from engine.snapshot_directory import SnapshotDirectory
from engine.snapshots import Snapshots
from runtime.clock import Clock
from runtime.redis_config import RedisConfig, server_url
from wire.market import NS_PER_S

log = structlog.get_logger("engine")


class EngineOptions(Struct, frozen=True):
    """What an engine may be told beside where its ticks come from and where its values go.

    On leaving it tries for ``stop_s`` to send what waits, and as long to give its topics up.
    """

    computing: ComputingConfig = ComputingConfig()
    snapshots: SnapshotsConfig = SnapshotsConfig()
    stop_s: float = 3.0


DEFAULTS: Final = EngineOptions()


class RunningEngine(Struct, frozen=True):
    """An engine at work: `checks` say why it is not ready; `caught_up` is set once its feeds have no arrears."""

    checks: Mapping[str, Callable[[], str | None]]
    caught_up: asyncio.Event


def redis_bus(config: RedisConfig) -> RedisBus:
    """The bus that `config` names; to be entered before it is used. Raises ConfigError."""
    return RedisBus(server_url(config), prefix=config.prefix)


@asynccontextmanager
async def engine(
    feeds: Sequence[Feed],
    bus: Bus,
    *,
    topics: int,
    clock: Clock,
    registry: CollectorRegistry,
    options: EngineOptions = DEFAULTS,
) -> AsyncIterator[RunningEngine]:
    """Run an engine on `feeds` from entering to leaving; it comes to own all `topics` of `bus`, when that answers."""
    metrics, stop_s = EngineMetrics(registry), options.stop_s
    shard = Shard(feeds, Budget(options.computing.memory_mib << 20), options.computing.history_mib << 20)
    snapshots = _snapshots(shard, options.snapshots)
    publisher = Publisher(bus, range(topics), shard.instruments, lambda: clock.monotonic_ns() / NS_PER_S, metrics)
    recorded = [feed.venue for feed in feeds if feed.recorded]
    loop = EngineLoop(shard, bus, publisher, recorded=recorded, clock=clock, metrics=metrics)
    checks = {
        "bus": publisher.unreachable,
        "topics": lambda: None if publisher.owns_all else "not all topics are owned",
        "feeds": shard.unready,
        "arrears": lambda: None if loop.caught_up.is_set() else "the feeds have not caught up yet",
    }
    try:
        async with bus.serve(loop, range(topics)), asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(publisher.run(), name="engine.publisher")
            working = tasks.create_task(_work(feeds, loop, publisher, snapshots), name="engine.work")
            yield RunningEngine(checks, loop.caught_up)
            working.cancel()
            if snapshots is not None:
                await asyncio.wait([working])
                await snapshots.save()
            publisher.stop()
            await asyncio.wait([publishing], timeout=stop_s)
            publishing.cancel()
    finally:
        with contextlib.suppress(BusUnavailableError, TimeoutError):
            async with asyncio.timeout(stop_s):
                await publisher.release()
    log.info("engine.stopped", unsent_bytes=publisher.waiting_bytes)


def _snapshots(shard: Shard, config: SnapshotsConfig) -> Snapshots | None:
    if config.directory is None:
        return None
    return Snapshots(shard.lasting, SnapshotDirectory(Path(config.directory)), period_s=config.period_s)


async def _work(feeds: Sequence[Feed], loop: EngineLoop, publisher: Publisher, snapshots: Snapshots | None) -> None:
    """Compute from what the topics' owners before have left; runs until it is cancelled."""
    await publisher.acquired.wait()
    if snapshots is not None:
        await snapshots.restore()
    await loop.resume()
    log.info("engine.started")
    async with asyncio.TaskGroup() as tasks:
        for feed in feeds:
            tasks.create_task(feed.run(), name=f"engine.feed.{feed.venue}")
        tasks.create_task(loop.follow_demand(), name="engine.demand")
        tasks.create_task(loop.run(), name="engine.loop")
        if snapshots is not None:
            tasks.create_task(snapshots.run(), name="engine.snapshots")
