"""TA-Lib's candlestick patterns: 100 where one is seen (some 200), -100 where it is bearish, else 0. No I/O."""

from typing import Final

from wire.catalogue_types import Indicator
from wire.talib_entry import OHLC, entry, grouped, real


def _pattern(name: str, title: str, lookback: int, penetration: float | None = None, unstable: int = 0) -> Indicator:
    """`penetration`: how far the last candle has to reach into the first, as a share of its body."""
    return entry(
        f"CDL{name}",
        title,
        OHLC,
        () if penetration is None else (real("penetration", penetration, 0, 1),),
        f"{lookback}",
        unstable=f"{unstable}",
    )


PATTERNS: Final[tuple[Indicator, ...]] = grouped(
    "Pattern Recognition",
    _pattern("2CROWS", "Two crows", 12),
    _pattern("3BLACKCROWS", "Three black crows", 13),
    _pattern("3INSIDE", "Three inside up or down", 12),
    _pattern("3LINESTRIKE", "Three-line strike", 8),
    _pattern("3OUTSIDE", "Three outside up or down", 3),
    _pattern("3STARSINSOUTH", "Three stars in the south", 12),
    _pattern("3WHITESOLDIERS", "Three advancing white soldiers", 12),
    _pattern("ABANDONEDBABY", "Abandoned baby", 12, 0.3),
    _pattern("ADVANCEBLOCK", "Advance block", 12),
    _pattern("BELTHOLD", "Belt hold", 10),
    _pattern("BREAKAWAY", "Breakaway", 14),
    _pattern("CLOSINGMARUBOZU", "Closing marubozu", 10),
    _pattern("CONCEALBABYSWALL", "Concealing baby swallow", 13),
    _pattern("COUNTERATTACK", "Counterattack", 11),
    _pattern("DARKCLOUDCOVER", "Dark cloud cover", 11, 0.5),
    _pattern("DOJI", "Doji", 10),
    _pattern("DOJISTAR", "Doji star", 11),
    _pattern("DRAGONFLYDOJI", "Dragonfly doji", 10),
    _pattern("ENGULFING", "Engulfing pattern", 2),
    _pattern("EVENINGDOJISTAR", "Evening doji star", 12, 0.3),
    _pattern("EVENINGSTAR", "Evening star", 12, 0.3),
    _pattern("GAPSIDESIDEWHITE", "White candles side by side after a gap", 7),
    _pattern("GRAVESTONEDOJI", "Gravestone doji", 10),
    _pattern("HAMMER", "Hammer", 11),
    _pattern("HANGINGMAN", "Hanging man", 11),
    _pattern("HARAMI", "Harami", 11),
    _pattern("HARAMICROSS", "Harami cross", 11),
    _pattern("HIGHWAVE", "High-wave candle", 10),
    _pattern("HIKKAKE", "Hikkake, and 200 where it is confirmed", 5, unstable=8),
    _pattern("HIKKAKEMOD", "Modified hikkake, and 200 where it is confirmed", 10, unstable=8),
    _pattern("HOMINGPIGEON", "Homing pigeon", 11),
    _pattern("IDENTICAL3CROWS", "Identical three crows", 12),
    _pattern("INNECK", "In-neck", 11),
    _pattern("INVERTEDHAMMER", "Inverted hammer", 11),
    _pattern("KICKING", "Kicking", 11),
    _pattern("KICKINGBYLENGTH", "Kicking, in the direction of the longer marubozu", 11),
    _pattern("LADDERBOTTOM", "Ladder bottom", 14),
    _pattern("LONGLEGGEDDOJI", "Long-legged doji", 10),
    _pattern("LONGLINE", "Long line", 10),
    _pattern("MARUBOZU", "Marubozu", 10),
    _pattern("MATCHINGLOW", "Matching low", 6),
    _pattern("MATHOLD", "Mat hold", 14, 0.5),
    _pattern("MORNINGDOJISTAR", "Morning doji star", 12, 0.3),
    _pattern("MORNINGSTAR", "Morning star", 12, 0.3),
    _pattern("ONNECK", "On-neck", 11),
    _pattern("PIERCING", "Piercing pattern", 11),
    _pattern("RICKSHAWMAN", "Rickshaw man", 10),
    _pattern("RISEFALL3METHODS", "Rising or falling three methods", 14),
    _pattern("SEPARATINGLINES", "Separating lines", 11),
    _pattern("SHOOTINGSTAR", "Shooting star", 11),
    _pattern("SHORTLINE", "Short line", 10),
    _pattern("SPINNINGTOP", "Spinning top", 10),
    _pattern("STALLEDPATTERN", "Stalled pattern", 12),
    _pattern("STICKSANDWICH", "Stick sandwich", 7),
    _pattern("TAKURI", "Takuri: a dragonfly doji with a very long lower shadow", 10),
    _pattern("TASUKIGAP", "Tasuki gap", 7),
    _pattern("THRUSTING", "Thrusting pattern", 11),
    _pattern("TRISTAR", "Tristar", 12),
    _pattern("UNIQUE3RIVER", "Unique three-river bottom", 12),
    _pattern("UPSIDEGAP2CROWS", "Upside gap two crows", 12),
    _pattern("XSIDEGAP3METHODS", "Upside or downside gap three methods", 2),
)
