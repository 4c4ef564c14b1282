"""TA-Lib's averages, bands, transformed prices and cycles that the core set lacks. No I/O."""

from typing import Final

from wire.catalogue_types import Indicator
from wire.talib_entry import (
    HIGH_LOW,
    HILBERT_DIFFERENCE,
    HILBERT_UNSTABLE,
    HLC,
    OF_SERIES,
    OHLC,
    average_lookback,
    average_unstable,
    entry,
    grouped,
    kind,
    length,
    real,
    whole,
)

_BANDS: Final = ("upper", "middle", "lower")

OVERLAP_STUDIES: Final[tuple[Indicator, ...]] = grouped(
    "Overlap Studies",
    entry("ACCBANDS", "Acceleration bands", HLC, length(20), "length - 1", output_list=_BANDS),
    entry(
        "HT_TRENDLINE",
        "Instantaneous trendline, by Hilbert transform",
        OF_SERIES,
        lookback="63",
        unstable=HILBERT_UNSTABLE,
        differences=(HILBERT_DIFFERENCE,),
    ),
    entry(
        "KC",
        "Keltner channels about an ema, as wide as mult true ranges",
        HLC,
        (whole("length", 20), whole("atr_length", 10, 1), real("mult", 2, 0, 100)),
        "max(length - 1, atr_length)",
        unstable="max(20 * length, 45 * atr_length)",
        output_list=_BANDS,
    ),
    entry(
        "MA",
        "Moving average of a kind",
        OF_SERIES,
        (whole("length", 30, 1), kind("matype", 0)),
        average_lookback("length", "matype"),
        unstable=average_unstable("length", "matype"),
    ),
    entry(
        "MAMA",
        "MESA adaptive moving average",
        OF_SERIES,
        (real("fast", 0.5, 0.01, 0.99), real("slow", 0.05, 0.01, 0.99)),
        "32",
        unstable="1000 + 80 / slow",
        output_list=("mama", "fama"),
        differences=(HILBERT_DIFFERENCE,),
    ),
    entry("MIDPOINT", "Middle of the highest and lowest value", OF_SERIES, length(14), "length - 1"),
    entry("MIDPRICE", "Middle of the highest high and lowest low", HIGH_LOW, length(14), "length - 1"),
    entry(
        "SAREXT",
        "Parabolic stop and reverse with a start and a side of its own; negative while short",
        HIGH_LOW,
        (
            real("start", 0, -1e9, 1e9),
            real("offset", 0, 0, 1),
            real("init_long", 0.02, 0, 1),
            real("step_long", 0.02, 0, 1),
            real("max_long", 0.2, 0, 1),
            real("init_short", 0.02, 0, 1),
            real("step_short", 0.02, 0, 1),
            real("max_short", 0.2, 0, 1),
        ),
        "1",
        unstable="500",
    ),
    entry(
        "T3",
        "Tillson's T3 moving average",
        OF_SERIES,
        (whole("length", 5, 1), real("factor", 0.7, 0, 1)),
        "6 * (length - 1)",
        unstable="60 * (length > 1) * length",
    ),
    entry("TRIMA", "Triangular moving average", OF_SERIES, length(30, 1), "length - 1"),
    entry(
        "ZLEMA",
        "Zero-lag exponential moving average",
        OF_SERIES,
        length(30, 1),
        "(length - 1) * 3 / 2",
        unstable="20 * (length > 1) * length",
    ),
)

PRICE_TRANSFORMS: Final[tuple[Indicator, ...]] = grouped(
    "Price Transform",
    entry("AVGDEV", "Mean absolute deviation from the mean", OF_SERIES, length(14), "length - 1"),
    entry("AVGPRICE", "Average of the four prices, as ohlc4", OHLC),
    entry(
        "HA",
        "Heikin-Ashi candles",
        OHLC,
        unstable="64",
        output_list=("open", "high", "low", "close"),
    ),
    entry("MEDPRICE", "Middle of the bar, as hl2", HIGH_LOW),
    entry("TYPPRICE", "Typical price, as hlc3", HLC),
    entry("WCLPRICE", "Typical price with the close counted twice", HLC),
)


def _cycle(function: str, title: str, lookback: str, *outputs: str) -> Indicator:
    return entry(
        function,
        f"{title}, by Hilbert transform",
        OF_SERIES,
        lookback=lookback,
        unstable=HILBERT_UNSTABLE,
        output_list=outputs,
        differences=(HILBERT_DIFFERENCE,),
    )


CYCLES: Final[tuple[Indicator, ...]] = grouped(
    "Cycle Indicators",
    _cycle("HT_DCPERIOD", "Dominant cycle in bars", "32"),
    _cycle("HT_DCPHASE", "Phase of the dominant cycle in degrees", "63"),
    _cycle("HT_PHASOR", "Phasor of the dominant cycle", "32", "inphase", "quadrature"),
    _cycle("HT_SINE", "Sine of the dominant cycle's phase, and 45 degrees ahead", "63", "sine", "leadsine"),
    _cycle("HT_TRENDMODE", "1 in a trend, 0 in a cycle", "63"),
)
