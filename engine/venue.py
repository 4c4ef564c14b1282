"""Venue: one venue's bars, its graphs, and the channels that are watched on it. Pure; no I/O, no clock."""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from engine.bars import Closed, VenueBars
from engine.charting import Charting, final_payload
from engine.errors import UnknownChannelError
from engine.graph import Graph, Signal, Values
from engine.payloads import Moment, bar_payload, signal_payload
from engine.ticks import TickBatch
from wire.channel import Channel, ChannelKind
from wire.envelope import Publication
from wire.market import Timeframe

COMPUTED_KINDS: Final = frozenset({ChannelKind.BARS, ChannelKind.SIGNALS})


class Boundary(Struct, frozen=True):
    """The closing of one timeframe's bars: the finals of its watched channels, in the order they were watched."""

    timeframe: Timeframe
    open_ns: int
    finals: tuple[Publication, ...]


class _Watch:
    """One watched channel, and the live value that was published of it last: what it said, and in which bytes."""

    __slots__ = ("channel", "concluded", "payload", "said", "signal", "slot")

    def __init__(self, channel: str, slot: int, signal: Signal | None) -> None:
        self.channel = channel
        self.slot = slot
        self.signal = signal
        """None for the bar itself."""
        self.concluded = False
        """True once a final was published: whoever subscribes gets that from the bus."""
        self.said: tuple[float, ...] = ()
        self.payload = b""


class _Frame:
    """What is watched on one timeframe."""

    __slots__ = ("graph", "watches")

    def __init__(self, width: int) -> None:
        self.graph = Graph(width)
        self.watches: dict[str, _Watch] = {}


class Venue:
    """One venue. A slot is the place of an instrument in `symbols`.

    Times that come in are of the feed's clock of receipt; ``sent_us`` None stamps each payload with its event time,
    so that a replay repeats its bytes.
    """

    def __init__(self, name: str, symbols: Sequence[str], *, grace_ns: int) -> None:
        self.name = name
        self.symbols = tuple(symbols)
        self.bars = VenueBars(len(symbols), grace_ns=grace_ns)
        self._slots = {symbol: slot for slot, symbol in enumerate(symbols)}
        self._frames = {timeframe: _Frame(len(symbols)) for timeframe in Timeframe}
        self._changed = np.zeros(len(symbols), np.bool_)

    # what is wanted

    def watch(self, channel: Channel) -> bool:
        """Compute `channel` from now on, warm from the bars that are held; False if it is watched already.

        Raises UnknownChannelError when it is not of this venue, or of a kind that is not computed.
        """
        slot, timeframe = self._place(channel)
        frame = self._frames[timeframe]
        if channel.name in frame.watches:
            return False
        signal = None
        if channel.expression is not None:
            signal = frame.graph.watch(channel.expression, self.bars.history(timeframe))
        frame.watches[channel.name] = _Watch(channel.name, slot, signal)
        return True

    def unwatch(self, channel: Channel) -> None:
        """Stop to compute `channel`; nothing happens if it is not watched."""
        if channel.timeframe is None:
            return
        frame = self._frames[channel.timeframe]
        watch = frame.watches.pop(channel.name, None)
        if watch is not None and watch.signal is not None:
            frame.graph.unwatch(watch.signal)

    def warming(self, channel: Channel) -> bool:
        """Whether the next bar of `channel` would have no value yet; True as well when it is not watched."""
        watch = None if channel.timeframe is None else self._frames[channel.timeframe].watches.get(channel.name)
        if watch is None:
            return True
        if watch.signal is None:
            return False
        return not watch.signal.ready_mask(forming=True).item(watch.slot)

    def _place(self, channel: Channel) -> tuple[int, Timeframe]:
        slot = None if channel.symbol is None else self._slots.get(channel.symbol)
        timeframe = channel.timeframe
        if channel.venue != self.name or channel.kind not in COMPUTED_KINDS or slot is None or timeframe is None:
            raise UnknownChannelError(f"expected a channel of {self.name}'s instruments, found {channel.name}")
        return slot, timeframe

    # what has been

    def history(self, channel: Channel, limit: int, *, sent_us: int | None) -> Charting:
        """What `channel`, watched or not, says of the newest `limit` closed bars that are held now; still to compute.

        Bars that close meanwhile change nothing. Raises UnknownChannelError as `watch` does.
        """
        slot, timeframe = self._place(channel)
        number = self._frames[timeframe].graph.number
        held = self.bars.history(timeframe)
        return Charting(held, slot, limit, expression=channel.expression, number=number, sent_us=sent_us)

    # what comes in

    def fold(self, batch: TickBatch, *, sent_us: int | None) -> list[Boundary]:
        """Take ticks; the boundaries that they close, in order, shortest timeframe first at one instant."""
        return self._commit(self.bars.fold(batch), sent_us)

    def advance(self, now_ns: int, *, sent_us: int | None) -> list[Boundary]:
        """Nothing more will come in from before `now_ns`: the boundaries that time alone closes."""
        return self._commit(self.bars.advance(now_ns), sent_us)

    def finish(self, *, sent_us: int | None) -> list[Boundary]:
        """The recording has ended: each bar that has begun is closed."""
        return self._commit(self.bars.finish(), sent_us)

    def _commit(self, closed: Iterable[Closed], sent_us: int | None) -> list[Boundary]:
        boundaries = []
        for each in closed:
            frame = self._frames[each.timeframe]
            frame.graph.commit(each.bar)
            moment = Moment(each.bar, final=True, sent_us=sent_us)
            watches = [watch for watch in frame.watches.values() if moment.born(watch.slot)]
            finals = tuple(_final(watch, moment) for watch in watches)
            for watch in watches:
                watch.concluded = True
            boundaries.append(Boundary(each.timeframe, each.bar.open_ns, finals))
        return boundaries

    # what goes out between boundaries

    def live(self, repeated: frozenset[str], *, sent_us: int | None, everything: bool) -> list[Publication]:
        """The live values of the channels in `repeated` and, with `everything`, of all that have changed."""
        self._changed[self.bars.take_changed()] = True
        published: list[Publication] = []
        for timeframe, frame in self._frames.items():
            watches = [
                watch
                for watch in frame.watches.values()
                if watch.channel in repeated or (everything and self._changed.item(watch.slot))
            ]
            if not watches:
                continue
            if (bar := self.bars.forming(timeframe)) is not None:
                moment = Moment(bar, final=False, sent_us=sent_us)
                published += _live(frame.graph, moment, watches, repeated)
            elif history := self.bars.history(timeframe):
                moment = Moment(history[-1], final=True, sent_us=sent_us)
                published += _newest(moment, watches)
        if everything:
            self._changed[:] = False
        return published


def _newest(moment: Moment, watches: Sequence[_Watch]) -> Iterable[Publication]:
    """Nothing forms any more: the last closed bar, for those that were not watched when it closed."""
    return [_final(watch, moment) for watch in watches if not watch.concluded and moment.born(watch.slot)]


def _final(watch: _Watch, moment: Moment) -> Publication:
    return Publication(watch.channel, final_payload(moment, watch.slot, watch.signal))


def _live(graph: Graph, moment: Moment, watches: Sequence[_Watch], repeated: frozenset[str]) -> Iterable[Publication]:
    """Peek at what `watches` want; what says nothing new is left out, unless it is to be repeated."""
    signals = list(dict.fromkeys(watch.signal for watch in watches if watch.signal is not None))
    slots = sorted({watch.slot for watch in watches if watch.signal is not None})
    peeked = graph.peek(moment.bar, signals, np.array(slots, np.intp)) if signals else []
    found = dict(zip(signals, peeked, strict=True))
    places = {slot: place for place, slot in enumerate(slots)}
    for watch in watches:
        if not moment.born(watch.slot):
            continue
        values = None if watch.signal is None else found[watch.signal]
        payload = _news(watch, moment, values, places.get(watch.slot, 0))
        if payload is None and watch.channel in repeated:
            payload = watch.payload
        if payload is not None:
            watch.payload = payload
            yield Publication(watch.channel, payload)


def _news(watch: _Watch, moment: Moment, columns: Values | None, place: int) -> bytes | None:
    """The live payload of `watch`, or None when it would say what the last one said."""
    bar, slot, signal = moment.bar, watch.slot, watch.signal
    said: tuple[float, ...]
    if columns is None or signal is None:
        values: tuple[float, ...] = ()
        said = (bar.open_ns, bar.count.item(slot), bar.event_ns.item(slot))
    else:
        values = tuple(column.item(place) for column in columns)
        said = (bar.open_ns, *(v if v == v else float("inf") for v in values))  # noqa: PLR0124 - a NaN equals nothing
    if said == watch.said:
        return None
    watch.said = said
    if signal is None:
        return bar_payload(moment, slot)
    settled = signal.ages(forming=True).item(slot) >= signal.settled
    return signal_payload(moment, slot, signal.outputs, values, settled=settled)
