"""The engine's loop: runs the shard's cycles, hands what comes out to the publisher, follows what is wanted."""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from typing import Final

import structlog
from msgspec import Struct

from engine.backoff import delay_s
from engine.budget import BudgetError
from engine.bus import Bus
from engine.charts import Charts
from engine.demand import Demand
from engine.errors import BusUnavailableError, UnknownChannelError
from engine.metrics import EngineMetrics
from engine.packing import Correction
from engine.publisher import Publisher
from engine.resumption import Closing
from engine.shard import WARMING_NS, Cycle, More, Shard, Totals
from engine.venue import Boundary
from runtime.clock import Clock
from wire import channel as channels
from wire.channel import Channel, ChannelError
from wire.envelope import Chart, Description, Publication
from wire.market import NS_PER_MS, NS_PER_S, NS_PER_US, Timeframe
from wire.topics import topic_of

CYCLE_S: Final = 0.01
DEMAND_PERIOD_S: Final = 5.0

log = structlog.get_logger("engine")


_Outlet = tuple[int, str]
"""Where a channel is published: its topic, and the bars that it follows, ``VENUE@TIMEFRAME`` ("" for none)."""


class _Computed(Struct, frozen=True):
    """A channel that is computed, its outlet, and the length of its bars (0 for none)."""

    channel: Channel
    outlet: _Outlet
    duration_ms: int


class EngineLoop:
    """One engine at work; as the owner of the publisher's topics, all of a deployment, it hears what is wanted.

    The feeds of the venues in `recorded` bring what happened in the past.
    """

    def __init__(
        self,
        shard: Shard,
        bus: Bus,
        publisher: Publisher,
        *,
        recorded: Collection[str],
        clock: Clock,
        metrics: EngineMetrics,
    ) -> None:
        self._shard = shard
        self._bus = bus
        self._publisher = publisher
        self._recorded = frozenset(recorded)
        self._clock = clock
        self._metrics = metrics
        self._charts = Charts(shard, clock)
        self._demand = Demand()
        self._demand_due = asyncio.Event()
        self._demanded_s = float("-inf")
        self._computed: dict[str, _Computed] = {}
        self._starting: dict[str, None] = {}
        """Channels that are wanted, and wait for a cycle that has time for them."""
        self._joined: set[str] = set()
        """Computed channels whose finals are published."""
        self._postponed: dict[str, None] = {}
        """Channels that begin when the feeds have caught up: nobody wants the finals of what was before."""
        self._began_ms: dict[str, int] = {}
        """By venue: when its first bar that was closed here ended."""
        self._totals = Totals()
        self.caught_up = asyncio.Event()
        """Set once the feeds have brought all that was there when the engine came up."""

    # as the owner of topics

    def wanted(self, topic: int, wanted: Sequence[str]) -> None:
        """Somebody subscribes: compute it, and repeat its live value in the next cycle."""
        if topic in self._publisher.topics:
            self._demand.ring(wanted)

    def describe(self, topic: int, channel: str) -> Description:
        """Whether `channel` still warms up; it is computed from now on."""
        self.wanted(topic, [channel])
        if topic in self._publisher.topics:
            try:
                self._start(channel)
            except BudgetError as error:
                self._demand.forget(channel)
                return Description(warming=True, refused=str(error), temporary=True)
        computed = self._computed.get(channel)
        return Description(warming=True) if computed is None else self._shard.describe(computed.channel)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What `channel` says of the newest `limit` closed bars that are held, watched or not."""
        if topic not in self._publisher.topics:
            return Chart((), refused=f"topic {topic} is not of this engine")
        return await self._charts.chart(channel, limit)

    # what is wanted

    async def resume(self) -> None:
        """Compute what is wanted now, and drop what else the owners before have computed. Tries until it succeeds."""
        failures = 0
        while not await self._read_demand():
            failures += 1
            await asyncio.sleep(delay_s(failures, secrets.SystemRandom().random()))
        self._follow_change(lambda: True)
        for name in self._shard.warm(lambda: False):
            self._join(name)
        self._publisher.settle()
        self._shard.forget()

    async def follow_demand(self) -> None:
        """Read what is wanted whenever that is due; while the bus is away, what was wanted last stays wanted."""
        while True:
            await self._demand_due.wait()
            self._demand_due.clear()
            await self._read_demand()

    async def _read_demand(self) -> bool:
        try:
            wanted = await self._bus.demand(self._publisher.topics)
        except BusUnavailableError as error:
            log.debug("demand.unread", why=str(error))
            return False
        finally:
            self._demanded_s = self._now_s()
        self._demand.wanted(wanted, self._now_s())
        return True

    # the loop

    async def run(self) -> None:
        """Run cycles until it is cancelled."""
        while True:
            more = self.cycle()
            await asyncio.sleep(0 if more else CYCLE_S)

    def cycle(self) -> bool:
        """One cycle; True when there is more to do at once."""
        began_s = self._now_s()
        if began_s - self._demanded_s >= DEMAND_PERIOD_S:
            self._demand_due.set()
        repeated = self._follow_change(self._slice(WARMING_NS))
        wall_ns = self._clock.wall_ns()
        cycle = self._shard.cycle(wall_ns, repeated, self._slice)
        for name in cycle.joined:
            self._join(name)
        for venue, boundary in cycle.boundaries:
            self._close(venue, boundary, wall_ns)
        self._offer(cycle.live)
        if not cycle.behind and not self.caught_up.is_set():
            self._catch_up()
        self._count(cycle)
        self._metrics.cycle.observe(self._now_s() - began_s)
        return cycle.behind or cycle.unfinished or bool(self._starting)

    def _slice(self, slice_ns: int) -> More:
        """A slice of time that begins now."""
        end_ns = self._clock.monotonic_ns() + slice_ns
        return lambda: self._clock.monotonic_ns() < end_ns

    def _catch_up(self) -> None:
        """The feeds have brought all that was there: what was postponed begins."""
        self.caught_up.set()
        postponed, self._postponed = self._postponed, {}
        for name in postponed:
            self._start(name)
        self._demand.ring(postponed)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S

    def _close(self, venue: str, boundary: Boundary, wall_ns: int) -> None:
        timeframe, open_ms = boundary.timeframe, boundary.open_ns // NS_PER_MS
        duration_ms = timeframe.ns // NS_PER_MS
        sent_us = None if venue in self._recorded else wall_ns // NS_PER_US
        finals = [(self._computed[p.channel].outlet[0], p) for p in boundary.finals]
        if boundary.newest is not None:
            told = [(topic, Correction(p, row)) for (topic, p), row in zip(finals, boundary.newest, strict=True)]
            self._publisher.correct(_boundary(venue, timeframe), told)
            self._metrics.corrections.inc(len(told))
            return
        self._publisher.close(Closing(_boundary(venue, timeframe), open_ms, duration_ms, sent_us), finals)
        if venue not in self._began_ms:
            self._begin(venue, open_ms + duration_ms)

    def _begin(self, venue: str, began_ms: int) -> None:
        """The first bar has closed: now it is known which bars this engine is the first to close."""
        self._began_ms[venue] = began_ms
        for timeframe in Timeframe:
            duration_ms = timeframe.ns // NS_PER_MS
            forming_ms = began_ms // duration_ms * duration_ms
            self._publisher.begin(_boundary(venue, timeframe), forming_ms - duration_ms)

    def _offer(self, live: Sequence[Publication]) -> None:
        """Hand over live values, those of one topic and boundary together."""
        grouped: dict[_Outlet, list[Publication]] = {}
        for publication in live:
            outlet = self._computed[publication.channel].outlet
            if (group := grouped.get(outlet)) is None:
                group = grouped[outlet] = []
            group.append(publication)
        for (topic, boundary), group in grouped.items():
            computed = self._computed[group[0].channel]
            open_ms = 0
            if computed.duration_ms:
                began_ms = self._began_ms.get(computed.channel.venue, 0)
                open_ms = began_ms // computed.duration_ms * computed.duration_ms
            self._publisher.offer(topic, group, boundary, open_ms)

    def _follow_change(self, more: More) -> frozenset[str]:
        """Start, as long as `more` says, and drop what has changed; the channels whose live values are to be told."""
        change = self._demand.take(self._now_s())
        self._starting.update(dict.fromkeys(change.started))
        for name in change.dropped:
            self._drop(name)
        while self._starting:
            name = next(iter(self._starting))
            del self._starting[name]
            try:
                self._start(name)
            except BudgetError as error:
                self._demand.forget(name)
                log.warning("channel.refused", channel=name, error=str(error))
            if not more():
                break
        return change.repeated

    def _start(self, name: str) -> None:
        """Compute a channel that is not computed yet. Raises BudgetError when there is no memory for it."""
        if name in self._computed:
            return
        try:
            channel = _parse(name)
            topic = topic_of(channel, len(self._publisher.topics))
            if not (self.caught_up.is_set() or self._publisher.continues(topic, name)):
                self._postponed[name] = None
                return
            self._shard.watch(channel)
        except (ChannelError, UnknownChannelError) as error:
            log.warning("channel.refused", channel=name, error=str(error))
            return
        timeframe = channel.timeframe
        boundary = "" if timeframe is None else _boundary(channel.venue, timeframe)
        duration_ms = 0 if timeframe is None else timeframe.ns // NS_PER_MS
        self._computed[name] = _Computed(channel, (topic, boundary), duration_ms)
        self._metrics.channels.set(len(self._computed))

    def _join(self, name: str) -> None:
        """From here on every final of the channel is published."""
        computed = self._computed[name]
        if computed.channel.kind.has_finals:
            self._joined.add(name)
            topic, boundary = computed.outlet
            self._publisher.start(topic, name, boundary)

    def _drop(self, name: str) -> None:
        self._starting.pop(name, None)
        self._postponed.pop(name, None)
        computed = self._computed.pop(name, None)
        if computed is None:
            return
        self._shard.unwatch(computed.channel)
        if name in self._joined:
            self._joined.remove(name)
            self._publisher.drop(computed.outlet[0], name)
        self._metrics.channels.set(len(self._computed))

    def _count(self, cycle: Cycle) -> None:
        metrics, before, totals = self._metrics, self._totals, self._shard.totals()
        metrics.boundaries.inc(sum(boundary.newest is None for _, boundary in cycle.boundaries))
        metrics.ticks.inc(totals.ticks - before.ticks)
        metrics.late.inc(totals.late - before.late)
        metrics.refused.inc(totals.refused - before.refused)
        metrics.unknown.inc(totals.unknown - before.unknown)
        metrics.duplicates.inc(totals.duplicates - before.duplicates)
        metrics.gaps.inc(totals.gaps - before.gaps)
        metrics.feeds_up.set(totals.feeds_up)
        if totals.unknown > before.unknown:
            for venue, kind in self._shard.take_new_kinds():
                log.warning("feed.unknown_message", venue=venue, kind=kind)
        metrics.refresh.set(self._shard.refresh_s)
        metrics.graph_bytes.set(self._shard.budget.used_bytes)
        self._totals = totals


def _boundary(venue: str, timeframe: Timeframe) -> str:
    """What the closing of its bars is called on the bus."""
    return f"{venue}@{timeframe.value}"


def _parse(name: str) -> Channel:
    """The channel that others call `name`. Raises ChannelError and UnknownChannelError."""
    channel = channels.parse(name)
    if channel.name != name:
        raise UnknownChannelError(f"expected the canonical name of a channel, found {name}")
    return channel
