"""Broker -> hub: hears all topics, opens subscriptions without a gap, reads what was missed, or says that it is lost.

The rules are those of docs/bus.md; gateway/line.py has those that need no waiting.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from gateway.broker import Broker
from gateway.errors import BusUnavailableError, ChannelRefusedError
from gateway.hub import Floor, Hub, Joiner
from gateway.line import Line
from gateway.metrics import GatewayMetrics
from gateway.reader import Reader
from gateway.recovery import Recovery, recover
from gateway.subscription import Place, Subscription
from wire import close
from wire.envelope import Chart, Description, Envelope, Held
from wire.position import Offset, StreamPosition

OPEN_TIMEOUT_S: Final = 2.0
DESCRIBE_TIMEOUT_S: Final = 1.0
TICK_S: Final = 1.0
RENEW_PERIOD_S: Final = 10.0
"""The bus renews what has under 15 s of its 30 left, so every second of these does; an engine waits for 60 s more."""
LAPSE_S: Final = 75.0
"""Without a renewal for so long an engine may have dropped what is wanted here: 30 s, and the 60 s that it waits."""
DEAF_TICKS: Final = 10
"""Ticks for which a gateway that hears nothing still calls itself ready: it keeps its clients, and may come back."""
RETRY_S: Final = (0.05, 1.0)
"""The first and the longest pause before a failed read is made again."""
SPREAD_S: Final = 5.0
SPREAD_FROM: Final = 200
"""When so many subscriptions lose their position at once, their clients are told over `SPREAD_S`."""

log = structlog.get_logger("gateway")


class Opening:
    """A subscription whose place on the bus is known: its reply can be sent, then `Relay.admit` lets it flow."""

    __slots__ = ("floor", "joiner", "recalled", "recovery", "warming")

    def __init__(self, joiner: Joiner, held: Held, recovery: Recovery, *, warming: bool, recalled: bool) -> None:
        self.joiner = joiner
        self.floor = Floor(held.number, held.top)
        self.recovery = recovery
        self.warming = warming
        self.recalled = recalled
        """True when nothing had to be read for it."""


class Relay:
    """Hears a broker for a hub, as its Listener; what has to wait are children of `tasks`.

    `schedule_round` is called when something became pending in the hub.
    """

    def __init__(
        self,
        broker: Broker,
        hub: Hub,
        *,
        topics: int,
        schedule_round: Callable[[], None],
        metrics: GatewayMetrics,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._broker = broker
        self._hub = hub
        self._lines = [Line(hub) for _ in range(topics)]
        self._readers = [Reader(broker, topic, tasks) for topic in range(topics)]
        self._caught_up = asyncio.Condition()
        self._schedule_round = schedule_round
        self._metrics = metrics
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._deaf_ticks = DEAF_TICKS
        self._unreadable = 0

    @property
    def subscriptions(self) -> int:
        """Subscriptions here, opening ones among them."""
        return sum(sum(line.channels.values()) for line in self._lines)

    @property
    def unready(self) -> str | None:
        """Why not everything is heard as it is published; None when it is, or was until some seconds ago."""
        if (reason := self._broker.unavailable) is not None:
            return reason if self._deaf_ticks >= DEAF_TICKS else None
        behind = sum(line.epoch is None for line in self._lines)
        return f"{behind} of {len(self._lines)} topics have not been read yet" if behind else None

    # what the broker says

    def attached(self, topic: int) -> None:
        """Envelopes of `topic` are heard from now on; what came before is read."""
        if self._lines[topic].attached():
            self._start_catching_up(topic)

    def heard(self, topic: int, envelope: Envelope) -> None:
        """Apply an envelope, or find out what is missing before it."""
        self._metrics.envelopes.inc()
        if self._lines[topic].heard(envelope):
            self._metrics.holes.inc()
            self._start_catching_up(topic)
        if self._hub.due:
            self._schedule_round()

    # what subscribers ask

    async def open(self, subscription: Subscription, position: StreamPosition | None) -> Opening:
        """Find out where `subscription` starts; it collects meanwhile, until `admit` or `leave`.

        Raises BusUnavailableError when the bus does not answer in time, ChannelRefusedError when the engine does not
        compute the channel; the subscription is forgotten then.
        """
        line = self._lines[subscription.topic]
        line.enter(subscription)
        if position is not None and (held := line.recall(subscription.channel, position)) is not None:
            recovery = recover(held, subscription.channel, position)
            if recovery.recovered:
                self._metrics.recalls.inc()
                return Opening(self._hub.join(subscription), held, recovery, warming=False, recalled=True)
        deadline_s = asyncio.get_running_loop().time() + OPEN_TIMEOUT_S
        try:
            while True:
                joiner = self._hub.join(subscription)
                held = await self._read_before(deadline_s, subscription, position)
                warming = await self._warming(subscription, held, deadline_s)
                if held.epoch == line.epoch and not joiner.broken:
                    break
                self._hub.discard(subscription)
                await self._meet(subscription.topic, held, deadline_s)
        except BaseException:
            self.leave(subscription)
            raise
        recovery = recover(held, subscription.channel, position)
        return Opening(joiner, held, recovery, warming=warming, recalled=False)

    def admit(self, opening: Opening) -> None:
        """The reply is pending: let the subscription flow. No await may lie between `open` and this."""
        line = self._lines[opening.joiner.subscription.topic]
        line.admit(opening.joiner, opening.floor, recalled=opening.recalled)
        if self._hub.due:
            self._schedule_round()

    def leave(self, subscription: Subscription) -> None:
        """Forget `subscription`; at once, without telling the bus: demand expires by itself."""
        self._lines[subscription.topic].leave(subscription)

    # what clients ask beside

    async def read(self, topic: int, since: Offset | None, channel: str) -> Held:
        """What the bus holds, at least the finals above `since`; who asks at once shares a read.

        Raises BusUnavailableError.
        """
        return await self._readers[topic].read(since, channel)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:
        """What the channel's engine says of closed bars; it may never answer: the caller sets the time."""
        return await self._broker.history(topic, channel, limit)

    # what goes on meanwhile

    async def run(self) -> None:
        """Renew the demand of what is wanted here, and notice topics that have fallen silent; for ever."""
        loop = asyncio.get_running_loop()
        renewed_s = tried_s = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()
            if loop.time() - tried_s >= RENEW_PERIOD_S:
                tried_s = loop.time()
                if await self.renew():
                    if tried_s - renewed_s > LAPSE_S:
                        self._lapse()
                    renewed_s = tried_s

    def tick(self) -> None:
        """A second has passed: read what has fallen silent."""
        self._deaf_ticks = 0 if self._broker.unavailable is None else self._deaf_ticks + 1
        self._metrics.unreadable.inc(self._broker.unreadable - self._unreadable)
        self._unreadable = self._broker.unreadable
        for topic, line in enumerate(self._lines):
            if line.tick():
                self._metrics.silences.inc()
                self._start_catching_up(topic)

    async def renew(self) -> bool:
        """Renew the demand of every channel wanted here, once; False when the bus did not take it."""
        wanted = {topic: list(line.channels) for topic, line in enumerate(self._lines) if line.channels}
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._broker.renew(wanted)
        except (BusUnavailableError, TimeoutError) as error:
            log.warning("bus.renewal_failed", error=str(error) or "no answer in time")
            return False
        return True

    # inside

    def _start_catching_up(self, topic: int) -> None:
        task = self._tasks.create_task(self._catch_up(topic), name="gateway.relay.catch_up")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        for reader in self._readers:
            reader.stop()

    async def _catch_up(self, topic: int) -> None:
        """Read until nothing is missing behind what was read, however long the bus stays away."""
        line, pause_s = self._lines[topic], RETRY_S[0]
        while line.catching_up:
            since = line.before_read()
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    held = await self._broker.read(topic, since, list(line.channels))
            except (BusUnavailableError, TimeoutError) as error:
                log.debug("topic.unread", topic=topic, error=str(error) or "no answer in time")
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311 - spreads load, guards nothing
                pause_s = min(pause_s * 2, RETRY_S[1])
                continue
            outcome = line.caught_up(held)
            if outcome.reset:
                self._metrics.resets.inc()
            if outcome.evicted:
                log.warning("position.lost", topic=topic, evicted=len(outcome.evicted), new_epoch=outcome.reset)
            self._tell(outcome.evicted)
            if self._hub.due:
                self._schedule_round()
        async with self._caught_up:
            self._caught_up.notify_all()

    async def _meet(self, topic: int, held: Held, deadline_s: float) -> None:
        """Wait until the line knows a read that is not older than `held`. Raises BusUnavailableError in time."""
        line = self._lines[topic]
        if held.epoch != line.epoch and line.doubt():
            self._start_catching_up(topic)
        try:
            async with asyncio.timeout_at(deadline_s), self._caught_up:
                await self._caught_up.wait_for(lambda: not line.catching_up)
        except TimeoutError:
            raise BusUnavailableError(f"topic {topic} could not be read in {OPEN_TIMEOUT_S:g} s") from None

    async def _read_before(
        self, deadline_s: float, subscription: Subscription, position: StreamPosition | None
    ) -> Held:
        since = None if position is None else position.offset
        try:
            async with asyncio.timeout_at(deadline_s):
                return await self.read(subscription.topic, since, subscription.channel)
        except TimeoutError:
            raise BusUnavailableError(f"no answer from the bus in {OPEN_TIMEOUT_S:g} s") from None

    async def _warming(self, subscription: Subscription, held: Held, deadline_s: float) -> bool:
        newest = held.newest.get(subscription.channel)
        if newest is not None and newest.offset > 0:
            return False
        until_s = min(asyncio.get_running_loop().time() + DESCRIBE_TIMEOUT_S, deadline_s)
        try:
            async with asyncio.timeout_at(until_s):
                description = await self._broker.describe(subscription.topic, subscription.channel)
        except TimeoutError:
            description = Description(warming=True)
        if description.refused is not None:
            raise ChannelRefusedError(description.refused, temporary=description.temporary)
        return description.warming

    def _lapse(self) -> None:
        """Nobody may have computed what is wanted here for a while: positions are void."""
        evicted = [subscription for line in self._lines for subscription in line.lapse()]
        log.warning("demand.lapsed", evicted=len(evicted))
        self._tell(evicted)

    def _tell(self, evicted: Sequence[Subscription]) -> None:
        """Tell their clients, many of them in random order over a while, so that they do not come back as one wave."""
        if len(evicted) <= SPREAD_FROM:
            _tell(evicted)
            return
        loop = asyncio.get_running_loop()
        order = random.sample(evicted, len(evicted))
        steps = len(order) // SPREAD_FROM + 1
        for step in range(steps):
            loop.call_later(SPREAD_S * step / steps, _tell, order[step::steps])


def _tell(evicted: Sequence[Subscription]) -> None:
    for subscription in evicted:
        if subscription.place is Place.EVICTED:
            subscription.place = Place.LEFT
            subscription.sink.evict(subscription, close.POSITION_LOST)
