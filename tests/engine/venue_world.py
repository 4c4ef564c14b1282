"""A venue that a test plays, by hand or stream by stream, and what it has published. Pure; no I/O."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from engine.budget import Budget
from engine.sessions import ALWAYS, Sessions
from engine.ticks import TickBatch
from engine.venue import Boundary, Venue
from engine.venue_state import decode, encode
from wire import channel as channels
from wire.envelope import Publication
from wire.market import NS_PER_MS, NS_PER_S, Instrument, Tick

START_NS = 1_704_067_200 * NS_PER_S
"""2024-01-01T00:00Z: the first second of every day and bar."""
START_MS = START_NS // NS_PER_MS
GRACE_NS = NS_PER_S // 4

SYMBOLS = ("S00", "S01", "S02")


def always() -> bool:
    return True


def bars_of(count: int) -> Callable[[], bool]:
    """Time for so many bars of warming, the one that is replayed in any case included."""
    left = iter([True] * (count - 1))
    return lambda: next(left, False)


class World:
    """A venue called DEMO, played by hand; times are seconds after its start."""

    def __init__(self, *watched: str, symbols: Sequence[str] = SYMBOLS, budget: Budget | None = None) -> None:
        self.symbols = tuple(symbols)
        self.venue = Venue("DEMO", symbols, grace_ns=GRACE_NS, budget=Budget() if budget is None else budget)
        self.boundaries: list[Boundary] = []
        self._slots = {symbol: slot for slot, symbol in enumerate(symbols)}
        for name in watched:
            self.watch(name)

    # what is wanted

    def watch(self, name: str) -> list[str]:
        """Watch a channel, and replay all that it needs; the channels that are told from now on."""
        self.venue.watch(channels.parse(name))
        return self.venue.warm(always)

    def unwatch(self, name: str) -> None:
        self.venue.unwatch(channels.parse(name))

    # what comes in

    def trade(
        self, at_s: float, price: float, symbol: str = "S00", *, size: float = 1.0, received_s: float | None = None
    ) -> list[Boundary]:
        """A trade, received when it happened unless that is told."""
        at_ns = START_NS + round(at_s * NS_PER_S)
        received_ns = at_ns if received_s is None else START_NS + round(received_s * NS_PER_S)
        tick = Tick(Instrument("DEMO", symbol), price, size, at_ns, received_ns)
        return self._take(self.venue.fold(TickBatch.of([tick], self._slots), sent_us=None))

    def closes(self, prices: Iterable[float | None], symbol: str = "S00", *, first_s: int = 0) -> None:
        """A trade in the middle of each second, None for a second without one; then time goes on till all is closed."""
        second = first_s
        for price in prices:
            if price is not None:
                self.trade(second + 0.5, price, symbol)
            second += 1
        self.wait(second)

    def wait(self, at_s: float) -> list[Boundary]:
        """Time goes on until every bar that ended before has closed."""
        now_ns = START_NS + round((at_s + 1) * NS_PER_S)
        return self._take(self.venue.advance(now_ns, sent_us=None))

    def end(self) -> list[Boundary]:
        """The recording has ended."""
        return self._take(self.venue.finish(sent_us=None))

    def _take(self, boundaries: list[Boundary]) -> list[Boundary]:
        self.boundaries += boundaries
        return boundaries

    # what was published

    def said(self, name: str) -> list[dict[str, Any]]:
        """All finals of a channel, with ``t`` in seconds after the start."""
        return [spoken(payload) for payload in published(self.boundaries).get(name, [])]

    def live(self, *names: str) -> dict[str, dict[str, Any]]:
        """The live values of channels, asked for."""
        return {p.channel: spoken(p.payload) for p in self.venue.repeat(names, sent_us=None)}

    def refresh(self, stamp: Callable[[], int | None] = lambda: None) -> Iterator[list[Publication]]:
        """The live values that have changed, some at a time."""
        return self.venue.refresh(stamp) or iter(())

    def chart(self, name: str, limit: int = 1000) -> list[dict[str, Any]]:
        """What a channel said of the closed bars."""
        charting = self.venue.history(channels.parse(name), limit, sent_us=None)
        while not charting.advance(100):
            pass
        return [spoken(value.payload) for value in charting.values]

    def restarted(self, *watched: str, symbols: Sequence[str] | None = None) -> "World":
        """A new venue that goes on from the bytes of this one's state."""
        other = World(symbols=self.symbols if symbols is None else symbols)
        other.venue.restore(decode(encode(self.venue.state())))
        for name in watched:
            other.watch(name)
        other.venue.forget()
        return other


def spoken(payload: bytes) -> dict[str, Any]:
    """A payload, with ``t`` in seconds after the start."""
    data: dict[str, Any] = json.loads(payload)
    return {**data, "t": (data["t"] - START_MS) / 1000}


def published(boundaries: Iterable[Boundary]) -> dict[str, list[bytes]]:
    """The payloads by channel, in their order."""
    found: dict[str, list[bytes]] = {}
    for boundary in boundaries:
        for final in boundary.finals:
            found.setdefault(final.channel, []).append(final.payload)
    return found


class Run:
    """A venue that is given a stream of ticks in parts; it may be stopped and go on from its state at any place."""

    def __init__(
        self, symbols: Sequence[str], watched: Iterable[str], *, venue: str = "DEMO", sessions: Sessions = ALWAYS
    ) -> None:
        self.name, self.symbols, self.sessions = venue, tuple(symbols), sessions
        self.watched = list(watched)
        self.boundaries: list[Boundary] = []
        self.venue = self._new()
        self._want()

    def _new(self) -> Venue:
        return Venue(self.name, self.symbols, grace_ns=GRACE_NS, budget=Budget(), sessions=self.sessions)

    def _want(self) -> None:
        for name in self.watched:
            self.venue.watch(channels.parse(name))
        told = self.venue.warm(always)
        assert sorted(told) == sorted(self.watched), "what has been watched joins at once"

    def fold(self, batch: TickBatch) -> list[Boundary]:
        boundaries = self.venue.fold(batch, sent_us=None)
        self.boundaries += boundaries
        return boundaries

    def advance(self, now_ns: int) -> list[Boundary]:
        boundaries = self.venue.advance(now_ns, sent_us=None)
        self.boundaries += boundaries
        return boundaries

    def restart(self) -> None:
        """As when a process ends and another begins."""
        data = encode(self.venue.state())
        self.venue = self._new()
        self.venue.restore(decode(data))
        self._want()
        self.venue.forget()

    def finish(self) -> dict[str, list[bytes]]:
        """The end of the stream; all finals by channel."""
        self.boundaries += self.venue.finish(sent_us=None)
        return published(self.boundaries)


def whole(symbols: Sequence[str], watched: Iterable[str], stream: TickBatch) -> dict[str, list[bytes]]:
    """All finals of channels by name, of a stream that comes in one piece."""
    run = Run(symbols, watched)
    run.fold(stream)
    return run.finish()


def parts_of(length: int, cuts: Iterable[int]) -> Iterator[slice]:
    """A stream of some length, cut at these places."""
    places = sorted({0, length, *(cut for cut in cuts if 0 < cut < length)})
    return (slice(start, stop) for start, stop in pairwise(places))


def by_time(payloads: Iterable[bytes]) -> Mapping[int, dict[str, Any]]:
    """The last that was said of each bar, by its ``t`` in ms."""
    return {data["t"]: data for data in map(json.loads, payloads)}
