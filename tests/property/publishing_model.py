"""A small world to publish in: one topic on a bus that fails, the real Writer, another engine; a move at a time.

Boundary k of channel c has the value k. Whoever was given a position (epoch, offset) by a read or a final has to get
every later value from it, in order and once, when all is said and done, or hear that it cannot be recovered. So has
whoever listens all the time.
"""

import json
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from engine.resumption import Closing
from engine.tenure import Claim
from engine.writer import Writer
from gateway.recovery import recover
from wire.envelope import Acquired, Batch, Envelope, Held, HeldFinal, NewestFinal, Ownership, Publication
from wire.position import Epoch, Offset, StreamPosition

CHANNEL: Final = "signals:V:S@1s:c"
OTHER: Final = "signals:V:S@1s:x"
BOUNDARY: Final = "V@1s"

MAX_ENVELOPES: Final = 20
"""More than any script here needs."""

MakeWriter = Callable[[int, str, Mapping[str, int]], Writer]


def payload(value: int) -> bytes:
    return b'{"t":%d}' % (value * 1000)


def value_of(data: bytes) -> int:
    time_ms: int = json.loads(data)["t"]
    return time_ms // 1000


class Topic:
    """What a server holds of the topic."""

    def __init__(self) -> None:
        self.stands = Ownership("", Epoch(""), Offset(1), 0)
        self.server = 0
        """The server that it was acquired on."""
        self.lease = ""
        self.finals: list[HeldFinal] = []
        self.rows: dict[str, NewestFinal] = {}
        self.closed: dict[str, int] = {}


class Bus:
    """One server at a time, and what the one that takes over may have: the topic before the newest writes."""

    def __init__(self, *, compares: bool) -> None:
        self.topic = Topic()
        self.before: deque[bytes] = deque(maxlen=2)
        self.server = 0
        self.epochs = 0
        self._compares = compares

    def acquire(self, claim: Claim) -> Acquired | None:
        topic = self.topic
        if topic.lease == claim.release:
            topic.lease = ""
        if topic.lease not in ("", claim.identity):
            return None
        self._keep()
        stands, known = topic.stands, claim.known or topic.stands
        behind = stands.next_offset < known.next_offset or stands.number < known.number
        epoch = stands.epoch
        if claim.fresh or behind or not epoch or topic.server != self.server:
            self.epochs += 1
            epoch = Epoch(f"e{self.epochs}")
        next_offset, number = max(stands.next_offset, known.next_offset), max(stands.number, known.number)
        topic.stands = Ownership(claim.identity, epoch, next_offset, number)
        topic.lease, topic.server = claim.identity, self.server
        return Acquired(topic.stands, dict(topic.closed), {channel: row.since for channel, row in topic.rows.items()})

    def publish(self, batch: Batch) -> tuple[Ownership, tuple[Envelope, ...]]:
        """Where the topic stands now, and what is heard of it."""
        topic = self.topic
        if topic.stands != batch.expected and (self._compares or topic.stands.owner != batch.expected.owner):
            return topic.stands, ()
        self._keep()
        for envelope in batch.envelopes:
            for i, final in enumerate(envelope.finals):
                topic.finals.append(HeldFinal(Offset(envelope.first_offset + i), final))
        topic.rows.update(batch.rows)
        for channel in batch.dropped:
            topic.rows.pop(channel, None)
        topic.closed.update(batch.closed)
        topic.stands, topic.lease = batch.after, batch.expected.owner
        return topic.stands, batch.envelopes

    def fail_over(self, writes: int) -> None:
        """Another server takes over, and the newest writes never came to it."""
        for _ in range(writes):
            self.topic = pickle.loads(self.before.pop())  # noqa: S301 - our own
        self.server += 1

    def wipe(self) -> None:
        self.topic = Topic()
        self.before.clear()
        self.server += 1

    def read(self, since: Offset) -> Held:
        topic = self.topic
        finals = tuple(f for f in topic.finals if f.offset > since)
        first_held = topic.finals[0].offset if topic.finals else topic.stands.next_offset
        rows = {CHANNEL: topic.rows[CHANNEL]} if CHANNEL in topic.rows else {}
        top = Offset(topic.stands.next_offset - 1)
        return Held(topic.stands.epoch, topic.stands.number, top, first_held, finals, rows)

    def _keep(self) -> None:
        self.before.append(pickle.dumps(self.topic))


class Visible(Struct, frozen=True):
    """A position that somebody was given; `had` is the value that came with it, `known` the newest known to anybody."""

    position: StreamPosition
    had: int | None
    known: int


class Listener:
    """A gateway with one subscriber of the channel; it hears every envelope."""

    def __init__(self) -> None:
        self.position = StreamPosition(Epoch(""), Offset(0))
        self.number = 0
        self.had: int | None = None
        """The newest value that it was given, once it was given one."""
        self.known = 0
        """Everything later has to come."""

    def hear(self, envelope: Envelope, bus: Bus, known: int) -> None:
        if envelope.epoch == self.position.epoch and envelope.number <= self.number:
            return
        if envelope.epoch != self.position.epoch or envelope.number > self.number + 1:
            self.catch_up(bus, known)
            return
        for i, final in enumerate(envelope.finals):
            if envelope.first_offset + i > self.position.offset and final.channel == CHANNEL:
                self.take(value_of(final.payload))
        self.position = StreamPosition(envelope.epoch, max(self.position.offset, envelope.top))
        self.number = envelope.number

    def catch_up(self, bus: Bus, known: int) -> None:
        """Read what was missed; where that cannot be told, begin anew."""
        held = bus.read(self.position.offset)
        recovery = recover(held, CHANNEL, self.position if self.position.epoch else None)
        if recovery.recovered:
            for final in recovery.publications:
                self.take(value_of(final.publication.payload))
        else:
            self.had = None if recovery.newest is None else value_of(recovery.newest)
            self.known = known
        self.position = StreamPosition(held.epoch, held.top)
        self.number = held.number

    def take(self, value: int) -> None:
        follows(self.had, self.known, [value])
        self.had = value


def follows(had: int | None, known: int, values: list[int]) -> None:
    """Whoever `had` a value gets all the later ones; whoever had none those later than what is `known`."""
    for value in values:
        wanted = f"{had + 1}" if had is not None else f"at most {known + 1}"
        assert value == had + 1 if had is not None else value <= known + 1, f"got {values}: expected {wanted}"
        had = value


class World:
    """The bus, the writer, whoever looks on. `moves` are what can happen next, `make` lets one happen.

    The script is what the engine does, letter by letter. F: a boundary closes. L: a live value. D: nobody wants the
    channel any more. S: somebody wants it again. R: the engine restarts, and sees again all boundaries that have been.
    G: it restarts and has missed a boundary. `after` are moves that have been made.
    """

    def __init__(
        self,
        script: str,
        faults: Mapping[str, int],
        *,
        writer: MakeWriter = Writer,
        compares: bool = True,
        after: str = "",
    ) -> None:
        self.bus = Bus(compares=compares)
        self.faults = dict(faults)
        self.spent: set[str] = set()
        self.script = deque(script)
        self.visible: set[Visible] = set()
        self.listener = Listener()
        self.wanted = True
        self.was_dropped = False
        self.closed = 0
        """The newest boundary that has been."""
        self.known = 0
        """Values up to this one are nothing to wait for: they were heard, or will never be."""
        self.lives = 0
        self.late: list[Claim | Batch] = []
        self._writer = writer
        self._live()
        for move in filter(None, after.split("; ")):
            self.make(move)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_writer": None}

    def _live(self) -> None:
        """An engine comes up; the lease of the one before has run out."""
        self.bus.topic.lease = ""
        self.lives += 1
        self.passed: dict[str, int] = {}
        self.writer = self._writer(0, f"engine{self.lives}", self.passed)
        self.resumed = False
        self.ended = False
        self.computed = False
        self.seen = 0
        """The newest boundary that this engine has seen."""
        self.request: Claim | Batch | None = None
        self.answer: Acquired | Ownership | str | None = None

    # what can happen

    def moves(self) -> Iterator[str]:
        if self.script and self._may(self.script[0]):
            yield "go on"
        if self.resumed and self.seen < self.closed and not self.ended:
            yield "replay"
        if self.answer is not None:
            yield "answer"
        elif self.request is not None:
            yield "arrive"
        elif not self.ended and (not self.writer.owned or not self.writer.idle or not self._agree()):
            yield "send"
        yield from (f"late {i}" for i in range(len(self.late)))
        yield from (fault for fault, left in self.faults.items() if left and self._can(fault))

    def _may(self, letter: str) -> bool:
        if letter in "RG" or (letter == "S" and not self.resumed):
            return True
        ready = self.resumed and self.seen == self.closed and not self.ended
        # Nobody comes to want a channel but by reading the bus, a minute at least after it was dropped.
        return ready and (letter != "S" or self.at_peace)

    def _can(self, fault: str) -> bool:
        match fault:
            case "decline":
                return isinstance(self.request, Batch) and self.answer is None
            case "refuse" | "delay":
                return self.request is not None and self.answer is None
            case "lose":
                return self.answer is not None
            case "fail over" | "fail over twice":
                return len(self.bus.before) > (fault == "fail over twice")
            case "steal":
                return self.bus.topic.stands.owner != "other"
            case "other publishes":
                return self.bus.topic.lease == "other" and self.bus.topic.closed.get(BOUNDARY, 0) // 1000 < self.closed
            case "other beats" | "other leaves":
                return self.bus.topic.lease == "other"
            case "overflow":
                return self.resumed and not self.ended
            case _:
                return True

    def make(self, move: str) -> None:
        """Let `move` happen; AssertionError says which promise it broke."""
        if move in self.faults:
            self.faults[move] -= 1
            self.spent.add(move)
        match move.split():
            case ["go", "on"]:
                self._go_on(self.script.popleft())
            case ["replay"]:
                self.seen += 1
                self._close(self.seen)
            case ["send"]:
                self._send()
            case ["arrive"]:
                self.answer = self._arrive(self.request)
            case ["answer"]:
                self._answer()
            case ["late", number]:
                self._arrive(self.late.pop(int(number)))
            case _:
                self._fail(move)
        self._look()

    def _fail(self, fault: str) -> None:
        match fault.split():
            case ["refuse"] | ["lose"]:
                self._unanswered()
            case ["decline"]:
                self.answer = self.bus.topic.stands
            case ["delay"]:
                assert self.request is not None
                self.late.append(self.request)
                self._unanswered()
            case ["fail", "over", *twice]:
                self.bus.fail_over(1 + len(twice))
            case ["wipe"]:
                self.bus.wipe()
            case ["overflow"]:
                self.writer.overflow()
                self.known = max(self.known, self.closed)
            case ["steal"]:
                self.bus.topic.lease = ""
                self.bus.acquire(Claim("other", None, None, fresh=False))
            case ["other", what]:
                self._other(what)

    def _go_on(self, letter: str) -> None:
        match letter:
            case "F":
                self.closed += 1
                self.seen = self.closed
                self._close(self.closed)
            case "L":
                if self.computed:
                    self.lives += 1
                    live = Publication(CHANNEL, payload(self.closed + 1))
                    self.writer.offer([live], BOUNDARY, (self.closed + 1) * 1000)
            case "D" if self.computed:
                self.wanted = self.computed = False
                self.was_dropped = True
                self.writer.drop(CHANNEL)
                self.listener = Listener()
            case "S" if not self.wanted:
                self.wanted = True
                if self.resumed:
                    self._start()
            case "R":
                self._live()
            case "G":
                self._live()
                self.closed += 1
                self.seen = self.closed

    def _start(self) -> None:
        if CHANNEL not in self.writer._since or self.writer._continued is None:
            self.known = max(self.known, self.closed)
            self.listener = Listener()
        self.computed = True
        self.writer.start(CHANNEL, BOUNDARY)

    def _close(self, value: int) -> None:
        finals = (Publication(CHANNEL, payload(value)),) if self.computed else ()
        self.writer.close(Closing(BOUNDARY, value * 1000, 1000, None), finals)
        self.passed[BOUNDARY] = value * 1000

    def _other(self, what: str) -> None:
        topic = self.bus.topic
        if what == "leaves":
            topic.lease = ""
            return
        own = topic.stands
        finals: tuple[Publication, ...] = ()
        closed: dict[str, int] = {}
        rows: dict[str, NewestFinal] = {}
        if what == "publishes":
            value = topic.closed.get(BOUNDARY, 0) // 1000 + 1
            closed = {BOUNDARY: value * 1000}
            if CHANNEL in topic.rows:
                finals = (Publication(CHANNEL, payload(value)),)
                rows = {CHANNEL: NewestFinal(topic.rows[CHANNEL].since, own.next_offset, payload(value))}
        envelope = Envelope(1, own.epoch, own.number + 1, own.next_offset, finals)
        self._hear(self.bus.publish(Batch(own, (envelope,), rows, (), closed))[1])

    def finish(self) -> list[str]:
        """Let everything come to rest without another fault, restarting an engine that has ended. The moves made."""
        made: list[str] = []
        while not self.at_rest:
            if self.ended:
                self.script.appendleft("R")
            elif not self.resumed:  # Whoever had the topic before: its lease has run out.
                self.bus.topic.lease = ""
            move = next(move for move in self.moves() if move not in self.faults and not move.startswith("late"))
            made.append(move)
            assert len(made) < 1000, "there is no end of it"
            self.make(move)
        return made

    # asking and answering

    def _agree(self) -> bool:
        """Whether the writer knows where the topic stands."""
        return self.writer.tenure.stands == self.bus.topic.stands

    def _send(self) -> None:
        if not self.writer.owned:
            self.request = self.writer.claim()
            return
        self.writer._sent_s = -10.0
        batch = self.writer.batch(0.0, 1, flush=True)
        assert batch is not None
        assert batch.after.number < MAX_ENVELOPES, "there is no end of it"
        self.request = batch

    def _arrive(self, request: Claim | Batch | None) -> Acquired | Ownership | str:
        if isinstance(request, Claim):
            return self.bus.acquire(request) or "another's"
        assert request is not None
        stands, envelopes = self.bus.publish(request)
        self._hear(envelopes)
        return stands

    def _answer(self) -> None:
        answer = self.answer
        self.request = self.answer = None
        if isinstance(answer, Acquired):
            self.writer.found(answer, 0.0)
            if self.writer.owned and not self.resumed:
                self.resumed = True
                if self.wanted and CHANNEL in answer.since and BOUNDARY not in answer.closed:
                    self.spent.add("died before a boundary was told")
                    self.known = max(self.known, self.closed)
                if self.wanted:
                    self._start()
                self.writer.settle()
        elif isinstance(answer, Ownership):
            self.writer.answered(answer, 0.0)
        elif self.writer.tenure.stands is not None:
            self.ended = True

    def _unanswered(self) -> None:
        self.request = self.answer = None
        self.writer.unanswered(-10.0, 0.0)
        self.writer.failures = 0

    # looking on

    def _hear(self, envelopes: tuple[Envelope, ...]) -> None:
        for envelope in envelopes:
            self.listener.hear(envelope, self.bus, self.known)
            for i, final in enumerate(envelope.finals):
                if final.channel == CHANNEL:
                    value = value_of(final.payload)
                    self.known = max(self.known, value)
                    position = StreamPosition(envelope.epoch, Offset(envelope.first_offset + i))
                    self.visible.add(Visible(position, value, self.known))

    def _look(self) -> None:
        """Somebody subscribes."""
        stands, row = self.bus.topic.stands, self.bus.topic.rows.get(CHANNEL)
        if stands.epoch:
            position = StreamPosition(stands.epoch, Offset(stands.next_offset - 1))
            had = None if row is None or row.payload is None else value_of(row.payload)
            self.visible.add(Visible(position, had, self.closed if row is None else self.known))

    @property
    def at_peace(self) -> bool:
        """Whether all that was to be published is."""
        return self.request is None and self.writer.owned and self.writer.idle and self._agree()

    @property
    def at_rest(self) -> bool:
        """Whether all is said and done, if no fault comes."""
        return self.at_peace and not self.script and self.resumed and self.seen == self.closed

    def check_rest(self) -> None:
        """Every position that anybody was given leads to what came after it, or is refused."""
        self._check_listener()
        harmless = self.spent <= {"refuse", "lose", "delay", "decline"}
        assert not harmless or self.bus.epochs == 1, "a new epoch, though nothing was lost"
        for visible in self.visible:
            recovery = recover(self.bus.read(visible.position.offset), CHANNEL, visible.position)
            if not recovery.recovered:
                kept = harmless and not self.was_dropped and visible.had is not None
                assert not kept, f"{visible} was refused, though nothing was lost"
                continue
            values = [value_of(final.publication.payload) for final in recovery.publications]
            try:
                follows(visible.had, visible.known, values)
                newest = values[-1] if values else visible.known if visible.had is None else visible.had
                assert newest >= self.closed, f"got {values} of {self.closed}"
            except AssertionError as fault:
                raise AssertionError(f"{visible} at {self.bus.topic.stands}: {fault}") from None

    def _check_listener(self) -> None:
        self.listener.catch_up(self.bus, self.known)
        if self.computed and self.listener.had is not None:
            assert self.listener.had == self.closed, f"the listener was given nothing after {self.listener.had}"


def explore(make: Callable[[], World], limit: int = 200_000) -> int:
    """Make every sequence of moves, states that were seen before apart. The number of states; the first fault raises.

    An AssertionError tells the moves that led to it.
    """
    first = make()
    start = pickle.dumps(first)
    seen = {start}
    waiting: deque[tuple[bytes, tuple[str, ...]]] = deque([(start, ())])
    while waiting:
        state, path = waiting.popleft()
        for move in list(_copy(state, first).moves()):
            world = _copy(state, first)
            after = (*path, move)
            try:
                world.make(move)
                reached = pickle.dumps(world)
                if world.at_rest:
                    world.check_rest()
            except AssertionError as fault:
                raise AssertionError(f"{fault}\n  after {' ; '.join(after)}") from None
            if reached not in seen:
                seen.add(reached)
                waiting.append((reached, after))
        assert len(seen) <= limit, "more states than can be looked at"
    return len(seen)


def _copy(state: bytes, first: World) -> World:
    world: World = pickle.loads(state)  # noqa: S301 - our own
    world._writer = first._writer
    return world
