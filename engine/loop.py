"""The engine's loop: asks what is wanted, runs the shard's cycles, hands what comes out to the publisher."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from engine.bus import Bus
from engine.demand import Demand
from engine.errors import UnknownChannelError
from engine.metrics import EngineMetrics
from engine.publisher import Publisher
from engine.shard import Cycle, Shard, Totals
from runtime.clock import Clock
from wire import channel as channels
from wire.channel import Channel, ChannelError
from wire.envelope import Description
from wire.market import NS_PER_MS, NS_PER_S
from wire.topics import topic_of

CYCLE_S: Final = 0.01
DEMAND_PERIOD_S: Final = 5.0

log = structlog.get_logger("engine")


class EngineLoop:
    """One engine at work; as the owner of its topics it hears what is wanted."""

    def __init__(
        self, shard: Shard, bus: Bus, publisher: Publisher, *, topics: int, clock: Clock, metrics: EngineMetrics
    ) -> None:
        self._shard = shard
        self._bus = bus
        self._publisher = publisher
        self._topics = topics
        self._clock = clock
        self._metrics = metrics
        self._demand = Demand()
        self._computed: dict[str, tuple[int, Channel]] = {}
        self._totals = Totals()
        self._stopping = False
        self.caught_up = asyncio.Event()
        """Set once the feeds have brought all that was there when the engine came up."""

    # as the owner of topics

    def wanted(self, topic: int, wanted: Sequence[str]) -> None:
        """Somebody subscribes: compute it, and repeat its live value in the next cycle."""
        del topic
        self._demand.ring(wanted)

    def describe(self, topic: int, channel: str) -> Description:
        """Whether `channel` still warms up; it is computed from now on."""
        del topic
        self._start(channel)
        computed = self._computed.get(channel)
        return Description(warming=True) if computed is None else self._shard.describe(computed[1])

    # the loop

    def stop(self) -> None:
        """Let `run` end after the cycle that runs."""
        self._stopping = True

    async def run(self) -> None:
        """Run cycles until `stop`."""
        demanded_s = float("-inf")
        while not self._stopping:
            now_s = self._clock.monotonic_ns() / NS_PER_S
            if now_s - demanded_s >= DEMAND_PERIOD_S:
                demanded_s = now_s
                await self._read_demand()
            behind = self.cycle()
            await asyncio.sleep(0 if behind else CYCLE_S)

    def cycle(self) -> bool:
        """One cycle; True when the feeds have more to give at once."""
        began_ns = self._clock.monotonic_ns()
        change = self._demand.take(began_ns / NS_PER_S)
        for name in change.started:
            self._start(name)
        for name in change.dropped:
            self._drop(name)
        cycle = self._shard.cycle(self._clock.wall_ns(), change.repeated)
        for venue, boundary in cycle.boundaries:
            name = f"{venue}@{boundary.timeframe.value}"
            finals = [(self._computed[p.channel][0], p) for p in boundary.finals]
            self._publisher.close(name, boundary.open_ns // NS_PER_MS, finals)
        for publication in cycle.live:
            self._publisher.offer(self._computed[publication.channel][0], publication)
        if not cycle.behind and not self.caught_up.is_set():
            self.caught_up.set()
        self._count(cycle)
        self._metrics.cycle.observe((self._clock.monotonic_ns() - began_ns) / NS_PER_S)
        return cycle.behind

    def _count(self, cycle: Cycle) -> None:
        metrics, before, totals = self._metrics, self._totals, self._shard.totals()
        metrics.boundaries.inc(len(cycle.boundaries))
        metrics.ticks.inc(totals.ticks - before.ticks)
        metrics.late.inc(totals.late - before.late)
        metrics.refused.inc(totals.refused - before.refused)
        metrics.unknown.inc(totals.unknown - before.unknown)
        metrics.duplicates.inc(totals.duplicates - before.duplicates)
        metrics.gaps.inc(totals.gaps - before.gaps)
        metrics.feeds_up.set(totals.feeds_up)
        self._totals = totals

    async def _read_demand(self) -> None:
        wanted: set[str] = set()
        for topic in range(self._topics):
            wanted |= await self._bus.demand(topic)
        self._demand.wanted(frozenset(wanted), self._clock.monotonic_ns() / NS_PER_S)

    def _start(self, name: str) -> None:
        if name in self._computed:
            return
        try:
            channel = channels.parse(name)
            self._shard.watch(channel)
        except (ChannelError, UnknownChannelError) as error:
            log.warning("channel.refused", channel=name, error=str(error))
            return
        topic = topic_of(channel, self._topics)
        self._computed[name] = (topic, channel)
        self._publisher.start(topic, name)
        self._metrics.channels.set(len(self._computed))

    def _drop(self, name: str) -> None:
        computed = self._computed.pop(name, None)
        if computed is None:
            return
        topic, channel = computed
        self._shard.unwatch(channel)
        self._publisher.drop(topic, name)
        self._metrics.channels.set(len(self._computed))
