"""What the model of tests/property does not reach: bounds, silence, and demand that has lapsed."""

from gateway.hub import Floor, Hub
from gateway.line import MAX_PARKED, SILENT_TICKS, Line
from gateway.subscription import Place, Subscription
from tests.gateway.plain import interest
from wire.close import Unsubscribe
from wire.envelope import VERSION, Envelope, Held, HeldFinal, NewestFinal, Publication
from wire.position import Epoch, Offset, StreamPosition

CHANNEL = "bars:DEMO:S01@1m"
EPOCH = Epoch("e")


class Client:
    def __init__(self) -> None:
        self.pending: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self.pending.append(frame)

    def flush(self) -> None:
        raise NotImplementedError

    def hold(self, subscription: Subscription, frame: bytes, *, final: bool) -> None:
        raise NotImplementedError

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise NotImplementedError


def held(number: int, top: int, *finals: tuple[int, bytes]) -> Held:
    return Held(
        EPOCH,
        number,
        Offset(top),
        Offset(1),
        tuple(HeldFinal(Offset(offset), Publication(CHANNEL, payload)) for offset, payload in finals),
        {CHANNEL: NewestFinal(Offset(0), Offset(top), b"newest" if top else None)},
    )


def envelope(number: int, first: int, *finals: bytes, live: int = 0) -> Envelope:
    return Envelope(
        VERSION,
        EPOCH,
        number,
        Offset(first),
        tuple(Publication(CHANNEL, final) for final in finals),
        tuple(Publication(f"other{i}", b"1") for i in range(live)),
    )


def caught_up() -> tuple[Line, Client]:
    """A line that has read nothing yet but that there is nothing, and one plain subscription on it."""
    hub = Hub()
    line, client = Line(hub), Client()
    assert line.attached()
    line.before_read()
    assert not line.caught_up(held(0, 0)).again
    subscription = Subscription(client, interest(CHANNEL))
    line.enter(subscription)
    hub.settle(hub.join(subscription))
    return line, client


def test_a_silent_topic_is_read_after_a_while_if_somebody_wants_it() -> None:
    line, _ = caught_up()
    assert [line.tick() for _ in range(SILENT_TICKS)] == [False] * (SILENT_TICKS - 1) + [True]
    assert line.catching_up


def test_whoever_is_heard_is_not_silent() -> None:
    line, _ = caught_up()
    for number in range(1, 4):
        assert [line.tick() for _ in range(SILENT_TICKS - 1)] == [False] * (SILENT_TICKS - 1)
        line.heard(envelope(number, 1))
    assert not line.catching_up


def test_a_topic_that_nobody_wants_may_be_silent() -> None:
    line = Line(Hub())
    assert not any(line.tick() for _ in range(10))


def test_a_silence_in_which_nothing_happened_evicts_nobody() -> None:
    line, client = caught_up()
    line.heard(envelope(1, 1, b"a"))
    for _ in range(SILENT_TICKS):
        line.tick()
    assert line.before_read() == 1
    found = Held(EPOCH, 1, Offset(1), Offset(2), (), {})
    assert line.caught_up(found).evicted == ()
    line._hub.collect()
    assert client.pending == [b"a 1"]


def test_too_much_that_is_parked_is_dropped_and_read_again() -> None:
    line, client = caught_up()
    line.attached()
    line.before_read()
    for i in range(MAX_PARKED // 500 + 1):
        line.heard(envelope(i + 1, 1, live=500))
    line.heard(envelope(MAX_PARKED // 500 + 2, 1, b"a"))
    assert line.caught_up(held(0, 0)).again
    line._hub.collect()
    assert client.pending == []
    line.before_read()
    outcome = line.caught_up(held(MAX_PARKED // 500 + 2, 1, (1, b"a")))
    assert not outcome.again
    line._hub.collect()
    assert client.pending == [b"a 1"]


def test_after_a_lapse_everybody_has_lost_the_position() -> None:
    line, client = caught_up()
    (evicted,) = line.lapse()
    assert evicted.sink is client
    assert evicted.place is Place.EVICTED
    assert not line.channels
    line.heard(envelope(1, 1, b"a"))
    line._hub.collect()
    assert client.pending == []


def test_leaving_twice_counts_once() -> None:
    line, client = caught_up()
    other = Subscription(client, interest(CHANNEL))
    line.enter(other)
    line.leave(other)
    line.leave(other)
    assert line.channels == {CHANNEL: 1}
    assert other.place is Place.LEFT


def test_a_channel_without_finals_loses_no_position_and_keeps_nothing_to_recover_from() -> None:
    line, _ = caught_up()
    client = Client()
    status = Subscription(client, interest("status:DEMO", has_finals=False))
    line.enter(status)
    hub_joiner = line._hub.join(status)
    line.admit(hub_joiner, Floor(0, Offset(0)))
    line.heard(envelope(3, 2, b"b"))
    line.before_read()
    outcome = line.caught_up(held(3, 2, (1, b"a"), (2, b"b")))
    assert outcome.evicted == ()
    assert status.place is Place.HERE
    assert line.recall("status:DEMO", StreamPosition(EPOCH, Offset(2))) is None
    assert line.recall(CHANNEL, StreamPosition(EPOCH, Offset(2))) is None
