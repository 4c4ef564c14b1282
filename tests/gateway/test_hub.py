"""One publication reaches everybody who wants it, once, framed once for each spelling."""

from gateway.hub import Floor, Hub, Joiner, Subscription
from wire.close import Unsubscribe
from wire.envelope import Publication
from wire.position import Offset

CHANNEL = "signals:DEMO:S01@1m:rsi(close,14)"


class Sink:
    """A connection as the hub sees it."""

    def __init__(self) -> None:
        self.pending: list[bytes] = []

    def flush(self) -> None:
        self.pending.clear()

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise AssertionError("a hub evicts nobody by itself")


def frame(spelling: bytes, payload: bytes, offset: int) -> bytes:
    return b"%b %b @%d" % (spelling, payload, offset)


def subscription(sink: Sink, spelling: bytes = b"rsi", *, has_finals: bool = True) -> Subscription:
    name = spelling.decode()
    return Subscription(sink, channel=CHANNEL, topic=0, name=name, spelling=spelling, has_finals=has_finals)


def opened(hub: Hub, sub: Subscription, *, number: int = 0, top: int = 0) -> Joiner:
    joiner = hub.join(sub)
    hub.admit(joiner, Floor(number, Offset(top)))
    return joiner


def subscribed(hub: Hub, sub: Subscription) -> Subscription:
    hub.settle(opened(hub, sub))
    return sub


def publish(hub: Hub, payload: bytes, offset: int, number: int, *, final: bool) -> None:
    hub.publish(Publication(CHANNEL, payload), Offset(offset), number, final=final)


def test_every_subscriber_gets_the_same_bytes() -> None:
    hub, one, two = Hub(frame), Sink(), Sink()
    subscribed(hub, subscription(one))
    subscribed(hub, subscription(two))
    publish(hub, b"1", 1, 1, final=True)
    assert one.pending == [b"rsi 1 @1"]
    assert one.pending[0] is two.pending[0]
    assert hub.touched == {one, two}
    assert hub.deliveries == 2


def test_a_client_hears_of_a_channel_under_the_name_that_it_used() -> None:
    hub, sink = Hub(frame), Sink()
    subscribed(hub, subscription(sink, b"rsi"))
    subscribed(hub, subscription(sink, b"rsi(14)"))
    publish(hub, b"1", 1, 1, final=True)
    assert sorted(sink.pending) == [b"rsi 1 @1", b"rsi(14) 1 @1"]


def test_nothing_is_framed_for_a_channel_that_nobody_wants() -> None:
    framed: list[bytes] = []

    def note(spelling: bytes, payload: bytes, offset: int) -> bytes:
        framed.append(spelling)
        return frame(spelling, payload, offset)

    hub = Hub(note)
    publish(hub, b"1", 1, 1, final=True)
    assert (framed, hub.touched, len(hub)) == ([], set(), 0)


def test_a_removed_subscription_gets_nothing_more_and_leaves_no_trace() -> None:
    hub, sink = Hub(frame), Sink()
    sub = subscribed(hub, subscription(sink))
    hub.discard(sub)
    publish(hub, b"1", 1, 1, final=True)
    assert sink.pending == []
    assert len(hub) == 0


def test_a_joiner_gets_what_was_published_while_it_was_opened_above_its_floor() -> None:
    hub, sink = Hub(frame), Sink()
    joiner = hub.join(subscription(sink))
    publish(hub, b"f1", 1, 1, final=True)
    publish(hub, b"l1", 1, 1, final=False)
    publish(hub, b"f2", 2, 2, final=True)
    publish(hub, b"l2", 2, 2, final=False)
    assert sink.pending == []
    hub.admit(joiner, Floor(number=1, top=Offset(1)))
    assert sink.pending == [b"rsi f2 @2", b"rsi l2 @2"]


def test_an_admitted_joiner_is_filtered_until_the_relay_has_caught_up() -> None:
    hub, sink = Hub(frame), Sink()
    joiner = opened(hub, subscription(sink), number=5, top=9)
    publish(hub, b"old", 9, 4, final=True)
    publish(hub, b"older", 9, 5, final=False)
    publish(hub, b"new", 10, 6, final=True)
    hub.settle(joiner)
    publish(hub, b"next", 11, 7, final=True)
    assert sink.pending == [b"rsi new @10", b"rsi next @11"]


def test_a_repeated_live_value_goes_only_to_those_who_have_not_had_it() -> None:
    hub, old, new = Hub(frame), Sink(), Sink()
    subscribed(hub, subscription(old))
    publish(hub, b"live", 0, 1, final=False)
    subscribed(hub, subscription(new))
    publish(hub, b"live", 0, 2, final=False)
    publish(hub, b"live", 0, 3, final=False)
    assert old.pending == [b"rsi live @0"]
    assert new.pending == [b"rsi live @0"]


def test_a_live_value_after_a_final_is_news_even_when_its_bytes_repeat() -> None:
    hub, sink = Hub(frame), Sink()
    subscribed(hub, subscription(sink))
    publish(hub, b"live", 0, 1, final=False)
    publish(hub, b"final", 1, 2, final=True)
    publish(hub, b"live", 1, 3, final=False)
    assert sink.pending == [b"rsi live @0", b"rsi final @1", b"rsi live @1"]


def test_a_final_is_never_taken_for_a_repeated_live_value_nor_the_reverse() -> None:
    hub, sink = Hub(frame), Sink()
    subscribed(hub, subscription(sink))
    publish(hub, b"same", 0, 1, final=False)
    publish(hub, b"same", 1, 2, final=True)
    publish(hub, b"same", 1, 3, final=False)
    assert sink.pending == [b"rsi same @0", b"rsi same @1", b"rsi same @1"]


def test_a_joiner_that_had_the_live_value_while_filtered_does_not_get_it_twice() -> None:
    hub, sink, other = Hub(frame), Sink(), Sink()
    subscribed(hub, subscription(other))
    joiner = opened(hub, subscription(sink), number=1)
    publish(hub, b"live", 0, 2, final=False)
    hub.settle(joiner)
    publish(hub, b"live", 0, 3, final=False)
    assert sink.pending == [b"rsi live @0"]


def test_eviction_names_everybody_who_flows_and_breaks_those_who_are_opening() -> None:
    hub, one, two = Hub(frame), Sink(), Sink()
    flowing = subscribed(hub, subscription(one))
    opening = hub.join(subscription(two))
    assert hub.evict(CHANNEL) == [flowing]
    assert opening.broken
    publish(hub, b"1", 1, 1, final=True)
    assert one.pending == []


def test_a_joiner_collects_a_bounded_number_and_is_broken_beyond() -> None:
    hub = Hub(frame)
    joiner = hub.join(subscription(Sink()))
    for n in range(1001):
        publish(hub, b"f", n + 1, n + 1, final=True)
    assert joiner.broken
    assert len(joiner.collected) <= 1000


def test_a_channel_without_finals_has_no_offset_in_whatever_state_its_subscriptions_are() -> None:
    hub, plain, admitted, opening = Hub(frame), Sink(), Sink(), Sink()
    subscribed(hub, subscription(plain, has_finals=False))
    opened(hub, subscription(admitted, has_finals=False), number=1)
    joiner = hub.join(subscription(opening, has_finals=False))
    publish(hub, b"live", 9, 2, final=False)
    hub.admit(joiner, Floor(1, Offset(9)))
    assert plain.pending == admitted.pending == opening.pending == [b"rsi live @0"]


def test_a_hub_knows_of_what_is_wanted_here_whether_it_has_finals() -> None:
    hub = Hub(frame)
    sub = subscription(Sink(), has_finals=False)
    assert hub.has_finals(CHANNEL)
    hub.join(sub)
    assert not hub.has_finals(CHANNEL)
    hub.discard(sub)
    hub.join(subscription(Sink()))
    assert hub.has_finals(CHANNEL)
