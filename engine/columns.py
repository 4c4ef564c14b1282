"""Columns: one bar of every instrument of a venue. Pure; no I/O."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """One bar, closed or forming, of all the slots of a venue: every array has shape (slots,).

    ``open`` to ``volume`` and ``turnover`` (sum of price x size) are float64; ``count`` (trades) and ``event_ns``
    (exchange time of the newest tick up to this bar, ns, UTC; 0 before the first) are int64.
    A slot that never traded is NaN in the four prices; one that traded before but not in this bar is flat:
    its four prices are the previous close, volume, turnover and count are 0. Never written to once handed out.
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

    @property
    def width(self) -> int:
        """The number of slots."""
        return len(self.close)
