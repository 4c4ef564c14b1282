"""Watches: the channels of one kind and expression on a frame, and what is published of them. Pure; no I/O."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.graphs import Graphs
from engine.kernels.instant import Column, Slots
from engine.payloads import Moment, alert_payloads, bar_payloads, screen_payload, signal_payloads
from engine.watched import Watched
from engine.watchlist import Watchlist
from wire.comparison import compared
from wire.envelope import Publication
from wire.expression import outputs
from wire.expression_tree import Expression, Function, canonical


class Watch(Protocol):
    """What is watched of one thing; a screen's slot is None."""

    @property
    def terms(self) -> "Sequence[Term]":
        """The expressions that it needs."""

    def want(self, slot: int | None, /) -> None:
        """Let what a slot needs be computed. Raises BudgetError."""

    def tell(self, slot: int | None, channel: str, /) -> None:
        """Publish it from now on."""

    def drop(self, slot: int | None, /) -> None:
        """Compute and publish it no more."""

    def finals(self, moment: Moment, /) -> list[Publication]:
        """What is published of a bar that has been committed."""


class Term:
    """One expression that something watched needs at some slots, or at all (None)."""

    def __init__(self, expression: Expression, graphs: Graphs) -> None:
        self.expression = expression
        self._graphs = graphs
        self._watched: Watched | None = None

    @property
    def watched(self) -> Watched:
        """Where it is computed; it is wanted somewhere."""
        if self._watched is None:
            raise GraphError("expected an expression that is wanted, found one that never was")
        return self._watched

    def want(self, slot: int | None) -> None:
        """Raises BudgetError when there is no memory for it."""
        self._watched = self._graphs.watch(self.expression, _slots(slot))

    def drop(self, slot: int | None) -> None:
        """It is wanted there no more."""
        self._graphs.unwatch(self.watched, _slots(slot))

    def joined(self, slot: int | None) -> bool:
        """Whether it has values there."""
        return self.watched.wide is not None if slot is None else self.watched.joined(slot)


class BarWatch:
    """The bars themselves."""

    term = None
    terms: Sequence[Term] = ()

    def __init__(self) -> None:
        self.watchlist = Watchlist(1)

    def want(self, _slot: int | None) -> None:
        """Bars are there anyway."""

    def tell(self, slot: int | None, channel: str) -> None:
        """See Watch."""
        self.watchlist.add(_one(slot), channel)

    def drop(self, slot: int | None) -> None:
        """See Watch."""
        self.watchlist.remove(_one(slot))

    def finals(self, moment: Moment) -> list[Publication]:
        """See Watch."""
        return _finals(self, moment)

    def payloads(self, moment: Moment, slots: Slots, _values: Sequence[Column] | None) -> list[bytes]:
        """See SignalWatch."""
        return bar_payloads(moment, slots)

    def said(self, moment: Moment, slots: Slots, _values: Sequence[Column] | None) -> Sequence[Column]:
        """See SignalWatch."""
        return [moment.bar.count.take(slots).astype(np.float64)]


class SignalWatch:
    """The values of an expression."""

    def __init__(self, expression: Expression, graphs: Graphs) -> None:
        self.term = Term(expression, graphs)
        self.terms = (self.term,)
        self._outputs = outputs(expression)
        self.watchlist = Watchlist(max(1, len(self._outputs)) + 1)

    def want(self, slot: int | None) -> None:
        """See Watch."""
        self.term.want(slot)

    def tell(self, slot: int | None, channel: str) -> None:
        """See Watch."""
        self.watchlist.add(_one(slot), channel)

    def drop(self, slot: int | None) -> None:
        """See Watch."""
        self.watchlist.remove(_one(slot))
        self.term.drop(slot)

    def finals(self, moment: Moment) -> list[Publication]:
        """See Watch."""
        return _finals(self, moment)

    def payloads(self, moment: Moment, slots: Slots, values: Sequence[Column] | None) -> list[bytes]:
        """What is published of `slots` at `moment`; `values` None stands for those at the last commit."""
        if values is None:
            values = self.term.watched.values(slots)
        settled = self.term.watched.settled_mask(slots, forming=not moment.final)
        return signal_payloads(moment, slots, self._outputs, values, settled)

    def said(self, moment: Moment, slots: Slots, values: Sequence[Column] | None) -> Sequence[Column]:
        """What makes one live value another than the one before."""
        values = self.term.watched.values(slots) if values is None else values
        return (*values, moment.synthetic(slots).astype(np.float64))


class AlertWatch:
    """The bars at which a condition has turned true; ``v`` has what it compared."""

    def __init__(self, condition: Expression, graphs: Graphs) -> None:
        operands = compared(condition)
        self._turned = Term(Function("turned", (condition,)), graphs)
        self._operands = [Term(operand, graphs) for operand in operands]
        self.terms = (self._turned, *self._operands)
        self._names = [canonical(operand) for operand in operands]
        self._watchlist = Watchlist(1)

    def want(self, slot: int | None) -> None:
        """See Watch."""
        with ExitStack() as undo:
            for term in self.terms:
                term.want(slot)
                undo.callback(term.drop, slot)
            undo.pop_all()

    def tell(self, slot: int | None, channel: str) -> None:
        """See Watch."""
        self._watchlist.add(_one(slot), channel)

    def drop(self, slot: int | None) -> None:
        """See Watch."""
        self._watchlist.remove(_one(slot))
        for term in self.terms:
            term.drop(slot)

    def finals(self, moment: Moment) -> list[Publication]:
        """See Watch."""
        watchlist = self._watchlist
        if not len(watchlist):
            return []
        (turned,) = self._turned.watched.values(watchlist.slots)
        places = np.flatnonzero(np.equal(turned, 1.0))
        if not len(places):
            return []
        slots = watchlist.slots[places]
        values = [term.watched.values(slots)[0] for term in self._operands]
        settled = self._turned.watched.settled_mask(slots)
        payloads = alert_payloads(moment, slots, self._names, values, settled)
        return [Publication(watchlist.channels[at], told) for at, told in zip(places.tolist(), payloads, strict=True)]


class ScreenWatch:
    """The instruments of a venue for which a condition holds, at each closed bar."""

    def __init__(self, condition: Expression, graphs: Graphs, symbols: Sequence[str]) -> None:
        self._held = Term(Function("held", (condition,)), graphs)
        self.terms = (self._held,)
        self._symbols = symbols
        self._all = np.arange(len(symbols))
        self._holding = np.zeros(len(symbols), np.bool_)
        self._channel: str | None = None

    def want(self, _slot: int | None) -> None:
        """See Watch."""
        self._held.want(None)

    def tell(self, _slot: int | None, channel: str) -> None:
        """See Watch."""
        self._channel = channel
        self._holding = self._now()

    def drop(self, _slot: int | None) -> None:
        """See Watch."""
        self._channel = None
        self._held.drop(None)

    def finals(self, moment: Moment) -> list[Publication]:
        """See Watch."""
        if self._channel is None:
            return []
        before, now = self._holding, self._now()
        self._holding = now
        told = [self._named(mask) for mask in (now, now & ~before, before & ~now)]
        return [Publication(self._channel, screen_payload(moment, *told))]

    def _now(self) -> NDArray[np.bool_]:
        holding: NDArray[np.bool_] = np.equal(self._held.watched.values(self._all)[0], 1.0)
        return holding

    def _named(self, mask: NDArray[np.bool_]) -> list[str]:
        return [self._symbols[slot] for slot in np.flatnonzero(mask).tolist()]


def _finals(watch: "BarWatch | SignalWatch", moment: Moment) -> list[Publication]:
    """One for each slot that has ever traded."""
    watchlist = watch.watchlist
    if not len(watchlist):
        return []
    slots, channels = watchlist.slots, watchlist.channels
    watchlist.concluded[:] = True
    born = moment.born(slots)
    if not born.all():
        places = np.flatnonzero(born)
        slots, channels = slots[places], [channels[place] for place in places.tolist()]
    return list(map(Publication, channels, watch.payloads(moment, slots, None)))


def _slots(slot: int | None) -> Slots | None:
    return None if slot is None else np.array([slot], np.intp)


def _one(slot: int | None) -> int:
    if slot is None:
        raise TypeError("expected the slot of one instrument, found all")
    return slot
