"""Channel -> subscriptions on this gateway; one plain loop to publish. Pure; no I/O.

A publication is framed once for each spelling of its channel that is in use, and the same bytes go to every
subscription. It is noted as one entry of the round's log, whatever the number of subscribers; whoever owns the round
has it written out: an only entry straight to every sink, several joined in each sink's `pending`. For a sink that is
congested, publications are held instead.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gateway.pace import Pace, Wheel
from gateway.subscription import Hold, Sink, Spelling, Subscription
from wire.envelope import Publication
from wire.position import Offset

MAX_COLLECTED: Final = 1_000
"""Publications that a subscription collects while it is being opened, at most."""
NO_OFFSET: Final = Offset(0)
"""What a publication of a channel without finals carries."""

Members = dict[Sink, Subscription]


class Item(Struct, frozen=True):
    """A publication on its way: `number` is that of its envelope."""

    payload: bytes
    offset: Offset
    number: int
    final: bool


class Floor(Struct, frozen=True):
    """What an opened subscription already knows: finals up to `top`, live values of envelopes up to `number`."""

    number: int
    top: Offset

    def passes(self, item: Item) -> bool:
        """True for what is news above this floor."""
        return item.offset > self.top if item.final else item.number > self.number


class Joiner:
    """A subscription that is being opened: it collects, until its reply is out and the relay has caught up with it."""

    __slots__ = ("broken", "collected", "floor", "last_live", "subscription")

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.collected: deque[Item] = deque()
        self.floor: Floor | None = None
        self.last_live: bytes | None = None
        self.broken = False
        """True when what it collected is void: the epoch changed, or it was too much."""


class _Group:
    """Those of a channel's subscriptions that get the same bytes, by what they want of them."""

    __slots__ = ("every", "finals", "paced")

    def __init__(self) -> None:
        self.every: Members = {}
        self.paced: Members = {}
        """Live values at a rate of their own."""
        self.finals: Members = {}
        """No live values."""

    def __bool__(self) -> bool:
        return bool(self.every or self.paced or self.finals)

    def members(self, subscription: Subscription) -> Members:
        """Those who want of it what this subscription does."""
        if subscription.options.final_only:
            return self.finals
        return self.every if subscription.pace is None else self.paced


class _Audience:
    """The subscriptions of one channel."""

    __slots__ = ("groups", "has_finals", "joiners", "last_live", "newcomers")

    def __init__(self, *, has_finals: bool) -> None:
        self.has_finals = has_finals
        self.groups: dict[Spelling, _Group] = {}
        self.joiners: list[Joiner] = []
        self.newcomers: list[Subscription] = []
        """Those who have not had the live value that the others had last."""
        self.last_live: bytes | None = None

    def subscriptions(self) -> Iterable[Subscription]:
        for group in self.groups.values():
            for members in (group.every, group.paced, group.finals):
                yield from members.values()


class Hub:
    """All subscriptions of one gateway."""

    def __init__(self) -> None:
        self._audiences: dict[str, _Audience] = {}
        self._log: list[tuple[Members, bytes, bool]] = []
        """What was published in this round, in order: to whom, the frame, whether it is a final."""
        self._wheel = Wheel()
        self._waiting: dict[Pace, tuple[Subscription, bytes]] = {}
        """The newest live values of those whose turn is still to come."""
        self.touched: set[Sink] = set()
        """The sinks with something of their own pending since the round was written out."""
        self.congested: dict[Sink, Hold] = {}
        """The sinks that take no more for now."""
        self.deliveries = 0
        """Publications handed to sinks so far."""

    def __len__(self) -> int:
        return len(self._audiences)

    @property
    def due(self) -> bool:
        """True when there is something to be written out."""
        return bool(self._log or self.touched)

    @property
    def pacing(self) -> bool:
        """True while ticks have to be told."""
        return bool(self._wheel)

    def has_finals(self, channel: str) -> bool:
        """False for a channel that is wanted here and has none: nothing of it can be lost."""
        audience = self._audiences.get(channel)
        return audience is None or audience.has_finals

    # publishing

    def publish(self, publication: Publication, offset: Offset, number: int, *, final: bool) -> None:
        """Hand one publication to everybody who wants it; O(1) for a channel that nobody here wants.

        A live value whose bytes are the channel's last goes only to those who have not had it.
        """
        audience = self._audiences.get(publication.channel)
        if audience is None:
            return
        payload = publication.payload
        if not audience.has_finals:
            offset = NO_OFFSET
        if audience.joiners:
            item = Item(payload, offset, number, final)
            for joiner in audience.joiners:
                self._offer(joiner, item)
        if not final and payload == audience.last_live:
            for subscription in audience.newcomers:
                self._send(subscription, payload, offset, final=False)
            audience.newcomers.clear()
            return
        audience.last_live = None if final else payload
        if not final:
            audience.newcomers.clear()
        for spelling, group in audience.groups.items():
            if final or group.every or group.paced:
                self._spread(group, spelling.publication(payload, offset), final=final)

    def _spread(self, group: _Group, frame: bytes, *, final: bool) -> None:
        if group.every:
            self._note(group.every, frame, final=final)
        if not final:
            for subscription in group.paced.values():
                self._pace(subscription, frame)
            return
        if group.paced:
            self._note(group.paced, frame, final=True)
            for subscription in group.paced.values():
                self._forget_waiting(subscription)
        if group.finals:
            self._note(group.finals, frame, final=True)

    def tick(self) -> None:
        """Some time has passed, as `gateway.pace` counts it: send what waited for its turn."""
        for pace in self._wheel.tick():
            if (waiting := self._waiting.pop(pace, None)) is not None:
                self._pace(*waiting)

    def collect(self) -> None:
        """Append what was published in this round to `pending` of each sink that wants it, or have it held."""
        log, self._log = self._log, []
        for members, frame, final in log:
            for sink in members:
                sink.pending.append(frame)
            self.touched.update(members)
            for sink in self.congested.keys() & members.keys():
                sink.pending.pop()
                self.congested[sink](members[sink], frame, final=final)

    def write_out(self) -> None:
        """Write what the round has brought: one write for each sink."""
        if len(self._log) == 1 and self._log[0][0].keys().isdisjoint(self.touched):
            members, frame, final = self._log.pop()
            for sink in self.congested.keys() & members.keys():
                self.congested[sink](members[sink], frame, final=final)
            for sink in members:
                sink.write(frame)
        else:
            self.collect()
        touched, self.touched = self.touched, set()
        for sink in touched:
            sink.flush()

    # subscribing

    def join(self, subscription: Subscription) -> Joiner:
        """Start to collect what is published on the subscription's channel from now on."""
        joiner = Joiner(subscription)
        audience = self._audiences.get(subscription.channel)
        if audience is None:
            audience = self._audiences[subscription.channel] = _Audience(has_finals=subscription.has_finals)
        audience.joiners.append(joiner)
        return joiner

    def admit(self, joiner: Joiner, floor: Floor) -> None:
        """Its reply is pending: send what it collected above `floor`, and filter by it until `settle`."""
        joiner.floor = floor
        collected, joiner.collected = joiner.collected, deque()
        for item in collected:
            self._offer(joiner, item)

    def settle(self, joiner: Joiner) -> None:
        """The relay has caught up with the joiner's floor: it becomes a plain subscription."""
        subscription = joiner.subscription
        audience = self._audiences[subscription.channel]
        audience.joiners.remove(joiner)
        group = audience.groups.get(subscription.spelling)
        if group is None:
            group = audience.groups[subscription.spelling] = _Group()
        self._seal()
        group.members(subscription)[subscription.sink] = subscription
        if audience.last_live is not None and joiner.last_live != audience.last_live and _wants_newest(subscription):
            audience.newcomers.append(subscription)

    def repeat(self, subscription: Subscription, offset: Offset) -> None:
        """Give a plain subscription the live value that the others had last, if no final came after it."""
        audience = self._audiences[subscription.channel]
        if audience.last_live is not None and _wants_newest(subscription):
            audience.newcomers = [s for s in audience.newcomers if s is not subscription]
            self._send(subscription, audience.last_live, offset, final=False)

    def discard(self, subscription: Subscription) -> None:
        """Forget a subscription, whatever state it is in; nothing is published to it afterwards."""
        audience = self._audiences.get(subscription.channel)
        if audience is None:
            return
        audience.joiners = [j for j in audience.joiners if j.subscription is not subscription]
        audience.newcomers = [s for s in audience.newcomers if s is not subscription]
        self._forget_waiting(subscription)
        group = audience.groups.get(subscription.spelling)
        if group is not None and (members := group.members(subscription)).get(subscription.sink) is subscription:
            self._seal()
            del members[subscription.sink]
            if not group:
                del audience.groups[subscription.spelling]
        if not audience.groups and not audience.joiners:
            del self._audiences[subscription.channel]

    def evict(self, channel: str) -> list[Subscription]:
        """Forget all plain and admitted subscriptions of `channel` and name them; those still opening start again."""
        audience = self._audiences.get(channel)
        if audience is None:
            return []
        evicted = list(audience.subscriptions())
        evicted += [j.subscription for j in audience.joiners if j.floor is not None]
        for joiner in audience.joiners:
            joiner.broken = True
        for subscription in evicted:
            self.discard(subscription)
        audience.last_live = None
        return evicted

    # inside

    def _note(self, members: Members, frame: bytes, *, final: bool) -> None:
        self._log.append((members, frame, final))
        self.deliveries += len(members)

    def _seal(self) -> None:
        """What was published so far goes to those who are members now, not to those who are about to be."""
        if self._log:
            self.collect()

    def _offer(self, joiner: Joiner, item: Item) -> None:
        if joiner.floor is None:
            if len(joiner.collected) >= MAX_COLLECTED:
                joiner.broken = True
                joiner.collected.clear()
            joiner.collected.append(item)
            return
        if not joiner.floor.passes(item) or (not item.final and item.payload == joiner.last_live):
            return
        joiner.last_live = None if item.final else item.payload
        self._send(joiner.subscription, item.payload, item.offset, final=item.final)

    def _send(self, subscription: Subscription, payload: bytes, offset: Offset, *, final: bool) -> None:
        if subscription.options.final_only and not final:
            return
        frame = subscription.spelling.publication(payload, offset)
        if final or subscription.pace is None:
            self._forget_waiting(subscription)
            self._note({subscription.sink: subscription}, frame, final=final)
        else:
            self._pace(subscription, frame)

    def _pace(self, subscription: Subscription, frame: bytes) -> None:
        """Send a live value if it is the subscription's turn; else it waits, in the place of an older one."""
        pace = subscription.pace
        if pace is None:
            return
        if pace.free:
            self._wheel.take(pace)
            self._note({subscription.sink: subscription}, frame, final=False)
        else:
            self._waiting[pace] = subscription, frame

    def _forget_waiting(self, subscription: Subscription) -> None:
        if subscription.pace is not None:
            self._waiting.pop(subscription.pace, None)


def _wants_newest(subscription: Subscription) -> bool:
    return subscription.options.snapshot and not subscription.options.final_only
