"""TickBatch: columns of ticks of one venue, in order of receipt. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import NDArray

from wire.market import Side, Tick


class TickFlag(IntFlag):
    """What a trade is and what of a bar it may set (sale conditions decide the last three)."""

    BUY = 1
    SELL = 2
    SETS_RANGE = 4
    SETS_OPEN_CLOSE = 8
    SETS_VOLUME = 16
    ORDINARY = SETS_RANGE | SETS_OPEN_CLOSE | SETS_VOLUME


@dataclass(frozen=True, slots=True, eq=False)
class TickBatch:
    """Parallel columns, all of one length, in order of receipt on one connection.

    ``instrument`` int32 slot in the venue's list; ``price`` and ``size`` float64;
    ``event_ns`` exchange time and ``received_ns`` ours, int64 ns since the epoch, UTC;
    ``flags`` uint8 of TickFlag.
    """

    instrument: NDArray[np.int32]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    event_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.instrument)

    def __getitem__(self, part: slice) -> Self:
        return type(self)(
            self.instrument[part],
            self.price[part],
            self.size[part],
            self.event_ns[part],
            self.received_ns[part],
            self.flags[part],
        )

    def pick(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The ticks that a mask or an array of indices names, copied."""
        return type(self)(
            self.instrument[which],
            self.price[which],
            self.size[which],
            self.event_ns[which],
            self.received_ns[which],
            self.flags[which],
        )

    @classmethod
    def join(cls, batches: Sequence[Self]) -> Self:
        """The ticks of all `batches`, one batch behind the other; copied unless there is just one."""
        if len(batches) <= 1:
            return batches[0] if batches else cls.empty()
        return cls(
            np.concatenate([batch.instrument for batch in batches]),
            np.concatenate([batch.price for batch in batches]),
            np.concatenate([batch.size for batch in batches]),
            np.concatenate([batch.event_ns for batch in batches]),
            np.concatenate([batch.received_ns for batch in batches]),
            np.concatenate([batch.flags for batch in batches]),
        )

    @classmethod
    def empty(cls) -> Self:
        """A batch of no ticks."""
        return cls.of((), {})

    @classmethod
    def of(cls, ticks: Sequence[Tick], slots: Mapping[str, int]) -> Self:
        """Columns of `ticks`; `slots` gives each symbol its slot. KeyError for a symbol that is not there."""
        side = {Side.UNKNOWN: 0, Side.BUY: int(TickFlag.BUY), Side.SELL: int(TickFlag.SELL)}
        return cls(
            np.array([slots[t.instrument.symbol] for t in ticks], np.int32),
            np.array([t.price for t in ticks], np.float64),
            np.array([t.size for t in ticks], np.float64),
            np.array([t.event_ns for t in ticks], np.int64),
            np.array([t.received_ns for t in ticks], np.int64),
            np.array([side[t.side] | TickFlag.ORDINARY for t in ticks], np.uint8),
        )
