"""The market's own words: instruments, timeframes, ticks and bars. Pure; no I/O."""

from enum import Enum
from typing import Final

from msgspec import Struct

NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000
NS_PER_S: Final = 1_000_000_000


class Instrument(Struct, frozen=True, order=True):
    """What is traded, and where: both parts upper case, as in ``BINANCE:BTCUSDT``."""

    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}"


class Timeframe(Enum):
    """The length of a bar, under the name that channels use."""

    S1 = "1s"
    S5 = "5s"
    S15 = "15s"
    S30 = "30s"
    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    D1 = "1d"

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        return int(self.value[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[self.value[-1]]

    @property
    def ns(self) -> int:
        """The length in nanoseconds."""
        return self.seconds * NS_PER_S


class Side(Enum):
    """Who took the price: the aggressor of a trade."""

    UNKNOWN = 0
    BUY = 1
    SELL = 2


class Tick(Struct, frozen=True):
    """One trade.

    ``event_ns`` is the exchange's time of the trade, ``received_ns`` ours when it came in:
    nanoseconds since the epoch, UTC. The two clocks may differ by seconds.
    ``size`` is in units of the base asset (or shares); ``trade_id`` is the venue's, -1 if it gives none.
    """

    instrument: Instrument
    price: float
    size: float
    event_ns: int
    received_ns: int
    side: Side = Side.UNKNOWN
    trade_id: int = -1


class Bar(Struct, frozen=True):
    """One instrument's bar over [open_ns, open_ns + timeframe), as it was when closed.

    ``count`` is the number of trades; a flat bar (no trade) has count 0 and volume 0.
    """

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    count: int
