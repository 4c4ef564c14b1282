"""One publication reaches everybody who wants it, once, framed once for each spelling."""

from gateway.hub import Floor, Hub, Joiner
from gateway.options import DEFAULT, Options
from gateway.subscription import Subscription
from tests.gateway.plain import Sink, interest
from wire.envelope import Publication
from wire.position import Offset

CHANNEL = "signals:DEMO:S01@1m:rsi(close,14)"


def subscription(
    sink: Sink, name: bytes = b"rsi", *, has_finals: bool = True, options: Options = DEFAULT
) -> Subscription:
    return Subscription(sink, interest(CHANNEL, name=name, has_finals=has_finals, options=options))


def opened(hub: Hub, sub: Subscription, *, number: int = 0, top: int = 0) -> Joiner:
    joiner = hub.join(sub)
    hub.admit(joiner, Floor(number, Offset(top)))
    hub.collect()
    return joiner


def subscribed(hub: Hub, sub: Subscription) -> Subscription:
    hub.settle(opened(hub, sub))
    return sub


def publish(hub: Hub, payload: bytes, offset: int, number: int, *, final: bool) -> None:
    hub.publish(Publication(CHANNEL, payload), Offset(offset), number, final=final)
    hub.collect()


def test_every_subscriber_gets_the_same_bytes() -> None:
    hub, one, two = Hub(), Sink(), Sink()
    subscribed(hub, subscription(one))
    subscribed(hub, subscription(two))
    publish(hub, b"1", 1, 1, final=True)
    assert one.pending == [b"rsi 1 @1"]
    assert one.pending[0] is two.pending[0]
    assert hub.touched == {one, two}
    assert hub.deliveries == 2


def test_a_client_hears_of_a_channel_under_the_name_that_it_used() -> None:
    hub, sink = Hub(), Sink()
    subscribed(hub, subscription(sink, b"rsi"))
    subscribed(hub, subscription(sink, b"rsi(14)"))
    publish(hub, b"1", 1, 1, final=True)
    assert sorted(sink.pending) == [b"rsi 1 @1", b"rsi(14) 1 @1"]


def test_nothing_is_done_for_a_channel_that_nobody_wants() -> None:
    hub = Hub()
    publish(hub, b"1", 1, 1, final=True)
    assert (hub.due, hub.deliveries, len(hub)) == (False, 0, 0)


def test_a_removed_subscription_gets_nothing_more_and_leaves_no_trace() -> None:
    hub, sink = Hub(), Sink()
    sub = subscribed(hub, subscription(sink))
    hub.discard(sub)
    publish(hub, b"1", 1, 1, final=True)
    assert sink.pending == []
    assert len(hub) == 0


def test_a_joiner_gets_what_was_published_while_it_was_opened_above_its_floor() -> None:
    hub, sink = Hub(), Sink()
    joiner = hub.join(subscription(sink))
    publish(hub, b"f1", 1, 1, final=True)
    publish(hub, b"l1", 1, 1, final=False)
    publish(hub, b"f2", 2, 2, final=True)
    publish(hub, b"l2", 2, 2, final=False)
    assert sink.pending == []
    hub.admit(joiner, Floor(number=1, top=Offset(1)))
    hub.collect()
    assert sink.pending == [b"rsi f2 @2", b"rsi l2 @2"]


def test_an_admitted_joiner_is_filtered_until_the_relay_has_caught_up() -> None:
    hub, sink = Hub(), Sink()
    joiner = opened(hub, subscription(sink), number=5, top=9)
    publish(hub, b"old", 9, 4, final=True)
    publish(hub, b"older", 9, 5, final=False)
    publish(hub, b"new", 10, 6, final=True)
    hub.settle(joiner)
    publish(hub, b"next", 11, 7, final=True)
    assert sink.pending == [b"rsi new @10", b"rsi next @11"]


def test_a_repeated_live_value_goes_only_to_those_who_have_not_had_it() -> None:
    hub, old, new = Hub(), Sink(), Sink()
    subscribed(hub, subscription(old))
    publish(hub, b"live", 0, 1, final=False)
    subscribed(hub, subscription(new))
    publish(hub, b"live", 0, 2, final=False)
    publish(hub, b"live", 0, 3, final=False)
    assert old.pending == [b"rsi live @0"]
    assert new.pending == [b"rsi live @0"]


def test_a_live_value_after_a_final_is_news_even_when_its_bytes_repeat() -> None:
    hub, sink = Hub(), Sink()
    subscribed(hub, subscription(sink))
    publish(hub, b"live", 0, 1, final=False)
    publish(hub, b"final", 1, 2, final=True)
    publish(hub, b"live", 1, 3, final=False)
    assert sink.pending == [b"rsi live @0", b"rsi final @1", b"rsi live @1"]


def test_a_final_is_never_taken_for_a_repeated_live_value_nor_the_reverse() -> None:
    hub, sink = Hub(), Sink()
    subscribed(hub, subscription(sink))
    publish(hub, b"same", 0, 1, final=False)
    publish(hub, b"same", 1, 2, final=True)
    publish(hub, b"same", 1, 3, final=False)
    assert sink.pending == [b"rsi same @0", b"rsi same @1", b"rsi same @1"]


def test_a_joiner_that_had_the_live_value_while_filtered_does_not_get_it_twice() -> None:
    hub, sink, other = Hub(), Sink(), Sink()
    subscribed(hub, subscription(other))
    joiner = opened(hub, subscription(sink), number=1)
    publish(hub, b"live", 0, 2, final=False)
    hub.settle(joiner)
    publish(hub, b"live", 0, 3, final=False)
    assert sink.pending == [b"rsi live @0"]


def test_eviction_names_everybody_who_flows_and_breaks_those_who_are_opening() -> None:
    hub, one, two = Hub(), Sink(), Sink()
    flowing = subscribed(hub, subscription(one))
    opening = hub.join(subscription(two))
    assert hub.evict(CHANNEL) == [flowing]
    assert opening.broken
    publish(hub, b"1", 1, 1, final=True)
    assert one.pending == []


def test_a_joiner_collects_a_bounded_number_and_is_broken_beyond() -> None:
    hub = Hub()
    joiner = hub.join(subscription(Sink()))
    for n in range(1001):
        publish(hub, b"f", n + 1, n + 1, final=True)
    assert joiner.broken
    assert len(joiner.collected) <= 1000


def test_a_channel_without_finals_has_no_offset_in_whatever_state_its_subscriptions_are() -> None:
    hub, plain, admitted, opening = Hub(), Sink(), Sink(), Sink()
    subscribed(hub, subscription(plain, has_finals=False))
    opened(hub, subscription(admitted, has_finals=False), number=1)
    joiner = hub.join(subscription(opening, has_finals=False))
    publish(hub, b"live", 9, 2, final=False)
    hub.admit(joiner, Floor(1, Offset(9)))
    hub.collect()
    assert plain.pending == admitted.pending == opening.pending == [b"rsi live @0"]


def test_a_hub_knows_of_what_is_wanted_here_whether_it_has_finals() -> None:
    hub = Hub()
    sub = subscription(Sink(), has_finals=False)
    assert hub.has_finals(CHANNEL)
    hub.join(sub)
    assert not hub.has_finals(CHANNEL)
    hub.discard(sub)
    hub.join(subscription(Sink()))
    assert hub.has_finals(CHANNEL)


# what was published goes to those who were members then


def test_whoever_leaves_in_a_round_still_gets_what_was_published_before() -> None:
    hub, sink = Hub(), Sink()
    sub = subscribed(hub, subscription(sink))
    hub.publish(Publication(CHANNEL, b"1"), Offset(1), 1, final=True)
    hub.discard(sub)
    hub.publish(Publication(CHANNEL, b"2"), Offset(2), 2, final=True)
    hub.collect()
    assert sink.pending == [b"rsi 1 @1"]


def test_whoever_comes_in_a_round_gets_only_what_is_published_afterwards() -> None:
    hub, old, new = Hub(), Sink(), Sink()
    subscribed(hub, subscription(old))
    hub.publish(Publication(CHANNEL, b"1"), Offset(1), 1, final=True)
    subscribed(hub, subscription(new))
    hub.publish(Publication(CHANNEL, b"2"), Offset(2), 2, final=True)
    hub.collect()
    assert (old.pending, new.pending) == ([b"rsi 1 @1", b"rsi 2 @2"], [b"rsi 2 @2"])


# options


def test_who_wants_finals_only_gets_no_live_value_in_whatever_state() -> None:
    hub, sink = Hub(), Sink()
    publish(hub, b"before", 0, 1, final=False)
    joiner = hub.join(subscription(sink, options=Options(final_only=True)))
    publish(hub, b"l1", 1, 2, final=False)
    publish(hub, b"f1", 1, 3, final=True)
    hub.admit(joiner, Floor(1, Offset(0)))
    publish(hub, b"l2", 1, 4, final=False)
    hub.settle(joiner)
    hub.repeat(joiner.subscription, Offset(1))
    publish(hub, b"l2", 1, 5, final=False)
    publish(hub, b"l3", 1, 6, final=False)
    publish(hub, b"f2", 2, 7, final=True)
    assert sink.pending == [b"rsi f1 @1", b"rsi f2 @2"]


def test_who_wants_no_snapshot_is_not_told_the_value_that_the_others_had() -> None:
    hub, old, new = Hub(), Sink(), Sink()
    subscribed(hub, subscription(old))
    publish(hub, b"live", 0, 1, final=False)
    sub = subscribed(hub, subscription(new, options=Options(snapshot=False)))
    hub.repeat(sub, Offset(0))
    publish(hub, b"live", 0, 2, final=False)
    assert new.pending == []
    publish(hub, b"next", 0, 3, final=False)
    assert new.pending == [b"rsi next @0"]


def test_live_values_faster_than_a_rate_are_skipped_for_the_newest_and_finals_never() -> None:
    hub, sink = Hub(), Sink()
    subscribed(hub, subscription(sink, options=Options(max_rate=10)))
    for n in range(5):
        publish(hub, b"l%d" % n, 0, n, final=False)
    assert sink.pending == [b"rsi l0 @0"]
    publish(hub, b"f", 1, 5, final=True)
    publish(hub, b"l6", 1, 6, final=False)
    publish(hub, b"l7", 1, 7, final=False)
    ticked(hub, 11)
    assert sink.pending == [b"rsi l0 @0", b"rsi f @1", b"rsi l7 @1"]
    ticked(hub, 11)
    assert not hub.pacing
    publish(hub, b"l8", 1, 8, final=False)
    assert sink.pending[3:] == [b"rsi l8 @1"]


def test_a_final_discards_the_live_value_that_waits_for_its_turn() -> None:
    hub, sink = Hub(), Sink()
    subscribed(hub, subscription(sink, options=Options(max_rate=10)))
    publish(hub, b"l1", 0, 1, final=False)
    publish(hub, b"l2", 0, 2, final=False)
    publish(hub, b"f", 1, 3, final=True)
    ticked(hub, 30)
    assert sink.pending == [b"rsi l1 @0", b"rsi f @1"]


def test_nothing_that_waits_for_its_turn_reaches_who_has_left() -> None:
    hub, sink = Hub(), Sink()
    sub = subscribed(hub, subscription(sink, options=Options(max_rate=10)))
    publish(hub, b"l1", 0, 1, final=False)
    publish(hub, b"l2", 0, 2, final=False)
    hub.discard(sub)
    ticked(hub, 30)
    assert sink.pending == [b"rsi l1 @0"]
    assert not hub.pacing


def ticked(hub: Hub, ticks: int) -> None:
    for _ in range(ticks):
        hub.tick()
        hub.collect()
