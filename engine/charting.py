"""Charting: what a channel says of the closed bars that are held, computed a few of them at a time. Pure; no I/O."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

import numpy as np

from engine.columns import Columns
from engine.graph import Graph
from engine.payloads import Moment, bar_payloads, revision_payload, signal_payloads
from engine.revisions import Revision
from wire.envelope import ClosedValue
from wire.expression_tree import Expression

_ALONE: Final = np.zeros(1, np.intp)
"""The slot of a venue of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """The closed bars of a venue and timeframe that are held: as they were used, oldest first.

    ``number`` is that of the boundary that closed the newest; ``corrected`` gives the newest form of the bar that
    opened at a time, if it was corrected since.
    """

    bars: Sequence[Columns]
    number: int
    corrected: Callable[[int], Revision | None]


class Charting:
    """The newest `limit` of the bars held of the `past` in which `slot` had a price, oldest first, as finals.

    A signal is computed anew, for this slot alone, over all that are held, whether it is watched or not, and has the
    bits of a watched one that began with the same bar. One that has seen older bars may differ from it in what is null
    or told with ``settled: false``.
    """

    def __init__(
        self,
        past: Past,
        slot: int,
        limit: int,
        *,
        expression: Expression | None,
        sent_us: int | None,
    ) -> None:
        held = past.bars
        born = bisect_left(held, True, key=lambda bar: not isnan(bar.close.item(slot)))
        self._held = held
        self._alone = np.array([slot], np.intp)
        self._sent_us = sent_us
        self._corrected = past.corrected
        self._graph = Graph(1, past.number - len(held) + born)
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
                self._values.append(ClosedValue(moment.t_ms, self._payload(moment)))
        self._next = stop
        return stop == len(self._held)

    def _payload(self, moment: Moment) -> bytes:
        """What is published of the closed bar; of a bar that was corrected, what was told last."""
        signal = self._signal
        if signal is not None:
            settled = signal.settled_mask()
            return signal_payloads(moment, _ALONE, signal.outputs, signal.values, settled)[0]
        revision = self._corrected(moment.bar.open_ns)
        return bar_payloads(moment, _ALONE)[0] if revision is None else revision_payload(revision, self._sent_us)
