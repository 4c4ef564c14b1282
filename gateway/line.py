"""Line: what a gateway has heard of one topic, and the rules by which it misses nothing. Pure; no I/O.

The rules are those of docs/bus.md. Envelopes are taken in order of their numbers. Whenever one may have been missed
(hearing has begun, a number is skipped, the epoch is another, nothing was heard for long) the line catches up: what it
hears is parked, its owner reads what the bus holds, and `caught_up` takes that, and what was parked behind it. Only
what a read says is believed of an epoch: an envelope of another one may be old.
"""

from collections import deque
from typing import Final

from msgspec import Struct

from gateway.hub import Floor, Hub, Joiner
from gateway.recent import Recent
from gateway.subscription import Place, Subscription
from wire.envelope import Envelope, Held, HeldFinal, NewestFinal
from wire.position import Epoch, Offset, StreamPosition

SILENT_TICKS: Final = 3
"""Ticks without an envelope after which something must be wrong: an owner sends one every second at least."""
MAX_PARKED: Final = 50_000
"""Publications that are parked at most; when there are more, all of them go and the line reads again."""


class CaughtUp(Struct, frozen=True):
    """What a read came to: `evicted` have lost their position; with `again`, another read is needed at once."""

    evicted: tuple[Subscription, ...]
    again: bool
    reset: bool
    """True when the epoch is a new one."""


class Line:
    """One topic: all envelopes up to `number` have been heard or read, all finals up to `top`."""

    __slots__ = (
        "_admitted",
        "_began",
        "_hub",
        "_obsolete",
        "_parked",
        "_parked_before",
        "_recent",
        "_size_parked",
        "_ticks",
        "catching_up",
        "channels",
        "epoch",
        "number",
        "top",
    )

    def __init__(self, hub: Hub) -> None:
        self.epoch: Epoch | None = None
        """None until the first read."""
        self.number = 0
        self.top = Offset(0)
        self.channels: dict[str, int] = {}
        """Subscriptions here, plain, admitted or opening, by channel."""
        self.catching_up = False
        self._hub = hub
        self._admitted: list[Joiner] = []
        """Subscriptions that know more than was heard."""
        self._parked: deque[Envelope] = deque()
        self._size_parked = 0
        self._parked_before = 0
        """How many of the parked were heard before the read that is under way: it holds whatever they say."""
        self._obsolete = False
        """True when the read that is under way may have been made before the newest loss."""
        self._ticks = 0
        self._recent = Recent()
        self._began: dict[str, Offset] = {}
        """By channel: since which offset it has been subscribed here without a break."""

    # what is heard

    def attached(self) -> bool:
        """Envelopes are heard from now on; any published before may be missing. True when a catching up begins."""
        return self._begin()

    def heard(self, envelope: Envelope) -> bool:
        """Apply an envelope: finals in order, then live values; or park it. True when a catching up begins."""
        self._ticks = 0
        if self.catching_up:
            self._park(envelope)
            return False
        if envelope.epoch == self.epoch and envelope.number <= self.number + 1:
            self._apply(envelope)
            return False
        self._begin()
        self._park(envelope)
        return True

    def tick(self) -> bool:
        """A second has passed. True when a catching up begins, because of silence; there is no need without readers."""
        self._ticks += 1
        if not self.channels or self._ticks < SILENT_TICKS or self.catching_up:
            return False
        return self._begin()

    # catching up

    def doubt(self) -> bool:
        """Somebody read of another epoch. True when a catching up begins; False when one is under way already."""
        return False if self.catching_up else self._begin()

    def before_read(self) -> Offset | None:
        """The offset to read from; the read has to be made after this, and given to `caught_up`."""
        self._obsolete = False
        self._parked_before = len(self._parked)
        return None if self.epoch is None else self.top

    def caught_up(self, held: Held) -> CaughtUp:
        """Take what the bus holds, then what was parked."""
        evicted: list[Subscription] = []
        reset = held.epoch != self.epoch
        if reset:
            reset = self.epoch not in (None, "")
            evicted = [s for channel in tuple(self.channels) for s in self._evict(channel)]
            self.epoch, self.number, self.top = held.epoch, held.number, held.top
            self._recent.clear(held.top)
        else:
            lost = [channel for channel in self.channels if self._has_lost(channel, held)]
            evicted = [s for channel in lost for s in self._evict(channel)]
            for final in held.finals:
                if final.offset > self.top:
                    self._hub.publish(final.publication, final.offset, held.number, final=True)
                    self._recent.add(final)
            self.number, self.top = max(self.number, held.number), max(self.top, held.top)
        again = self._take_parked() or self._obsolete
        self._settle()
        self.catching_up = again
        return CaughtUp(tuple(evicted), again, reset)

    def lapse(self) -> tuple[Subscription, ...]:
        """Nobody may have computed the channels of this line for a while: all of them lose their position."""
        return tuple(s for channel in tuple(self.channels) for s in self._evict(channel))

    # who subscribes

    def enter(self, subscription: Subscription) -> None:
        """A subscription is being opened."""
        self.channels[subscription.channel] = self.channels.get(subscription.channel, 0) + 1
        subscription.place = Place.HERE

    def recall(self, channel: str, position: StreamPosition) -> Held | None:
        """What a read of `channel` from `position` would say, if this line knows it as well; None if it does not.

        It knows what it heard while somebody here subscribed to the channel without a break: no final can be missing.
        """
        began = self._began.get(channel)
        if self.catching_up or self.epoch is None or began is None or position.epoch not in ("", self.epoch):
            return None
        if not max(began, self._recent.begin) <= position.offset <= self.top:
            return None
        finals = self._recent.after(position.offset, channel)
        newest = NewestFinal(began, finals[-1].offset if finals else position.offset, None)
        first_held = Offset(position.offset + 1)
        return Held(self.epoch, self.number, self.top, first_held, finals, {channel: newest})

    def admit(self, joiner: Joiner, floor: Floor, *, recalled: bool = False) -> None:
        """Its reply is pending: from now on it gets what is above its floor.

        Nobody repeats a live value for one that was `recalled`: it gets the one that the others had last.
        """
        if joiner.subscription.has_finals:
            if not self._began:
                self._recent.clear(max(self.top, floor.top))
            self._began.setdefault(joiner.subscription.channel, floor.top)
        self._hub.admit(joiner, floor)
        self._admitted.append(joiner)
        self._settle()
        if recalled:
            self._hub.repeat(joiner.subscription, self.top)

    def leave(self, subscription: Subscription, place: Place = Place.LEFT) -> None:
        """Forget a subscription, whatever state it is in; without effect when that was done."""
        if subscription.place is Place.HERE:
            self._hub.discard(subscription)
            self._admitted = [j for j in self._admitted if j.subscription is not subscription]
            count = self.channels[subscription.channel]
            if count > 1:
                self.channels[subscription.channel] = count - 1
            else:
                del self.channels[subscription.channel]
                self._began.pop(subscription.channel, None)
        subscription.place = place

    # inside

    def _begin(self) -> bool:
        self._obsolete = True
        self._ticks = 0
        begins = not self.catching_up
        self.catching_up = True
        return begins

    def _park(self, envelope: Envelope) -> None:
        self._parked.append(envelope)
        self._size_parked += len(envelope.finals) + len(envelope.live)
        if self._size_parked > MAX_PARKED:
            self._unpark()
            self._obsolete = True

    def _unpark(self) -> deque[Envelope]:
        parked, self._parked = self._parked, deque()
        self._size_parked = self._parked_before = 0
        return parked

    def _take_parked(self) -> bool:
        """Apply what was parked behind what was read; True when something is missing there."""
        before = self._parked_before
        parked = self._unpark()
        for i, envelope in enumerate(parked):
            if envelope.epoch != self.epoch:
                if i < before:
                    continue
            elif envelope.number <= self.number + 1:
                self._apply(envelope)
                continue
            for rest in list(parked)[i:]:
                self._park(rest)
            return True
        return False

    def _apply(self, envelope: Envelope) -> None:
        if envelope.number <= self.number:
            return
        for i, publication in enumerate(envelope.finals):
            offset = Offset(envelope.first_offset + i)
            if offset > self.top:
                if publication.channel in self.channels:
                    self._hub.publish(publication, offset, envelope.number, final=True)
                if self._began:
                    self._recent.add(HeldFinal(offset, publication))
        wanted = self.channels
        for publication in envelope.live:
            if publication.channel in wanted:  # a call less for each of those that nobody here wants
                self._hub.publish(publication, envelope.top, envelope.number, final=False)
        self.number = envelope.number
        self.top = max(self.top, envelope.top)
        if self._admitted:
            self._settle()

    def _has_lost(self, channel: str, held: Held) -> bool:
        """Whether a final of `channel` above `top` may be beyond reach: forgotten, or never computed."""
        if held.number <= self.number or not self._hub.has_finals(channel):
            return False
        newest = held.newest.get(channel)
        if newest is None or newest.since > self.top:
            return True
        return newest.offset > self.top and held.first_held > self.top + 1

    def _evict(self, channel: str) -> list[Subscription]:
        evicted = self._hub.evict(channel)
        self._began.pop(channel, None)
        for subscription in evicted:
            self.leave(subscription, Place.EVICTED)
        return evicted

    def _settle(self) -> None:
        """Make plain subscriptions of those that know no more than was heard."""
        waiting = []
        for joiner in self._admitted:
            if joiner.floor is not None and self.number >= joiner.floor.number:
                self._hub.settle(joiner)
            else:
                waiting.append(joiner)
        self._admitted = waiting
