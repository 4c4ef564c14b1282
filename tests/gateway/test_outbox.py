"""What waits for a slow reader: finals, replies and pushes in order, and the newest live value of each subscription."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import OutboxConfig
from gateway.outbox import Outbox, Overdue
from gateway.subscription import Subscription
from tests.gateway.plain import Sink
from tests.gateway.test_hub import subscription

LIMITS = OutboxConfig(queue_bytes=4096, oldest_s=5.0, stalled_s=3.0)


def outbox() -> Outbox:
    return Outbox(LIMITS, 0.0)


def two() -> tuple[Subscription, Subscription]:
    return subscription(Sink(), b"a"), subscription(Sink(), b"b")


def test_finals_replies_and_pushes_keep_their_order() -> None:
    box, (a, b) = outbox(), two()
    box.queue(b"reply", 0.0)
    box.hold(a, b"a1", 0.0, final=True)
    box.hold(b, b"b1", 0.0, final=True)
    box.queue(b"push", 0.0)
    box.hold(a, b"a2", 0.0, final=True)
    assert box.take() == [b"reply", b"a1", b"b1", b"push", b"a2"]
    assert box.take() == []


def test_of_live_values_the_newest_waits_behind_the_queue_and_keeps_its_turn() -> None:
    box, (a, b) = outbox(), two()
    box.hold(a, b"a1", 0.0, final=False)
    box.hold(b, b"b1", 0.0, final=False)
    box.hold(a, b"a2", 0.0, final=False)
    box.queue(b"reply", 0.0)
    assert box.take() == [b"reply", b"a2", b"b1"]


def test_a_final_discards_the_live_value_that_waits_on_its_subscription_only() -> None:
    box, (a, b) = outbox(), two()
    box.hold(a, b"a live", 0.0, final=False)
    box.hold(b, b"b live", 0.0, final=False)
    box.hold(a, b"a final", 0.0, final=True)
    assert (box.queued_bytes, box.live_bytes) == (len(b"a final"), len(b"b live"))
    assert box.take() == [b"a final", b"b live"]


def test_a_removed_subscription_takes_its_waiting_values_with_it() -> None:
    box, (a, b) = outbox(), two()
    for each, name in ((a, b"a"), (b, b"b")):
        box.hold(each, name + b" final", 0.0, final=True)
        box.hold(each, name + b" live", 0.0, final=False)
    box.drop(a)
    box.queue(b"unsubscribed", 0.0)
    assert box.take() == [b"b final", b"unsubscribed", b"b live"]
    assert (box.queued_bytes, box.live_bytes) == (0, 0)


def test_a_name_that_is_subscribed_again_is_another_subscription() -> None:
    box, (old, _), (new, _) = outbox(), two(), two()
    box.hold(old, b"old", 0.0, final=True)
    box.drop(old)
    box.hold(new, b"new", 0.0, final=True)
    box.drop(old)
    assert box.take() == [b"new"]


def test_what_is_taken_ends_with_the_frame_that_reaches_the_limit() -> None:
    box, (a, b) = outbox(), two()
    for n in range(3):
        box.queue(b"%d" % n * 10, 0.0)
    box.hold(a, b"a" * 10, 0.0, final=False)
    box.hold(b, b"b" * 10, 0.0, final=False)
    assert [len(box.take(11)) for _ in range(4)] == [2, 2, 1, 0]


def test_the_newest_pong_alone_waits_and_goes_first() -> None:
    box = outbox()
    box.queue(b"reply", 0.0)
    box.newest_pong = b"pong 1"
    box.newest_pong = b"pong 2"
    assert box.take(1) == [b"pong 2", b"reply"]
    assert box.take() == []


@pytest.mark.parametrize(("size", "overdue"), [(4096, None), (4097, Overdue.BYTES)])
def test_a_reader_is_slow_when_the_queue_outgrows_its_bytes(size: int, overdue: Overdue | None) -> None:
    box, (a, _) = outbox(), two()
    box.queue(bytes(4000), 0.0)
    box.hold(a, bytes(size - 4000), 0.0, final=True)
    assert box.overflows == (overdue is not None)
    assert box.overdue(0.0) is overdue


def test_live_values_never_make_a_reader_slow() -> None:
    box, (a, _) = outbox(), two()
    for _ in range(10):
        box.hold(a, bytes(5000), 0.0, final=False)
    box.accepted(100.0)
    assert box.live_bytes == 5000
    assert box.overdue(100.0) is None


def test_a_reader_is_slow_when_the_oldest_of_the_queue_waits_for_too_long() -> None:
    box = outbox()
    box.queue(b"1", 1.0)
    box.queue(b"2", 2.0)
    box.accepted(6.0)
    assert box.overdue(6.0) is None
    assert box.overdue(6.1) is Overdue.AGE
    box.take(1)
    assert box.overdue(6.1) is None
    assert box.overdue(7.1) is Overdue.AGE


def test_a_reader_is_slow_when_it_has_accepted_nothing_for_too_long() -> None:
    box = Outbox(LIMITS, 1.0)
    assert box.overdue(4.0) is None
    assert box.overdue(4.1) is Overdue.STALLED
    box.accepted(2.0)
    assert box.overdue(5.0) is None
    assert box.overdue(5.1) is Overdue.STALLED


# whatever comes in whatever order


@dataclass(frozen=True)
class Queue:
    pass


@dataclass(frozen=True)
class Hold:
    channel: int
    final: bool


@dataclass(frozen=True)
class Drop:
    channel: int


@dataclass(frozen=True)
class Take:
    limit_bytes: int


CHANNELS = st.integers(0, 3)
STEPS = st.lists(
    st.one_of(
        st.builds(Queue),
        st.builds(Hold, CHANNELS, st.booleans()),
        st.builds(Hold, CHANNELS, st.booleans()),
        st.builds(Drop, CHANNELS),
        st.builds(Take, st.integers(0, 60)),
    ),
    max_size=60,
)


@dataclass
class Client:
    """What a client sees, and what it is due; a frame is named by its number, and is of any length."""

    subscriptions: list[Subscription] = field(default_factory=lambda: [subscription(Sink()) for _ in range(4)])
    box: Outbox = field(default_factory=outbox)
    offered: list[tuple[int | None, bool]] = field(default_factory=list)
    """The channel of each frame (None: a reply), and whether it is queued."""
    lengths: list[int] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    got: list[int] = field(default_factory=list)

    def offer(self, channel: int | None, *, final: bool) -> None:
        number = len(self.offered)
        frame = b"%d" % number + b" " * (number * 7 % 23)
        self.offered.append((channel, final))
        self.lengths.append(len(frame))
        if channel is None:
            self.box.queue(frame, 0.0)
        else:
            self.box.hold(self.subscriptions[channel], frame, 0.0, final=final)

    def drop(self, channel: int) -> None:
        self.box.drop(self.subscriptions[channel])
        self.dropped.update(n for n, (of, _) in enumerate(self.offered) if of == channel and n not in self.got)

    def take(self, limit_bytes: int | None) -> None:
        frames = self.box.take(limit_bytes)
        taken = [int(frame) for frame in frames]
        if limit_bytes is not None:
            assert sum(len(frame) for frame in frames[:-1]) < max(limit_bytes, 1)
        for number in taken:
            channel, queued = self.offered[number]
            if not queued:
                assert number == self.newest(channel)
        self.got += taken

    def newest(self, channel: int | None) -> int:
        return max(n for n, (of, _) in enumerate(self.offered) if of == channel)

    def check_order(self) -> None:
        """Each frame once, none that was dropped; all that is queued in order, and each channel in order."""
        assert len(set(self.got)) == len(self.got)
        assert not self.dropped & set(self.got)
        queued = [n for n in self.got if self.offered[n][1]]
        assert queued == sorted(queued)
        for channel in range(4):
            mine = [n for n in self.got if self.offered[n][0] == channel]
            assert mine == sorted(mine)

    def check_bytes(self) -> None:
        gone = self.dropped | set(self.got)
        waiting = [n for n in range(len(self.offered)) if n not in gone]
        assert self.box.queued_bytes == sum(self.lengths[n] for n in waiting if self.offered[n][1])
        live = [n for n in waiting if not self.offered[n][1] and n == self.newest(self.offered[n][0])]
        assert self.box.live_bytes == sum(self.lengths[n] for n in live)


@given(STEPS)
def test_a_client_gets_every_final_and_reply_once_in_order_and_the_newest_live_value_at_last(
    steps: list[Queue | Hold | Drop | Take],
) -> None:
    client = Client()
    for step in steps:
        match step:
            case Queue():
                client.offer(None, final=True)
            case Hold(channel, final):
                client.offer(channel, final=final)
            case Drop(channel):
                client.drop(channel)
            case Take(limit_bytes):
                client.take(limit_bytes)
        client.check_order()
        client.check_bytes()
    client.take(None)
    client.check_order()
    client.check_bytes()
    due = {n for n, (_, queued) in enumerate(client.offered) if queued} - client.dropped
    assert due <= set(client.got)
    for channel in range(4):
        mine = [n for n, (of, _) in enumerate(client.offered) if of == channel and n not in client.dropped]
        assert not mine or max(mine) in client.got
