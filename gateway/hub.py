"""Channel -> subscriptions on this gateway; one plain loop to publish. Pure; no I/O.

A publication is framed once for each spelling of its channel that is in use, and the same bytes go to every
subscription. What was written is left in each sink's `pending`; whoever owns the round writes `touched` out. For a
sink that is congested, publications are held instead.
"""

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from wire.close import Unsubscribe
from wire.envelope import Publication
from wire.position import Offset

MAX_COLLECTED: Final = 1_000
"""Publications that a subscription collects while it is being opened, at most."""
NO_OFFSET: Final = Offset(0)
"""What a publication of a channel without finals carries."""


class Sink(Protocol):
    """Where a subscription's frames go: a connection. `pending` is what its next write will send, in order."""

    pending: list[bytes]

    def flush(self) -> None:
        """Write what is pending."""

    def evict(self, subscription: "Subscription", reason: Unsubscribe) -> None:
        """Tell the client that `subscription` has ended; nothing of its channel follows."""


class Hold(Protocol):
    """Keeps publications for a sink that is congested."""

    def __call__(self, subscription: "Subscription", frame: bytes, *, final: bool) -> None:
        """Keep the next publication of `subscription`."""


class Place(Enum):
    """Where a subscription stands with its gateway."""

    HERE = "here"
    EVICTED = "evicted"
    """It gets nothing any more, and its client is yet to be told."""
    LEFT = "left"


class Subscription:
    """One client's interest in one channel, under the name that the client used; without finals it has no position."""

    __slots__ = ("channel", "has_finals", "name", "place", "sink", "spelling", "topic")

    def __init__(
        self, sink: Sink, *, channel: str, topic: int, name: str, spelling: bytes, has_finals: bool = True
    ) -> None:
        self.sink = sink
        self.channel = channel
        self.has_finals = has_finals
        self.topic = topic
        self.name = name
        self.spelling = spelling
        self.place = Place.LEFT


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


class _Audience:
    """The subscriptions of one channel."""

    __slots__ = ("has_finals", "joiners", "last_live", "newcomers", "spellings")

    def __init__(self, *, has_finals: bool) -> None:
        self.has_finals = has_finals
        self.spellings: dict[bytes, dict[Sink, Subscription]] = {}
        self.joiners: list[Joiner] = []
        self.newcomers: list[Subscription] = []
        """Those who have not had the live value that the others had last."""
        self.last_live: bytes | None = None

    def subscriptions(self) -> Iterable[Subscription]:
        for group in self.spellings.values():
            yield from group.values()


class Hub:
    """All subscriptions of one gateway.

    `frame(spelling, payload, offset)` builds the bytes that a client gets; offset 0 is none.
    """

    def __init__(self, frame: Callable[[bytes, bytes, int], bytes]) -> None:
        self._frame = frame
        self._audiences: dict[str, _Audience] = {}
        self.touched: set[Sink] = set()
        """The sinks with something pending since the owner of the round emptied it."""
        self.congested: dict[Sink, Hold] = {}
        """The sinks that take no more for now."""
        self.deliveries = 0
        """Publications handed to sinks so far."""

    def __len__(self) -> int:
        return len(self._audiences)

    def has_finals(self, channel: str) -> bool:
        """False for a channel that is wanted here and has none: nothing of it can be lost."""
        audience = self._audiences.get(channel)
        return audience is None or audience.has_finals

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
        for spelling, group in audience.spellings.items():
            frame = self._frame(spelling, payload, offset)
            for sink in group:
                sink.pending.append(frame)
            if self.congested:
                self._hold(group, frame, final=final)
            self.touched.update(group)
            self.deliveries += len(group)

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
        audience.spellings.setdefault(subscription.spelling, {})[subscription.sink] = subscription
        if audience.last_live is not None and joiner.last_live != audience.last_live:
            audience.newcomers.append(subscription)

    def repeat(self, subscription: Subscription, offset: Offset) -> None:
        """Give a plain subscription the live value that the others had last, if no final came after it."""
        audience = self._audiences[subscription.channel]
        if audience.last_live is not None:
            audience.newcomers = [s for s in audience.newcomers if s is not subscription]
            self._send(subscription, audience.last_live, offset, final=False)

    def discard(self, subscription: Subscription) -> None:
        """Forget a subscription, whatever state it is in; nothing is published to it afterwards."""
        audience = self._audiences.get(subscription.channel)
        if audience is None:
            return
        audience.joiners = [j for j in audience.joiners if j.subscription is not subscription]
        audience.newcomers = [s for s in audience.newcomers if s is not subscription]
        group = audience.spellings.get(subscription.spelling)
        if group is not None and group.get(subscription.sink) is subscription:
            del group[subscription.sink]
            if not group:
                del audience.spellings[subscription.spelling]
        if not audience.spellings and not audience.joiners:
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
        frame, sink = self._frame(subscription.spelling, payload, offset), subscription.sink
        hold = self.congested.get(sink)
        if hold is None:
            sink.pending.append(frame)
        else:
            hold(subscription, frame, final=final)
        self.touched.add(sink)
        self.deliveries += 1

    def _hold(self, group: dict[Sink, Subscription], frame: bytes, *, final: bool) -> None:
        """Take `frame` back from the congested of `group`: they are few, and the others need not be asked."""
        for sink in self.congested.keys() & group.keys():
            sink.pending.pop()
            self.congested[sink](group[sink], frame, final=final)
