"""Frame: what is watched on one timeframe of a venue, and what is published of it. Pure; no I/O."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.budget import Budget
from engine.columns import Columns
from engine.graphs import Graphs
from engine.payloads import Moment
from engine.watched import Watched
from engine.watches import AlertWatch, BarWatch, ScreenWatch, SignalWatch, Watch
from wire.channel import Channel, ChannelKind
from wire.envelope import Publication
from wire.expression_tree import Expression
from wire.program_builder import build_program

CHUNK: Final = 2_000
"""Live values that are refreshed in one go, about: expressions that share what they need are better peeked together."""

Told = list[Publication]
_Key = tuple[ChannelKind, Expression | None]
_Keyed = tuple[_Key, BarWatch | SignalWatch]
_Place = tuple[BarWatch | SignalWatch, NDArray[np.intp]]


class Frame:
    """The graphs of one timeframe of a venue with the instruments `symbols`, and the channels that follow its bars.

    A channel is told from when all that it needs has joined; until then it waits.
    """

    def __init__(self, symbols: Sequence[str], budget: Budget) -> None:
        self.graphs = Graphs(len(symbols), budget)
        self._symbols = symbols
        self._watches: dict[_Key, Watch] = {}
        self._wanted: Counter[_Key] = Counter()
        self._waiting: dict[str, tuple[Channel, int | None]] = {}
        """Channels that are watched and not told yet."""
        self._waiters = dict[Watched, dict[str, None]]()
        """Those of them that need an expression which has not joined at their slot."""
        self._ready: dict[str, None] = {}
        """Those of them of which something has joined."""

    # what is watched

    def watch(self, channel: Channel, slot: int | None, name: str) -> None:
        """Compute and tell `channel`, called `name`, which is not watched; `slot` is None for one of the whole venue.

        Raises BudgetError when there is no memory for it.
        """
        key = (channel.kind, channel.expression)
        watch = self._watches.get(key)
        if watch is None:
            watch = self._new(channel)
        watch.want(slot)
        self._watches[key] = watch
        self._wanted[key] += 1
        self._waiting[name] = (channel, slot)
        needed = [term for term in watch.terms if not term.joined(slot)]
        for term in needed:
            self._waiters.setdefault(term.watched, {})[name] = None
        if not needed:
            self._ready[name] = None

    def unwatch(self, channel: Channel, slot: int | None, name: str) -> None:
        """Compute and tell it no more."""
        key = (channel.kind, channel.expression)
        watch = self._watches[key]
        if self._waiting.pop(name, None) is not None:
            self._forget_waiter(watch, name)
        watch.drop(slot)
        self._wanted[key] -= 1
        if self._wanted[key] == 0:
            del self._watches[key], self._wanted[key]

    def _forget_waiter(self, watch: Watch, name: str) -> None:
        """It waits no more: what it needs may never join, and is not to be held for that."""
        for term in watch.terms:
            waiters = self._waiters.get(term.watched, {})
            waiters.pop(name, None)
            if not waiters:
                self._waiters.pop(term.watched, None)

    @property
    def watched(self) -> bool:
        """Whether anything is."""
        return bool(self._watches)

    def bars_channel(self, slot: int) -> str | None:
        """The channel that tells the bars of `slot`; None when nobody wants it."""
        watch = self._watches.get((ChannelKind.BARS, None))
        place = watch.watchlist.place(slot) if isinstance(watch, BarWatch) else None
        return None if place is None or not isinstance(watch, BarWatch) else watch.watchlist.channels[place]

    def warm(self, history: Callable[[], Sequence[Columns]], more: Callable[[], bool]) -> list[str]:
        """Replay held bars for what is new, as long as `more` says; the channels that are told from now on."""
        if self.graphs.warming:
            for joined in self.graphs.advance(history(), more):
                self._ready.update(self._waiters.pop(joined.watched, {}))
        if not self._ready:
            return []
        told = []
        ready, self._ready = self._ready, {}
        for name in ready:
            channel, slot = self._waiting.get(name, (None, None))
            if channel is None:
                continue
            watch = self._watches[channel.kind, channel.expression]
            if missing := [term for term in watch.terms if not term.joined(slot)]:
                self._waiters.setdefault(missing[0].watched, {})[name] = None
                continue
            watch.tell(slot, name)
            del self._waiting[name]
            told.append(name)
        return told

    def _new(self, channel: Channel) -> Watch:
        expression = channel.expression
        if expression is None:
            return BarWatch()
        match channel.kind:
            case ChannelKind.ALERTS:
                return AlertWatch(expression, self.graphs)
            case ChannelKind.SCREENS:
                return ScreenWatch(expression, self.graphs, self._symbols)
            case _:
                return SignalWatch(expression, self.graphs)

    def ready(self, expression: Expression, slot: int, held: int) -> bool:
        """Whether the forming bar of `slot`, of which `held` closed bars are held, has a value of `expression`."""
        watch = self._watches.get((ChannelKind.SIGNALS, expression))
        if isinstance(watch, SignalWatch) and watch.term.joined(slot):
            return bool(watch.term.watched.ready_mask(np.array([slot], np.intp), forming=True)[0])
        return held + 1 >= build_program(expression).ready

    # what is published

    def commit(self, bar: Columns, *, sent_us: int | None) -> Told:
        """Take the next closed bar: the finals of it."""
        self.graphs.commit(bar)
        moment = Moment(bar, final=True, sent_us=sent_us)
        return [publication for watch in self._watches.values() for publication in watch.finals(moment)]

    def refresh(self, changed: NDArray[np.bool_], moment: Callable[[], Moment | None]) -> Iterator[Told]:
        """The live values that have changed of the slots in `changed`, some at a time.

        `moment` gives the forming bar as it is when it is asked; None when nothing forms.
        """
        chunk: list[_Keyed] = []
        size = 0
        for key, watch in list(self._watches.items()):
            if isinstance(watch, BarWatch | SignalWatch):
                chunk.append((key, watch))
                size += len(watch.watchlist)
                if size >= CHUNK:
                    yield self._refreshed(chunk, changed, moment())
                    chunk, size = [], 0
        if chunk:
            yield self._refreshed(chunk, changed, moment())

    def repeat(self, asked: Iterable[tuple[Channel, int | None]], moment: Moment) -> Told:
        """The live values of channels, whether they have changed or not; of those that wait there are none."""
        return self._live(self._placed(asked), moment, everything=True)

    def conclude(self, asked: Iterable[tuple[Channel, int | None]], moment: Moment) -> Told:
        """Nothing forms any more: the last closed bar, of the channels that were not told when it closed."""
        told: Told = []
        for watch, wanted in self._placed(asked):
            watchlist = watch.watchlist
            places = wanted[~watchlist.concluded[wanted] & moment.born(watchlist.slots[wanted])]
            told += _published(watch, places, watch.payloads(moment, watchlist.slots[places], None))
        return told

    def _placed(self, asked: Iterable[tuple[Channel, int | None]]) -> list[_Place]:
        places: dict[BarWatch | SignalWatch, list[int]] = {}
        for channel, slot in asked:
            watch = self._watches.get((channel.kind, channel.expression))
            if isinstance(watch, BarWatch | SignalWatch) and slot is not None:
                place = watch.watchlist.place(slot)
                if place is not None:
                    places.setdefault(watch, []).append(place)
        return [(watch, np.array(found, np.intp)) for watch, found in places.items()]

    def _refreshed(self, chunk: Sequence[_Keyed], changed: NDArray[np.bool_], moment: Moment | None) -> Told:
        if moment is None:
            return []
        there = [watch for key, watch in chunk if self._watches.get(key) is watch]
        places = [(watch, watch.watchlist.within(changed)) for watch in there]
        return self._live([each for each in places if len(each[1])], moment, everything=False)

    def _live(self, placed: Sequence[_Place], moment: Moment, *, everything: bool) -> Told:
        wanted = [(watch.term.watched, watch.watchlist.slots[at]) for watch, at in placed if watch.term is not None]
        peeked = iter(self.graphs.peek(moment.bar, wanted) if wanted else ())
        told: Told = []
        for watch, places in placed:
            watchlist = watch.watchlist
            slots = watchlist.slots[places]
            values = None if watch.term is None else next(peeked)
            kept = watchlist.news(places, moment.t_ms, watch.said(moment, slots, values)) & moment.born(slots)
            if everything:
                told += _repeated(watch, places[~kept])
            if values is not None and not kept.all():
                values = tuple(column[kept] for column in values)
            if kept.any():
                told += _published(watch, places[kept], watch.payloads(moment, slots[kept], values))
        return told


def _published(watch: BarWatch | SignalWatch, places: NDArray[np.intp], payloads: Sequence[bytes]) -> Told:
    channels, said = watch.watchlist.channels, watch.watchlist.payloads
    told = []
    for at, payload in zip(places.tolist(), payloads, strict=True):
        said[at] = payload
        told.append(Publication(channels[at], payload))
    return told


def _repeated(watch: BarWatch | SignalWatch, places: NDArray[np.intp]) -> Told:
    """What was told last, byte for byte: so a gateway knows that only newcomers lack it."""
    channels, said = watch.watchlist.channels, watch.watchlist.payloads
    return [Publication(channels[at], said[at]) for at in places.tolist() if said[at]]
