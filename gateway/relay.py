"""Broker -> hub: hears all topics, opens subscriptions without a gap, and says so when one cannot be avoided.

The rules are those of docs/bus.md. A hole in a topic's envelopes, or a new epoch, costs its subscriptions their
position: they are told 2500 and come back with it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.broker import Broker
from gateway.errors import BusUnavailableError, ChannelRefusedError
from gateway.hub import Floor, Hub, Joiner, Subscription
from gateway.metrics import GatewayMetrics
from gateway.recovery import Recovery, recover
from wire import close
from wire.envelope import Description, Envelope, Held
from wire.position import Epoch, Offset, StreamPosition

READ_TIMEOUT_S: Final = 2.0
DESCRIBE_TIMEOUT_S: Final = 1.0
RENEW_PERIOD_S: Final = 10.0
"""Demand lasts 30 s on the bus: two renewals may fail."""


class Opening:
    """A subscription whose place on the bus is known: its reply can be sent, then `Relay.admit` lets it flow."""

    __slots__ = ("floor", "joiner", "recovery", "warming")

    def __init__(self, joiner: Joiner, floor: Floor, recovery: Recovery, *, warming: bool) -> None:
        self.joiner = joiner
        self.floor = floor
        self.recovery = recovery
        self.warming = warming


class _Line:
    """What was heard of one topic: envelopes up to `number`, finals up to `top`.

    `epoch` is what was heard or read last (None: neither yet); `number` is None until an envelope was heard. What was
    read says nothing of what was heard: envelopes older than it may still be under way.
    """

    __slots__ = ("admitted", "channels", "epoch", "number", "top")

    def __init__(self) -> None:
        self.epoch: Epoch | None = None
        self.number: int | None = None
        self.top = Offset(0)
        self.channels: dict[str, int] = {}
        """Subscriptions, plain or opening, by channel."""
        self.admitted: list[Joiner] = []
        """Subscriptions that know more than was heard."""


class Relay:
    """Hears a broker for a hub.

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
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._broker = broker
        self._hub = hub
        self._lines = [_Line() for _ in range(topics)]
        self._schedule_round = schedule_round
        self._metrics = metrics
        self._read_timeout_s = read_timeout_s

    @property
    def subscriptions(self) -> int:
        """Subscriptions here, opening ones among them."""
        return sum(sum(line.channels.values()) for line in self._lines)

    # what the broker says

    def heard(self, topic: int, envelope: Envelope) -> None:
        """Apply an envelope: its finals in order, then its live values."""
        line = self._lines[topic]
        self._metrics.envelopes.inc()
        if self._is_broken(line, envelope):
            self._reset(topic)
        if line.number is None:
            line.epoch, line.number = envelope.epoch, envelope.number - 1
            line.top = Offset(envelope.first_offset - 1)
        if envelope.number <= line.number:
            return
        for i, publication in enumerate(envelope.finals):
            offset = Offset(envelope.first_offset + i)
            if offset > line.top:
                self._hub.publish(publication, offset, envelope.number, final=True)
        for publication in envelope.live:
            self._hub.publish(publication, envelope.top, envelope.number, final=False)
        line.number = envelope.number
        line.top = max(line.top, envelope.top)
        if line.admitted:
            self._settle(line)
        if self._hub.touched:
            self._schedule_round()

    def cut(self, topic: int) -> None:
        """Whatever was heard last of `topic`, something may be missing behind it."""
        self._reset(topic)

    # what subscribers ask

    async def open(self, subscription: Subscription, position: StreamPosition | None) -> Opening:
        """Find out where `subscription` starts; it collects meanwhile, until `admit` or `leave`.

        Raises BusUnavailableError when the bus does not answer in time, ChannelRefusedError when the engine does not
        compute the channel; the subscription is forgotten then.
        """
        line = self._lines[subscription.topic]
        line.channels[subscription.channel] = line.channels.get(subscription.channel, 0) + 1
        try:
            while True:
                joiner = self._hub.join(subscription)
                held = await self._read(subscription, position)
                warming = await self._warming(subscription, held)
                if self._meet(subscription.topic, held) and not joiner.broken:
                    break
                self._hub.discard(subscription)
        except BaseException:
            self.leave(subscription)
            raise
        recovery = recover(held, subscription.channel, position)
        return Opening(joiner, Floor(held.number, held.top), recovery, warming=warming)

    def admit(self, opening: Opening) -> None:
        """The reply is pending: let the subscription flow. No await may lie between `open` and this."""
        subscription = opening.joiner.subscription
        line = self._lines[subscription.topic]
        self._hub.admit(opening.joiner, opening.floor)
        if _has_heard(line, opening.floor):
            self._hub.settle(opening.joiner)
        else:
            line.admitted.append(opening.joiner)
        if self._hub.touched:
            self._schedule_round()

    def leave(self, subscription: Subscription) -> None:
        """Forget `subscription`; at once, without telling the bus: demand expires by itself."""
        line = self._lines[subscription.topic]
        self._hub.discard(subscription)
        line.admitted = [j for j in line.admitted if j.subscription is not subscription]
        count = line.channels.get(subscription.channel, 0)
        if count > 1:
            line.channels[subscription.channel] = count - 1
        else:
            line.channels.pop(subscription.channel, None)

    async def renew(self) -> None:
        """Renew the demand of every channel wanted here, once. Raises BusUnavailableError."""
        for topic, line in enumerate(self._lines):
            if line.channels:
                await self._broker.renew(topic, list(line.channels))

    # inside

    async def _read(self, subscription: Subscription, position: StreamPosition | None) -> Held:
        since = None if position is None else position.offset
        try:
            async with asyncio.timeout(self._read_timeout_s):
                return await self._broker.read(subscription.topic, since, [subscription.channel])
        except TimeoutError:
            raise BusUnavailableError(f"no answer from the bus in {self._read_timeout_s:g} s") from None

    async def _warming(self, subscription: Subscription, held: Held) -> bool:
        newest = held.newest.get(subscription.channel)
        if newest is not None and newest.offset > 0:
            return False
        try:
            async with asyncio.timeout(DESCRIBE_TIMEOUT_S):
                description = await self._broker.describe(subscription.topic, subscription.channel)
        except TimeoutError:
            description = Description(warming=True)
        if description.refused is not None:
            raise ChannelRefusedError(description.refused)
        return description.warming

    def _meet(self, topic: int, held: Held) -> bool:
        """Bring what was read and what was heard to one epoch; False when that voided what joiners collected."""
        line = self._lines[topic]
        known = line.epoch is None or line.epoch == held.epoch
        if not known:
            self._reset(topic)
        line.epoch = held.epoch
        return known

    @staticmethod
    def _is_broken(line: _Line, envelope: Envelope) -> bool:
        """Whether something is missing between what is known of a topic and `envelope`."""
        if line.epoch not in (None, envelope.epoch):
            return True
        if line.number is not None:
            return envelope.number > line.number + 1
        return any(j.floor is not None and envelope.number > j.floor.number + 1 for j in line.admitted)

    def _settle(self, line: _Line) -> None:
        waiting = []
        for joiner in line.admitted:
            if joiner.floor is not None and _has_heard(line, joiner.floor):
                self._hub.settle(joiner)
            else:
                waiting.append(joiner)
        line.admitted = waiting

    def _reset(self, topic: int) -> None:
        """Everybody on `topic` loses the position; the next envelope is taken as it comes."""
        line = self._lines[topic]
        line.epoch, line.number = None, None
        line.admitted = []
        evicted = [s for channel in tuple(line.channels) for s in self._hub.evict(channel)]
        if evicted:
            self._metrics.resets.inc()
        for subscription in evicted:
            self.leave(subscription)
            subscription.sink.evict(subscription, close.POSITION_LOST)


def _has_heard(line: _Line, floor: Floor) -> bool:
    """Whether all that a subscription knew when it opened has been heard as well."""
    return line.number is not None and line.number >= floor.number
