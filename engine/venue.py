"""Venue: one venue's bars, its frames and its tape. Pure; no I/O, no clock."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from math import isnan
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.bars import Closed, VenueBars
from engine.bars_state import BarsStateError
from engine.budget import Budget
from engine.charting import Charting, Past
from engine.errors import UnknownChannelError
from engine.feeds.feed import Feed
from engine.frame import Frame
from engine.kernels.instant import Slots
from engine.payloads import Moment, bar_payloads, revision_payload
from engine.revisions import Revision
from engine.sessions import ALWAYS, Sessions
from engine.snapshot import SnapshotError
from engine.tape import Tape
from engine.ticks import QuoteBatch, TickBatch
from engine.venue_state import VenueState
from wire.channel import Channel, ChannelKind
from wire.envelope import Publication
from wire.market import Timeframe

CHARTED_KINDS: Final = frozenset({ChannelKind.BARS, ChannelKind.SIGNALS})


class Boundary(Struct, frozen=True):
    """Finals of the watched channels of one timeframe: of bars that have closed, or that are corrected."""

    timeframe: Timeframe
    open_ns: int
    finals: tuple[Publication, ...]
    newest: tuple[bytes, ...] | None = None
    """Of corrections what is known of the newest closed bar of each one's channel; else None."""


class Venue:
    """One venue. A slot is the place of an instrument in `symbols`.

    Times that come in are of the feed's clock of receipt; ``sent_us`` None stamps each payload with its event time,
    so that a replay repeats its bytes.
    """

    def __init__(
        self, name: str, symbols: Sequence[str], *, grace_ns: int, budget: Budget, sessions: Sessions = ALWAYS
    ) -> None:
        self.name = name
        self.symbols = tuple(symbols)
        self.bars = VenueBars(len(symbols), grace_ns=grace_ns, sessions=sessions)
        self._slots = {symbol: slot for slot, symbol in enumerate(symbols)}
        self._frames = {timeframe: Frame(self.symbols, budget) for timeframe in Timeframe}
        self._tape = Tape(len(symbols))
        self._received_ns = self._restored_ns = 0
        self._interrupted = self._lapsed = False
        self._watched: dict[str, Channel] = {}
        self._joining: dict[str, None] = {}
        """Channels of the tape that are to be named as joined."""

    @classmethod
    def of(cls, feed: Feed, budget: Budget) -> "Venue":
        """The venue that `feed` fills."""
        return cls(feed.venue, feed.instruments, grace_ns=feed.grace_ns, budget=budget, sessions=feed.sessions)

    # what is wanted

    def watch(self, channel: Channel) -> bool:
        """Compute `channel` from now on, warm from the bars that are held; False if it is watched already.

        `warm` names it once it has joined. Raises UnknownChannelError when it is not of this venue, and BudgetError
        when there is no memory for it.
        """
        slot, name = self._slot(channel), channel.name
        if name in self._watched:
            return False
        if channel.timeframe is not None:
            frame = self._frames[channel.timeframe]
            begins = not frame.watched
            frame.watch(channel, slot, name)
            if begins:
                self._want_history()
        elif slot is not None:
            self._tape.watch(channel, slot)
            self._joining[name] = None
        self._watched[name] = channel
        return True

    def unwatch(self, channel: Channel) -> None:
        """Stop to compute `channel`; nothing happens if it is not watched."""
        name = channel.name
        if self._watched.pop(name, None) is None:
            return
        self._joining.pop(name, None)
        if channel.timeframe is None:
            self._tape.unwatch(channel)
            return
        frame = self._frames[channel.timeframe]
        frame.unwatch(channel, self._slot(channel), name)
        if not frame.watched:
            self._want_history()

    def warm(self, more: Callable[[], bool]) -> list[str]:
        """Replay held bars for what is new, as long as `more` says; the channels that are told from now on."""
        joined = list(self._joining)
        self._joining.clear()
        for timeframe, frame in self._frames.items():
            joined += frame.warm(partial(self.bars.history, timeframe), more)
        return joined

    def warms(self, channel: Channel) -> bool:
        """Whether the next bar of `channel`, watched or not, would have no value yet. Raises UnknownChannelError."""
        slot, timeframe = self._slot(channel), channel.timeframe
        if timeframe is None or channel.expression is None or slot is None:
            return False
        held = self.bars.history(timeframe)
        bars = len(held) - bisect_left(held, True, key=lambda bar: not isnan(bar.close.item(slot)))
        return not self._frames[timeframe].ready(channel.expression, slot, bars)

    def _want_history(self) -> None:
        self.bars.want([timeframe for timeframe, frame in self._frames.items() if frame.watched])

    def _slot(self, channel: Channel) -> int | None:
        """The slot that `channel` is about; None for all of the venue."""
        if channel.venue == self.name:
            if channel.kind is ChannelKind.SCREENS:
                return None
            slot = self._slots.get(channel.symbol or "")
            if slot is not None:
                return slot
        raise UnknownChannelError(f"expected a channel of {self.name}'s instruments, found {channel.name}")

    # what has been

    def history(self, channel: Channel, limit: int, *, sent_us: int | None) -> Charting:
        """What `channel`, watched or not, says of the newest `limit` closed bars that are held now; still to compute.

        Bars that close meanwhile change nothing. Raises UnknownChannelError as `watch` does, and for a channel that
        says nothing of each bar.
        """
        slot, timeframe = self._slot(channel), channel.timeframe
        if slot is None or timeframe is None or channel.kind not in CHARTED_KINDS:
            raise UnknownChannelError(f"expected a channel of bars or signals, found {channel.name}")
        past = Past(
            self.bars.history(timeframe),
            self._frames[timeframe].graphs.number,
            lambda open_ns: self.bars.corrected(timeframe, open_ns, slot),
        )
        return Charting(past, slot, limit, expression=channel.expression, sent_us=sent_us)

    # what comes in

    def fold(self, batch: TickBatch, *, sent_us: int | None) -> list[Boundary]:
        """Take ticks; the boundaries that they close, in order, shortest timeframe first at one instant."""
        if len(batch) and batch.received_ns.item(0) < self._restored_ns:
            batch = batch.pick(batch.received_ns >= self._restored_ns)
        if len(batch):
            self._received_ns = batch.received_ns.item(-1)
        self._tape.trade(batch)
        boundaries = self._commit(self.bars.fold(batch), sent_us)
        if self._lapsed and len(batch):
            self._lapsed = False
            if not self._interrupted:
                self.bars.resume()
        return boundaries

    def quote(self, batch: QuoteBatch) -> None:
        """Take quotes."""
        self._tape.quote(batch)

    def advance(self, now_ns: int, *, sent_us: int | None) -> list[Boundary]:
        """Nothing more will come in from before `now_ns`: the boundaries that time alone closes."""
        return self._commit(self.bars.advance(now_ns), sent_us)

    def finish(self, *, sent_us: int | None) -> list[Boundary]:
        """The recording has ended: each bar that has begun is closed."""
        return self._commit(self.bars.finish(), sent_us)

    def backfill(
        self, batch: TickBatch, hole_ns: tuple[int, int], slots: Slots, *, sent_us: int | None
    ) -> list[Boundary]:
        """Take the trades of a hole [from, to) of `slots`, fetched later: what is corrected by them.

        Bars that are held are used as they are now, and what signals remember of these slots is computed anew; their
        finals that were published stay.
        """
        backfilled = self.bars.backfill(batch, *hole_ns, slots)
        if backfilled is not None:
            for timeframe, _ in backfilled.first:
                self._frames[timeframe].graphs.rewarm(np.array(backfilled.slots, np.intp))
        return self._corrections(sent_us)

    def interrupt(self, *, interrupted: bool) -> None:
        """Whether the feed is down: trades are missing as long as it is."""
        if interrupted and not self._interrupted:
            self.bars.interrupt()
        elif self._interrupted and not interrupted and not self._lapsed:
            self.bars.resume()
        self._interrupted = interrupted

    def lapse(self) -> None:
        """From where it was restored to the next trade nobody saw what was traded."""
        self._lapsed = True
        self.bars.interrupt()

    def _commit(self, closed: Iterable[Closed], sent_us: int | None) -> list[Boundary]:
        boundaries = []
        for each in closed:
            finals = self._frames[each.timeframe].commit(each.bar, sent_us=sent_us)
            boundaries.append(Boundary(each.timeframe, each.bar.open_ns, tuple(finals)))
        return boundaries + self._corrections(sent_us)

    def _corrections(self, sent_us: int | None) -> list[Boundary]:
        """What is told anew of closed bars."""
        told: dict[tuple[Timeframe, int], list[tuple[Publication, bytes]]] = {}
        for revision in self.bars.take_revisions():
            channel = self._frames[revision.timeframe].bars_channel(revision.slot)
            if channel is not None:
                publication = Publication(channel, revision_payload(revision, sent_us))
                newest = self._newest(revision, sent_us)
                told.setdefault((revision.timeframe, revision.open_ns), []).append((publication, newest))
        return [
            Boundary(*bar, tuple(final for final, _ in each), tuple(newest for _, newest in each))
            for bar, each in told.items()
        ]

    def _newest(self, revision: Revision, sent_us: int | None) -> bytes:
        """What is known of the newest closed bar of a slot of which one was corrected: that one, if there is none."""
        timeframe, slot = revision.timeframe, revision.slot
        held = self.bars.history(timeframe)
        corrected = self.bars.corrected(timeframe, held[-1].open_ns, slot) if held else revision
        if corrected is None and not isnan(held[-1].close.item(slot)):
            return bar_payloads(Moment(held[-1], final=True, sent_us=sent_us), np.array([slot], np.intp))[0]
        return revision_payload(revision if corrected is None else corrected, sent_us)

    # its state as data

    def state(self) -> VenueState:
        """All that it has come to, for `restore`; what somebody watches is not part of it."""
        graphs = {timeframe: frame.graphs.state() for timeframe, frame in self._frames.items()}
        return VenueState(self.symbols, self.bars.state(), graphs, self._received_ns)

    def restore(self, state: VenueState) -> None:
        """Go on where `state` was given, with the same bytes; only before anything came in or is watched.

        What was received before that is not taken again. SnapshotError when it is of other instruments or settings.
        """
        if state.symbols != self.symbols:
            raise SnapshotError(f"expected the state of {len(self.symbols)} instruments, found one of others")
        try:
            self.bars.restore(state.bars)
        except BarsStateError as error:
            raise SnapshotError(str(error)) from error
        for timeframe, graphs in state.graphs.items():
            held = self.bars.history(timeframe)
            self._frames[timeframe].graphs.restore(graphs, None, held[-1] if held else None)
        self._received_ns = self._restored_ns = state.received_ns

    def forget(self) -> None:
        """What is wanted from before a restart is watched again: nothing else of what was restored will be."""
        for frame in self._frames.values():
            frame.graphs.forget()

    # what goes out between boundaries

    def repeat(self, names: Collection[str], *, sent_us: int | None) -> list[Publication]:
        """The live values of the channels called `names`, whether they have changed or not; none of those that wait.

        When nothing forms any more it is the last closed bar, for those that were not told of it.
        """
        told = self._tape.live(names, sent_us=sent_us, everything=False)
        asked: dict[Timeframe, list[tuple[Channel, int | None]]] = {}
        for name in sorted(names):
            channel = self._watched.get(name)
            if channel is not None and channel.timeframe is not None:
                asked.setdefault(channel.timeframe, []).append((channel, self._slot(channel)))
        for timeframe, those in asked.items():
            frame = self._frames[timeframe]
            moment = self._forming(timeframe, sent_us)
            if moment is not None:
                told += frame.repeat(those, moment)
            elif history := self.bars.history(timeframe):
                told += frame.conclude(those, Moment(history[-1], final=True, sent_us=sent_us))
        return told

    @property
    def warming(self) -> bool:
        """Whether there are held bars to replay for something new."""
        return any(frame.graphs.warming for frame in self._frames.values())

    def refresh(self, stamp: Callable[[], int | None]) -> Iterator[list[Publication]] | None:
        """All live values that have changed, some at a time: `stamp` gives the ``sent_us`` of each time.

        None when nothing has changed since this was asked last.
        """
        slots = self.bars.take_changed()
        if len(slots) == 0 and not self._tape.changed:
            return None
        changed = np.zeros(len(self.symbols), np.bool_)
        changed[slots] = True
        return self._refreshed(changed, stamp)

    def _refreshed(self, changed: NDArray[np.bool_], stamp: Callable[[], int | None]) -> Iterator[list[Publication]]:
        yield self._tape.live((), sent_us=stamp(), everything=True)
        for timeframe, frame in self._frames.items():
            if frame.watched:
                yield from frame.refresh(changed, partial(self._forming_now, timeframe, stamp))

    def _forming_now(self, timeframe: Timeframe, stamp: Callable[[], int | None]) -> Moment | None:
        return self._forming(timeframe, stamp())

    def _forming(self, timeframe: Timeframe, sent_us: int | None) -> Moment | None:
        bar = self.bars.forming(timeframe)
        return None if bar is None else Moment(bar, final=False, sent_us=sent_us)
