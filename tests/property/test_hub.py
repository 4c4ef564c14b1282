"""Whatever happens in whatever order: each final comes once and in order, and live values only forwards."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.hub import Floor, Hub, Joiner
from gateway.options import Options
from gateway.subscription import Subscription
from tests.gateway.plain import interest
from wire.close import Unsubscribe
from wire.envelope import Publication
from wire.position import Offset

CHANNEL = "c"
OPTIONS = (Options(), Options(final_only=True), Options(max_rate=50), Options(max_rate=5, snapshot=False))
NAMES = (b"a", b"b")


class Client:
    """A sink that reads what it is written, and may be congested."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.pending: list[bytes] = []
        self.heard: list[bytes] = []
        self.kept: list[tuple[Subscription, bytes, bool]] = []

    def write(self, frame: bytes) -> None:
        if self not in self.hub.congested:
            assert not self.pending
            self.heard.append(frame)

    def flush(self) -> None:
        self.heard += self.pending
        self.pending.clear()

    def hold(self, subscription: Subscription, frame: bytes, *, final: bool) -> None:
        """Keep finals in order and the newest live value behind them, as an outbox does."""
        self.kept = [each for each in self.kept if each[0] is not subscription or each[2]]
        self.kept.append((subscription, frame, final))

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise AssertionError("a hub evicts nobody by itself")


class Interested:
    """One subscription, and what it has been owed since it flows."""

    def __init__(self, client: Client, name: bytes, options: Options) -> None:
        self.client = client
        self.name = name
        self.subscription = Subscription(client, interest(CHANNEL, name=name, options=options))
        self.joiner: Joiner | None = None
        self.finals: list[int] = []
        """The numbers of the finals that it has to get."""
        self.floor = 0

    @property
    def heard(self) -> list[tuple[bool, int]]:
        """What it got: whether final, and the number."""
        frames = [frame.split(b" ") for frame in self.client.heard]
        return [(word[0] == ord("f"), int(word[1:])) for name, word, _ in frames if name == self.name]


class HubMachine(RuleBasedStateMachine):
    """One channel of a hub, two clients under two names each; values are numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub()
        self.number = 0
        self.clients = [Client(self.hub), Client(self.hub)]
        self.here: list[Interested] = []
        self.gone: list[Interested] = []

    def publish(self, *, final: bool) -> None:
        self.number += 1
        payload = b"%b%d" % (b"f" if final else b"l", self.number)
        self.hub.publish(Publication(CHANNEL, payload), Offset(self.number), self.number, final=final)
        for each in self.here:
            if final and each.joiner is not None:
                each.finals.append(self.number)

    @rule()
    def publish_final(self) -> None:
        self.publish(final=True)

    @rule()
    def publish_live(self) -> None:
        self.publish(final=False)

    @rule(which=st.integers(0, 1), name=st.sampled_from(NAMES), options=st.sampled_from(OPTIONS))
    def join(self, which: int, name: bytes, options: Options) -> None:
        client = self.clients[which]
        if any(each.client is client and each.name == name for each in self.here + self.gone):
            return
        each = Interested(client, name, options)
        each.joiner = self.hub.join(each.subscription)
        self.here.append(each)

    @rule(data=st.data(), known=st.integers(0, 3))
    @precondition(lambda self: self.joining())
    def admit(self, data: st.DataObject, known: int) -> None:
        each = data.draw(st.sampled_from(self.joining()))
        assert each.joiner is not None
        each.floor = max(self.number - known, 0)
        each.finals = [n for n in each.finals if n > each.floor]
        self.hub.admit(each.joiner, Floor(each.floor, Offset(each.floor)))

    @rule(data=st.data())
    @precondition(lambda self: self.admitted())
    def settle(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.admitted()))
        assert each.joiner is not None
        self.hub.settle(each.joiner)
        each.joiner.floor = None
        each.joiner.subscription = each.subscription
        self.settled.add(each)

    @rule(data=st.data())
    @precondition(lambda self: self.here)
    def leave(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.here))
        self.hub.discard(each.subscription)
        each.client.kept = [kept for kept in each.client.kept if kept[0] is not each.subscription]
        self.here.remove(each)
        self.gone.append(each)

    @rule(which=st.integers(0, 1))
    def congest(self, which: int) -> None:
        client = self.clients[which]
        if client not in self.hub.congested:
            client.flush()
            self.hub.congested[client] = client.hold

    @rule(which=st.integers(0, 1))
    def flow_again(self, which: int) -> None:
        client = self.clients[which]
        if self.hub.congested.pop(client, None) is not None:
            client.heard += [frame for _, frame, _ in client.kept]
            client.kept.clear()

    @rule()
    def write_out(self) -> None:
        self.hub.write_out()

    @rule(ticks=st.integers(1, 30))
    def pass_time(self, ticks: int) -> None:
        for _ in range(ticks):
            self.hub.tick()
        self.hub.write_out()

    @property
    def settled(self) -> set[Interested]:
        found: set[Interested] = self.__dict__.setdefault("_settled", set())
        return found

    def joining(self) -> list[Interested]:
        return [e for e in self.here if e.joiner is not None and e.joiner.floor is None and e not in self.settled]

    def admitted(self) -> list[Interested]:
        return [e for e in self.here if e.joiner is not None and e.joiner.floor is not None]

    @invariant()
    def nobody_goes_back(self) -> None:
        for each in self.here + self.gone:
            numbers = [number for _, number in each.heard]
            assert numbers == sorted(numbers), f"{each.subscription.options}: {each.heard}"
            finals = [number for final, number in each.heard if final]
            assert len(set(finals)) == len(finals)
            if each.subscription.options.final_only:
                assert all(final for final, _ in each.heard)

    def teardown(self) -> None:
        for which in (0, 1):
            self.hub.write_out()
            self.flow_again(which)
        for _ in range(50):
            self.hub.tick()
        self.hub.write_out()
        self.nobody_goes_back()
        for each in self.here:
            if each in self.settled or each in self.admitted():
                assert [number for final, number in each.heard if final] == each.finals
        for each in self.gone:
            finals = [number for final, number in each.heard if final]
            assert finals == [n for n in each.finals if n in finals]


TestHub = HubMachine.TestCase
TestHub.settings = settings(max_examples=150, stateful_step_count=60)


@given(st.lists(st.booleans(), max_size=30))
def test_who_is_paced_ends_with_the_newest_value(kinds: list[bool]) -> None:
    hub = Hub()
    client = Client(hub)
    each = Interested(client, b"a", Options(max_rate=10))
    hub.admit(joiner := hub.join(each.subscription), Floor(0, Offset(0)))
    hub.settle(joiner)
    for number, final in enumerate(kinds, 1):
        payload = b"%b%d" % (b"f" if final else b"l", number)
        hub.publish(Publication(CHANNEL, payload), Offset(number), number, final=final)
    for _ in range(12):
        hub.tick()
    hub.write_out()
    assert [n for _, n in each.heard][-1:] == ([len(kinds)] if kinds else [])
