"""The row of sustained load: an engine at full work on one core, watched from outside. Does I/O."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import uvloop
from msgspec import Struct
from prometheus_client import CollectorRegistry

from runtime.logs import LogConfig, configure_logs
from signal_service.bench.deployment import Deployment, deployment, pinned
from signal_service.bench.feed import GRACE_NS, LoopFeed
from signal_service.bench.figures import Figure
from signal_service.bench.heard import Heard
from signal_service.bench.machine import resident_bytes
from signal_service.bench.markets import even_block, symbols
from signal_service.bench.scale import Scale
from signal_service.bench.wanted import spread
from wire.market import NS_PER_MS

_BLOCK_S: Final = 10
_PAST_S: Final = 6_300
"""So much of the market's past is played first: a window of 200 on bars of 30 s."""
_SETTLE_S: Final = 5.0
_LOOK_S: Final = 0.2
_START_LOOKS: Final = 600
"""Looks whether every channel has had a value, at most."""
_MB: Final = 1e6


class Run(Struct, frozen=True):
    """What was seen from outside; `started_s` until every channel had a value, `resident` at each second, bytes."""

    heard: Heard
    channels: int
    valued: int
    started_s: float
    cpu_share: float
    steps_ms: tuple[float, ...]
    resident: tuple[int, ...]
    cycle_ms: float
    cycle_p99_ms: float
    refresh_s: float | None


def load(scale: Scale) -> Iterator[Figure]:
    """Many wanted channels over all instruments at a high rate of ticks, for a while."""
    configure_logs(LogConfig(level="warning"))
    with pinned(0), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = runner.run(_run(scale))
    yield from _figures(scale, run)


async def _run(scale: Scale) -> Run:
    feed = _feed(scale)
    channels = spread(feed.instruments, scale.channels)
    async with deployment(feed, channels, scale.redis_url) as running:
        began_s = time.monotonic()
        await running.listening.want([each.name for each in channels])
        for _ in range(10 if scale.quick else _START_LOOKS):
            if (await running.listening.taken())[1] == len(channels):
                break
            await asyncio.sleep(_LOOK_S)
        started_s = time.monotonic() - began_s
        await asyncio.sleep(0 if scale.quick else _SETTLE_S)
        return await _watch(scale, running, feed, started_s)


def _feed(scale: Scale) -> LoopFeed:
    """A past long enough for every value to be there, of a tick each five seconds of each instrument."""
    block_s = 1 if scale.quick else _BLOCK_S
    return LoopFeed(
        even_block(scale.instruments, max(1, scale.instruments // 5), block_s),
        even_block(scale.instruments, scale.ticks_per_s, block_s),
        block_s=block_s,
        instruments=symbols(scale.instruments),
        past_s=2 if scale.quick else _PAST_S,
        clock_ns=time.time_ns,
    )


async def _watch(scale: Scale, running: Deployment, feed: LoopFeed, started_s: float) -> Run:
    """Let it work, and see what it takes."""
    await running.listening.reset()
    before = _cycles(running.registry)
    feed.steps_ms.clear()
    wall_s, cpu_s = time.monotonic(), time.process_time()
    resident = [resident_bytes()]
    while (left_s := wall_s + scale.measured_s - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left_s))
        resident.append(resident_bytes())
    cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - wall_s)
    heard, valued = await running.listening.taken()
    count, total, p99 = _since(before, _cycles(running.registry))
    return Run(
        heard=heard,
        channels=scale.channels,
        valued=valued,
        started_s=started_s,
        cpu_share=cpu_share,
        steps_ms=tuple(feed.steps_ms),
        resident=tuple(resident),
        cycle_ms=total / count * 1e3 if count else float("nan"),
        cycle_p99_ms=p99 * 1e3,
        refresh_s=running.registry.get_sample_value("engine_refresh_seconds"),
    )


_Cycles = tuple[float, float, tuple[tuple[float, float], ...]]
"""How many, how long together, and how many up to each bound; times in s."""


def _cycles(registry: CollectorRegistry) -> _Cycles:
    buckets: list[tuple[float, float]] = []
    count = total = 0.0
    for metric in registry.collect():
        if metric.name != "engine_cycle_seconds":
            continue
        for sample in metric.samples:
            if sample.name.endswith("_bucket"):
                buckets.append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_count"):
                count = sample.value
            elif sample.name.endswith("_sum"):
                total = sample.value
    return count, total, tuple(buckets)


def _since(before: _Cycles, after: _Cycles) -> tuple[float, float, float]:
    """(cycles, their time in s, the bound under which 99 % of them are) between two readings."""
    count = after[0] - before[0]
    earlier = dict(before[2])
    p99 = next((le for le, n in after[2] if n - earlier.get(le, 0.0) >= 0.99 * count), float("nan"))
    return count, after[1] - before[1], p99


def _figures(scale: Scale, run: Run) -> Iterator[Figure]:
    heard = run.heard
    bus = "a bus in memory, read in the same process" if scale.redis_url is None else "Redis, read on another core"
    where = (
        f"{run.channels:,} wanted channels, {scale.instruments:,} instruments, {scale.ticks_per_s:,} ticks/s, "
        f"{scale.measured_s:g} s; one process on one core, {bus}"
    )
    yield Figure(
        name="load",
        what="refresh of a live value under load, mean period",
        figure=run.refresh_s * 1e3 if run.refresh_s is not None else _mean(heard.refresh_ms),
        unit="ms",
        goal=110 if run.channels <= 10_000 else None,
        also={
            "seen p50": heard.refresh(50),
            "seen p99": heard.refresh(99),
            "a second": heard.live / heard.seconds,
            "without a value": float(run.channels - run.valued),
            "s until all had one": run.started_s,
        },
        method=f"{where}; a value that does not change is not sent, so what is seen is longer than the period",
    )
    steps = run.steps_ms or (float("nan"),)
    yield Figure(
        name="load/feed",
        what="from one drain of the feed to the next, the longest",
        figure=max(steps),
        unit="ms",
        goal=1_000,
        also={
            "p50": float(np.percentile(steps, 50)),
            "p99": float(np.percentile(steps, 99)),
            "cycle mean": run.cycle_ms,
            "cycle p99 under": run.cycle_p99_ms,
        },
        method="seen by the feed and by engine_cycle_seconds; it falls behind when this grows",
    )
    yield Figure(
        name="load/finals",
        what="a final heard, from the moment its bar may close, the latest",
        figure=heard.late(100) - GRACE_NS / NS_PER_MS,
        unit="ms",
        goal=1_000,
        also={
            "p50": heard.late(50) - GRACE_NS / NS_PER_MS,
            "p99": heard.late(99) - GRACE_NS / NS_PER_MS,
            "finals": float(heard.finals),
        },
        method="the bar's end plus the venue's grace of 250 ms, until the envelope is heard on the bus",
    )
    yield Figure(
        name="load/cpu",
        what="share of the core",
        figure=run.cpu_share,
        unit="",
        goal=1,
        also={},
        method="processor time of the engine's process, its feed and the bus in memory included",
    )
    yield Figure(
        name="load/memory",
        what="growth of the resident set over the run",
        figure=_growth(run.resident) / _MB,
        unit="MB",
        goal=50,
        also={"start": run.resident[0] / _MB, "end": run.resident[-1] / _MB, "most": max(run.resident) / _MB},
        method="least of the last tenth less the least of the first, of readings each second",
    )


def _growth(resident: Sequence[int]) -> float:
    tenth = max(1, len(resident) // 10)
    return float(min(resident[-tenth:]) - min(resident[:tenth]))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
