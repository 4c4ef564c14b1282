"""Charting: what a channel says of the closed bars that are held, computed a few of them at a time. Pure; no I/O."""

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan

import numpy as np

from engine.columns import Columns
from engine.graph import Graph, Signal
from engine.payloads import Moment, bar_payload, signal_payload
from wire.envelope import ClosedValue
from wire.expression_tree import Expression
from wire.market import NS_PER_MS


def final_payload(moment: Moment, at: int, signal: Signal | None) -> bytes:
    """What is published of the closed bar of the slot at place `at`; of the bar itself if `signal` is None."""
    if signal is None:
        return bar_payload(moment, at)
    values = tuple(column.item(at) for column in signal.values)
    settled = signal.ages().item(at) >= signal.settled
    return signal_payload(moment, at, signal.outputs, values, settled=settled)


class Charting:
    """The newest `limit` of the `held` bars in which `slot` had a price, oldest first, as finals.

    A signal is computed anew, for this slot alone, over all that are held, whether it is watched or not. `number` is
    that of the boundary which closed the newest bar: so it has the bits of a watched one that began with the same bar.
    One that has seen older bars may differ from it in what is null or told with ``settled: false``.
    """

    def __init__(
        self,
        held: Sequence[Columns],
        slot: int,
        limit: int,
        *,
        expression: Expression | None,
        number: int,
        sent_us: int | None,
    ) -> None:
        born = bisect_left(held, True, key=lambda bar: not isnan(bar.close.item(slot)))
        self._held = held
        self._alone = np.array([slot], np.intp)
        self._sent_us = sent_us
        self._graph = Graph(1, number - len(held) + born)
        self._signal = None if expression is None else self._graph.watch(expression)
        self._told = len(held) - limit
        self._next = born
        self._values: list[ClosedValue] = []

    @property
    def values(self) -> tuple[ClosedValue, ...]:
        """What has been computed of it."""
        return tuple(self._values)

    def advance(self, bars: int) -> bool:
        """Go on by at most so many bars; True when it is complete."""
        stop = min(self._next + bars, len(self._held))
        for place in range(self._next, stop):
            bar = self._held[place].take(self._alone)
            if self._signal is not None:
                self._graph.commit(bar)
            if place >= self._told:
                moment = Moment(bar, final=True, sent_us=self._sent_us)
                payload = final_payload(moment, 0, self._signal)
                self._values.append(ClosedValue(bar.open_ns // NS_PER_MS, payload))
        self._next = stop
        return stop == len(self._held)
