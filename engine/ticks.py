"""TickBatch and QuoteBatch: columns of ticks and of quotes of one venue, in order of receipt. Pure; no I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Any, Self

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
    AFTER_GAP = 32
    """Trades of the instrument before this one are known to be missing: the venue's ids have a hole here."""
    CLOSING = 64
    """A closing auction's: it belongs to the last bar of its session, whenever it is reported."""
    ORDINARY = SETS_RANGE | SETS_OPEN_CLOSE | SETS_VOLUME


@dataclass(frozen=True, slots=True, eq=False)
class TickBatch:
    """Parallel columns, all of one length, in order of receipt over all connections.

    ``instrument`` int32 slot in the venue's list; ``price`` and ``size`` float64;
    ``event_ns`` exchange time and ``received_ns`` ours, int64 ns since the epoch, UTC;
    ``flags`` uint8 of TickFlag; ``trade_id`` the venue's, int64, -1 for none (None: there are none at all);
    ``connection`` uint8, the one that it came on (None: all came on connection 0).
    """

    instrument: NDArray[np.int32]
    price: NDArray[np.float64]
    size: NDArray[np.float64]
    event_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    flags: NDArray[np.uint8]
    trade_id: NDArray[np.int64] | None = None
    connection: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.instrument)

    def __getitem__(self, part: slice) -> Self:
        return self._each(lambda column: column[part])

    def pick(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """The ticks that a mask or an array of indices names, copied."""
        return self._each(lambda column: column[which])

    def later(self, shift_ns: int) -> Self:
        """The same ticks with all times later by `shift_ns`."""
        return replace(self, event_ns=self.event_ns + shift_ns, received_ns=self.received_ns + shift_ns)

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
            _joined([(len(batch), batch.trade_id) for batch in batches], -1, np.int64),
            _joined([(len(batch), batch.connection) for batch in batches], 0, np.uint8),
        )

    def _each(self, part: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(
            part(self.instrument),
            part(self.price),
            part(self.size),
            part(self.event_ns),
            part(self.received_ns),
            part(self.flags),
            None if self.trade_id is None else part(self.trade_id),
            None if self.connection is None else part(self.connection),
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
            np.array([t.trade_id for t in ticks], np.int64),
        )


def _joined(
    parts: Sequence[tuple[int, NDArray[Any] | None]], absent: int, kind: type[np.generic]
) -> NDArray[Any] | None:
    """Columns that some batches lack, one behind the other; None when all lack it."""
    if all(column is None for _, column in parts):
        return None
    return np.concatenate([np.full(count, absent, kind) if column is None else column for count, column in parts])


@dataclass(frozen=True, slots=True, eq=False)
class QuoteBatch:
    """Best bids and asks of one venue, parallel columns in order of receipt.

    ``instrument`` int32 slot; prices and sizes float64; ``event_ns`` exchange time and ``received_ns`` ours, ns, UTC.
    """

    instrument: NDArray[np.int32]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    bid_size: NDArray[np.float64]
    ask_size: NDArray[np.float64]
    event_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.instrument)
