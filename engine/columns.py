"""Columns: one bar of every instrument of a venue. Pure; no I/O."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One bar, closed or forming, of all the slots of a venue: every array has shape (slots,).

    ``open`` to ``volume`` and ``turnover`` (sum of price x size) are float64; ``count`` (trades) and ``event_ns``
    (exchange time of the newest tick up to this bar, ns, UTC; 0 before the first) are int64.
    A slot that never traded is NaN in the four prices; one that traded before but not in this bar is flat:
    its four prices are the previous close, volume, turnover and count are 0. Never written to once handed out.

    ``session_ns`` is when the session began that the bar belongs to, ns, UTC: what adds up over a session begins anew
    where it changes. ``gap`` (bool) marks the slots of which trades are known to be missing; None where none is.
    """

    open_ns: int
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    turnover: NDArray[np.float64]
    count: NDArray[np.int64]
    event_ns: NDArray[np.int64]
    session_ns: int = 0
    gap: NDArray[np.bool_] | None = None

    @property
    def width(self) -> int:
        """The number of slots."""
        return len(self.close)

    def take(self, slots: NDArray[np.intp]) -> Self:
        """The bar of some slots, in their order, as a venue of just those; copied."""
        return type(self)(
            self.open_ns,
            self.open.take(slots),
            self.high.take(slots),
            self.low.take(slots),
            self.close.take(slots),
            self.volume.take(slots),
            self.turnover.take(slots),
            self.count.take(slots),
            self.event_ns.take(slots),
            self.session_ns,
            None if self.gap is None else self.gap.take(slots),
        )
