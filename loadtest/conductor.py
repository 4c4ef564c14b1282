"""Runs a scenario against gateways: the load, what happens to it, a measurement each second. Does I/O."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

from loadtest.deployment import STEP_MS, Deployment, Totals, bars
from loadtest.report import Run, Second, returning
from loadtest.reports import Sample, join
from loadtest.scenario import Scenario
from loadtest.servers import Servers
from loadtest.swarm import Connected, Swarm
from loadtest.target import Backoff, Habits, Target
from loadtest.verdict import Verdict, total
from loadtest.witness import Witness, witnesses

OURS: Final = "gateway"
_SETTLE_S: Final = 30.0
_COUNTED: Final = ("gateway_closes_total", "gateway_slow_consumers_total", "gateway_turned_away_total")
_SILENT_S: Final = 0.5
_LOOK_S: Final = 0.05


class Watched(Struct):
    """What came in a run so far."""

    samples: list[Sample]
    seconds: list[Second]
    handshakes: dict[int, int]


class Conductor:
    """Runs one scenario against gateways, one number of clients after the other."""

    def __init__(self, scenario: Scenario, place: Deployment, swarm: Swarm, told: Callable[[str], None]) -> None:
        self._scenario = scenario
        self._place = place
        self._swarm = swarm
        self._told = told
        self._channels = bars(scenario.channels)
        self._servers = Servers([gateway.program.pid for gateway in place.gateways])
        self._clients = 0
        self._left_s: float | None = None
        """When a gateway was told to leave."""

    async def run(self, clients: int) -> Run:
        """Have so many clients, and watch them for the scenario's time."""
        scenario = self._scenario
        empty_bytes, before = self._servers.resident_bytes(), self._clients
        connected = await self._connect(clients - before)
        connection_bytes = (self._servers.resident_bytes() - empty_bytes) / max(1, clients - before)
        each = scenario.channels_per_client
        target = self._target()
        async with witnesses(target, scenario.witnesses, self._channels, each) as those:
            began = await self._place.publisher.compute(())
            await self._swarm.measure()
            counted = await self._counted()
            before_bytes, before_s = self._servers.resident_bytes(), self._servers.look()
            watched, totals = await self._watch()
            cpu_s = self._servers.look() - before_s
            published = range(began.newest_ms + STEP_MS, totals.newest_ms + STEP_MS, STEP_MS)
            healthy = clients - self._stalled(clients)
            await self._settled(those, published, healthy)
            watched.samples.append(await self._swarm.measure())
            for second, count in watched.samples[-1].handshakes.items():
                watched.handshakes[second] = watched.handshakes.get(second, 0) + count
            verdict = total(witness.verdict(published) for witness in those) if those else None
            unrecovered = sum(witness.unrecovered for witness in those)
        whole = join(watched.samples)
        counts = await self._counted()
        run = measured(OURS, clients, connected, whole, cpu_s, scenario.run_s)
        return msgspec.structs.replace(
            run,
            expected=(totals.rounds - began.rounds) * healthy * each,
            before_bytes=before_bytes,
            resident_bytes=self._servers.resident_bytes(),
            peak_bytes=max((second.resident_bytes for second in watched.seconds), default=0),
            connection_bytes=connection_bytes,
            late_s=totals.late_s,
            swarm=_judged(whole, healthy * each * len(published)) if scenario.judging else None,
            witnesses=verdict,
            unrecovered=whole.unrecovered + unrecovered,
            evicted=whole.evicted,
            counted={
                name: count - counted.get(name, 0) for name, count in counts.items() if count > counted.get(name, 0)
            },
            open=watched.samples[-1].open,
            returning=None if self._left_s is None else returning(watched.handshakes, self._left_s, whole.opened_s),
            seconds=tuple(watched.seconds),
        )

    # inside

    def _stalled(self, clients: int) -> int:
        return 0 if self._scenario.stalling is None else max(1, round(clients * self._scenario.stalling.ratio))

    def _target(self) -> Target:
        rate = self._scenario.max_rate
        target = self._place.target(None if rate is None else {"max_rate": rate})
        if self._scenario.drain is None:
            return target
        first, *others = target.addresses
        return Target((first,), target.dialect, target.path, tuple(others))

    async def _connect(self, count: int) -> Connected:
        """So many more, some of which stall."""
        scenario, stalling = self._scenario, self._scenario.stalling
        comes_back = scenario.churn is not None or scenario.drain is not None or stalling is not None
        habits = Habits(Backoff() if comes_back else None, STEP_MS if scenario.judging else None)
        stalled = self._stalled(self._clients + count) - (self._stalled(self._clients) if self._clients else 0)
        target, each = self._target(), scenario.channels_per_client
        connected = await self._swarm.connect(target, count - stalled, self._channels, each, habits)
        if stalling is not None:
            lazy = Habits(receive_buffer_bytes=stalling.receive_buffer_bytes, stalls=True)
            await self._swarm.connect(target, stalled, self._channels, each, lazy)
        self._clients += count
        return connected

    async def _watch(self) -> tuple[Watched, Totals]:
        """Publish for the scenario's time, and measure every second of it."""
        publishing = self._scenario.publishing
        watched = Watched([], [], {})
        began_s = time.monotonic()
        await self._place.publisher.start(
            publishing.rounds_per_s, finals_every=publishing.finals_every, size_bytes=publishing.size_bytes
        )
        cpu_s = self._servers.look()
        while (at_s := time.monotonic() - began_s) < self._scenario.run_s:
            await self._act(len(watched.seconds))
            await asyncio.sleep(max(0.0, min(len(watched.seconds) + 1, self._scenario.run_s) - at_s))
            sample = await self._swarm.measure()
            for second, count in sample.handshakes.items():
                watched.handshakes[second] = watched.handshakes.get(second, 0) + count
            now_s = self._servers.look()
            watched.seconds.append(
                _second(time.monotonic() - began_s, sample, now_s - cpu_s, self._servers.resident_bytes())
            )
            watched.samples.append(sample)
            cpu_s = now_s
            if len(watched.seconds) % 10 == 0:
                self._told(_line(watched.seconds[-1]))
        return watched, await self._place.publisher.stop()

    async def _counted(self) -> dict[str, float]:
        """What the gateways that live have counted of what goes wrong."""
        counts: dict[str, float] = {}
        for gateway in self._place.gateways:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                for name, count in (await gateway.metrics()).items():
                    if name.startswith(_COUNTED):
                        counts[name] = counts.get(name, 0) + count
        return counts

    async def _settled(self, those: Sequence[Witness], published: range, healthy: int) -> None:
        """Wait until all are back and each witness has heard the last final, or will not any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await _heard(those, published)
                await self._swarm.wait_open(healthy)
                await self._swarm.wait_silent(_SILENT_S)

    async def _act(self, second: int) -> None:
        """What the scenario wants at the beginning of a second."""
        scenario = self._scenario
        churn, stalling, drain = scenario.churn, scenario.stalling, scenario.drain
        if churn is not None and _is_due(second, churn.every_s):
            await self._swarm.drop(round(self._clients * churn.ratio))
        if stalling is not None and _is_due(second, stalling.again_s):
            await self._swarm.drop(self._clients, stalled=True)
            await self._swarm.call_back()
        if drain is not None and self._left_s is None and second >= drain.after_s:
            self._left_s = time.monotonic()
            self._place.gateways[0].program.terminate()


def measured(server: str, clients: int, connected: Connected, whole: Sample, cpu_s: float, run_s: float) -> Run:
    """What any server's run has."""
    latency = whole.histogram
    return Run(
        server=server,
        clients=clients,
        connects_per_s=connected.opened / connected.elapsed_s if connected.elapsed_s else 0.0,
        failures={**connected.failures, **whole.failures},
        deliveries=whole.deliveries,
        deliveries_per_s=whole.deliveries / max(run_s, whole.span_s),
        cpu_us_per_delivery=cpu_s / whole.deliveries * 1e6 if whole.deliveries else 0.0,
        cpu_ratio=cpu_s / run_s,
        swarm_cpu_ratio=whole.cpu_s / run_s,
        p50_ms=latency.percentile_us(50) / 1e3,
        p99_ms=latency.percentile_us(99) / 1e3,
        p999_ms=latency.percentile_us(99.9) / 1e3,
        closed=whole.closed,
        by_code=whole.by_code,
    )


def _judged(whole: Sample, expected: int) -> Verdict:
    """What the clients of a swarm found; of what never came behind the last final, only the number tells."""
    missing = expected - (whole.finals - whole.repeated)
    return Verdict(whole.finals, max(whole.lost, missing), whole.repeated)


async def _heard(those: Sequence[Witness], published: range) -> None:
    """Wait until each witness has heard the last final."""
    while not all(witness.has_heard(published[-1:]) for witness in those):  # noqa: ASYNC110 - nobody tells of all
        await asyncio.sleep(_LOOK_S)


def _second(at_s: float, sample: Sample, cpu_s: float, resident_bytes: int) -> Second:
    p99_ms = sample.histogram.percentile_us(99) / 1e3
    handshakes = sum(sample.handshakes.values())
    return Second(at_s, sample.deliveries, p99_ms, handshakes, sample.open, cpu_s, resident_bytes)


def _is_due(second: int, every_s: float) -> bool:
    """Whether something is due in a second that is due every so often, not at the beginning."""
    return second > 0 and int(second / every_s) > int((second - 1) / every_s)


def _line(second: Second) -> str:
    return (
        f"{second.at_s:7.0f} s  {second.open:,} subscribers  {second.deliveries:,} deliveries  "
        f"p99 {second.p99_ms:.1f} ms  {second.resident_bytes / 1e6:.0f} MB  {second.cpu_s:.0%} of a core"
    )
