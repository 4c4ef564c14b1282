"""A small world to read in: one topic on a bus, one gateway's line and hub, clients; a move at a time, in any order.

The line and the hub are the real ones. A world is what it is by the moves that were made in it, so a state is reached
again by making them again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.hub import Floor, Hub, Joiner
from gateway.line import Line
from gateway.recovery import Recovery, recover
from gateway.subscription import Place, Subscription
from tests.gateway.plain import interest
from wire.close import Unsubscribe
from wire.envelope import VERSION, Envelope, Held, HeldFinal, NewestFinal, Publication
from wire.position import Epoch, Offset, StreamPosition

CHANNEL: Final = "c"
OTHER: Final = "x"


@dataclass(frozen=True)
class Rules:
    """What a world is played by: the rules of the gateway, or mutants of them."""

    line: type[Line] = Line
    recover: Callable[[Held, str, StreamPosition | None], Recovery] = recover
    floor: Callable[[Held], Floor] = lambda held: Floor(held.number, held.top)


RULES: Final = Rules()


FAULTS: Final = frozenset({"cut", "lose", "restart", "forget", "interrupt", "leave"})
"""The way is cut; an envelope is lost on it; the bus loses its newest; it forgets; the channel is not computed; the
second client leaves, and comes back."""


def _name(thing: Envelope | Held | str | None) -> object:
    """What tells one envelope or one read from another."""
    if isinstance(thing, Envelope):
        return thing.epoch, thing.number
    if isinstance(thing, Held):
        return thing.epoch, thing.number, thing.first_held, len(thing.finals), thing.newest.get(CHANNEL)
    return thing


class Bus:
    """What the bus holds of the topic, after so many envelopes."""

    def __init__(self) -> None:
        self.epoch = Epoch("e1")
        self.number = 0
        self.top = Offset(0)
        self.finals: list[HeldFinal] = []
        self.newest = NewestFinal(Offset(0), Offset(0), None)
        self.values = 0
        self.final_values: dict[int, Offset] = {}
        """The values of the channel's finals, with their offsets, in order, of all epochs."""
        self.live: Publication | None = None
        self.wanted = False

    def publish(self, script: str) -> Envelope:
        """F: a final of the channel, X: one of another, L: a live value, R: the live value again."""
        finals: list[Publication] = []
        live: tuple[Publication, ...] = ()
        for letter in script:
            if letter == "X":
                finals.append(Publication(OTHER, b"x"))
            elif letter == "R":
                live = () if self.live is None else (self.live,)
            else:
                self.values += 1
                value = Publication(CHANNEL, b"%d" % self.values)
                if letter == "F":
                    finals.append(value)
                    self.final_values[self.values] = Offset(self.top + len(finals))
                    self.live, live = None, ()
                else:
                    self.live, live = value, (value,)
        self.number += 1
        envelope = Envelope(VERSION, self.epoch, self.number, Offset(self.top + 1), tuple(finals), live)
        for i, final in enumerate(finals):
            offset = Offset(self.top + 1 + i)
            self.finals.append(HeldFinal(offset, final))
            if final.channel == CHANNEL:
                self.newest = NewestFinal(self.newest.since, offset, final.payload)
        self.top = envelope.top
        return envelope

    def restart(self) -> None:
        """Another epoch, because what was published last is lost; no position of the old one counts."""
        self.epoch = Epoch("e2")
        if self.finals and self.finals.pop().offset == self.newest.offset:
            held = [final for final in self.finals if final.publication.channel == CHANNEL]
            offset, payload = (held[-1].offset, held[-1].publication.payload) if held else (Offset(0), None)
            self.newest = NewestFinal(self.newest.since, offset, payload)

    def forget(self) -> None:
        """Nothing that was published is held any more, but the newest final."""
        self.finals.clear()

    def interrupt(self) -> None:
        """The channel was not computed for a while: the final of one bar is nowhere, though nobody hears of it."""
        self.publish("F")
        self.finals.pop()
        self.newest = NewestFinal(self.top, Offset(0), None)

    def read(self, since: Offset | None, channels: Iterable[str]) -> Held:
        finals = () if since is None else tuple(f for f in self.finals if f.offset > since)
        first_held = self.finals[0].offset if self.finals else Offset(self.top + 1)
        rows = {CHANNEL: self.newest} if CHANNEL in channels else {}
        self.wanted |= CHANNEL in channels
        return Held(self.epoch, self.number, self.top, first_held, finals, rows)


class Client:
    """A subscriber as an SDK makes one: it subscribes again with its position whenever it is told 2500."""

    def __init__(self, world: "World", name: str, position: StreamPosition | None) -> None:
        self.pending: list[bytes] = []
        self.phase = "away"
        self.position = position
        self.log: list[int] = []
        self.joiner: Joiner | None = None
        self.held: Held | None = None
        self._world = world
        self.name = name
        self.from_offset: Offset | None = None
        """Finals above it are owed; None while nothing is."""
        self.from_epoch = Epoch("")

    def begin_at(self, bus: Bus) -> None:
        """It has seen the newest final, in another life."""
        self.position = StreamPosition(bus.epoch, bus.newest.offset)
        self.log = [int(bus.newest.payload or b"0")]
        self.from_offset = bus.newest.offset

    def evict(self, subscription: Subscription, reason: Unsubscribe) -> None:
        raise NotImplementedError

    def state(self) -> object:
        """All that its future depends on."""
        joiner = self.joiner
        joining = () if joiner is None else (joiner.broken, joiner.last_live, joiner.floor, tuple(joiner.collected))
        return self.phase, self.position, tuple(self.log), self.from_offset, _name(self.held), joining

    def write(self, frame: bytes) -> None:
        self.pending.append(frame)

    def flush(self) -> None:
        for line in self.pending:
            value, offset = (int(part) for part in line.split())
            self.see(value, Offset(offset))
        self.pending.clear()

    def see(self, value: int, offset: Offset) -> None:
        assert self.phase == "live", f"{self.name} got {value} while it was {self.phase}"
        final = value in self._world.bus.final_values
        if self.log:
            assert value >= self.log[-1], f"{self.name} went back in time: {value} after {self.log}"
            assert value > self.log[-1] or not final, f"{self.name} got the final {value} twice: {self.log}"
        self.log.append(value)
        assert self.position is not None
        assert offset >= self.position.offset, f"{self.name}: offset {offset} after {self.position.offset}"
        self.position = StreamPosition(self.position.epoch, offset)


class World:
    """The bus, the way to the gateway, and the gateway. `moves` are what can happen next, `make` lets one happen."""

    def __init__(
        self,
        script: tuple[str, ...],
        faults: Mapping[str, int],
        *,
        since: int | None = None,
        rules: Rules = RULES,
    ) -> None:
        self.bus = Bus()
        self._script = deque(script)
        self._faults = dict(faults)
        self._rules = rules
        self._hub = Hub()
        self._line = rules.line(self._hub)
        self._way: deque[Envelope] = deque()
        self._attached = False
        self._reader: str | Held | None = None
        first = Client(self, "the first", None)
        self.clients = [first, Client(self, "the second", None)]
        for move in ("attach", "read", "take", "0 joins", "0 reads", "0 starts"):
            self.make(move)
        while since is not None and self.bus.newest.offset < since:
            self.make("publish")
            self.make("hear")
            self.clients[1].begin_at(self.bus)

    # what can happen

    def moves(self) -> list[str]:
        """All that can happen next; nothing when all is said and done."""
        found = []
        if self._script:
            found.append("publish")
        elif self.bus.wanted:
            found.append("repeat")
        if self._way:
            found.append("hear")
        if not self._attached:
            found.append("attach")
        if self._reader is not None:
            found.append("read" if self._reader == "due" else "take")
        found += [f"{i} {step}" for i, client in enumerate(self.clients) for step in self._steps(client)]
        for fault, left in self._faults.items():
            possible = {"cut": self._attached, "lose": bool(self._way), "leave": self.clients[1].phase == "live"}
            if left and possible.get(fault, True):
                found.append(fault)
        if "lose" in self._faults and self._is_silent():
            found.append("silence")
        return found

    def _steps(self, client: Client) -> list[str]:
        """What a client can do next."""
        if client.phase == "away":
            return ["joins"] if self._recalled(client) is None else ["joins", "recalls"]
        if client.phase == "told" or (client.phase == "waits" and not self._line.catching_up):
            return ["returns"]
        return {"joined": ["reads"], "read": ["starts"]}.get(client.phase, [])

    def _is_silent(self) -> bool:
        """Whether there is something to hear, and nobody says it: only then may anything depend on the watch."""
        quiet = self._attached and not self._way and not self._line.catching_up
        return quiet and self._line.number != self.bus.number

    def make(self, move: str) -> None:
        """Let `move` happen; AssertionError says which promise it broke."""
        if move in self._faults:
            self._faults[move] -= 1
        number, _, step = move.partition(" ")
        if step:
            self._step(self.clients[int(number)], step)
        else:
            getattr(self, f"_{move}")()
        self._hub.collect()
        for client in self.clients:
            client.flush()

    def check_end(self) -> None:
        """Nothing is under way: every final is where it has to be, and everybody has the newest value."""
        for client in self.clients:
            assert client.phase == "live", f"{client.name} is {client.phase} for ever"
            seen = set(client.log)
            for value, offset in self.bus.final_values.items():
                if client.from_offset is not None and offset > client.from_offset:
                    assert value in seen, f"{client.name} lost the final {value}: {client.log}"
            newest = max(self.bus.final_values, default=0) if self.bus.live is None else self.bus.values
            if newest and (self.bus.live is not None or newest == int(self.bus.newest.payload or b"0")):
                assert client.log[-1:] == [newest], f"{client.name} never saw the newest value {newest}: {client.log}"

    def state(self) -> object:
        """All that the future depends on."""
        line, bus = self._line, self.bus
        return (
            len(self._script),
            tuple(self._faults.values()),
            (bus.epoch, bus.number, bus.values, len(bus.finals), bus.newest.since, bus.wanted),
            tuple(_name(e) for e in self._way),
            (self._attached, _name(self._reader)),
            (line.epoch, line.number, line.top, line.catching_up, sum(line.channels.values())),
            (line._obsolete, line._parked_before, tuple(_name(e) for e in line._parked), len(line._admitted)),
            (tuple(line._began.items()), line._recent.begin, len(line._recent)),
            tuple(client.state() for client in self.clients),
            tuple(
                (audience.last_live, len(audience.newcomers), len(audience.groups))
                for audience in self._hub._audiences.values()
            ),
        )

    # the moves

    def _publish(self) -> None:
        self._send(self.bus.publish(self._script.popleft()))

    def _repeat(self) -> None:
        self.bus.wanted = False
        self._send(self.bus.publish("R"))

    def _hear(self) -> None:
        if self._line.heard(self._way.popleft()):
            self._reader = "due"

    def _silence(self) -> None:
        while not self._line.tick():
            pass
        self._reader = "due"

    def _lose(self) -> None:
        self._way.popleft()

    def _attach(self) -> None:
        self._attached = True
        if self._line.attached():
            self._reader = "due"

    def _read(self) -> None:
        since = self._line.before_read()
        self._reader = self.bus.read(since, list(self._line.channels))

    def _cut(self) -> None:
        self._attached = False
        self._way.clear()

    def _restart(self) -> None:
        self.bus.restart()

    def _forget(self) -> None:
        self.bus.forget()

    def _interrupt(self) -> None:
        self.bus.interrupt()
        self._cut()

    def _leave(self) -> None:
        client = self.clients[1]
        assert client.joiner is not None
        self._line.leave(client.joiner.subscription)
        client.phase = "away"

    def _send(self, envelope: Envelope) -> None:
        if self._attached:
            self._way.append(envelope)

    def _take(self) -> None:
        assert isinstance(self._reader, Held)
        outcome = self._line.caught_up(self._reader)
        for client in self.clients:
            client.flush()
        self._reader = "due" if outcome.again else None
        for subscription in outcome.evicted:
            assert subscription.place is Place.EVICTED
            sink = subscription.sink
            assert isinstance(sink, Client)
            sink.phase = "told"

    def _step(self, client: Client, step: str) -> None:
        if step == "returns":
            for each in ("joins", "reads", "starts"):
                self._step(client, each)
        elif step == "recalls":
            client.held = self._recalled(client)
            self._step(client, "joins")
            self._start(client, recalled=True)
        elif step == "joins":
            subscription = Subscription(client, interest(CHANNEL))
            if client.phase in ("away", "told"):
                self._line.enter(subscription)
            else:
                assert client.joiner is not None
                subscription = client.joiner.subscription
            client.joiner = self._hub.join(subscription)
            client.phase = "joined"
        elif step == "reads":
            since = None if client.position is None else client.position.offset
            client.held = self.bus.read(since, [CHANNEL])
            client.phase = "read"
        else:
            self._start(client)

    def _recalled(self, client: Client) -> Held | None:
        return None if client.position is None else self._line.recall(CHANNEL, client.position)

    def _start(self, client: Client, *, recalled: bool = False) -> None:
        joiner, held = client.joiner, client.held
        assert joiner is not None
        assert held is not None
        if held.epoch != self._line.epoch or joiner.broken:
            self._hub.discard(joiner.subscription)
            if held.epoch != self._line.epoch and self._line.doubt():
                self._reader = "due"
            client.phase = "waits"
            return
        recovery = self._rules.recover(held, CHANNEL, client.position)
        assert recovery.recovered or not recalled
        client.phase = "live"
        if not recovery.recovered:
            client.from_offset = recovery.offset
            if client.position is not None and client.position.epoch != recovery.epoch:
                client.log.clear()  # whoever hears of a new epoch begins anew
        elif client.from_offset is None:
            client.from_offset = recovery.offset
        client.position = StreamPosition(recovery.epoch, recovery.offset)
        for final in recovery.publications:
            client.see(int(final.publication.payload), final.offset)
        if recovery.newest is not None and client.log[-1:] != [int(recovery.newest)]:
            client.see(int(recovery.newest), held.top)
        self._line.admit(joiner, self._rules.floor(held), recalled=recalled)


def explore(make: Callable[[], World]) -> int:
    """Make every sequence of moves, but for those that lead to a state that was seen before: the number of states.

    Raises AssertionError for the first broken promise, which tells the moves that led to it.
    """
    seen: set[object] = set()
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        path = waiting.pop()
        world = make()
        try:
            for move in path:
                world.make(move)
            moves = world.moves()
            if not any(move not in FAULTS for move in moves):
                world.check_end()
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n  after {' ; '.join(path)}") from None
        state = world.state()
        if state not in seen:
            seen.add(state)
            waiting += [(*path, move) for move in moves]
    return len(seen)
