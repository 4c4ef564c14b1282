"""TA-Lib's statistics, volatility and volume indicators and its arithmetic that the core set lacks. No I/O."""

from typing import Final

from wire.catalogue_types import Indicator
from wire.talib_entry import (
    HIGH_LOW,
    HLC,
    OF_SERIES,
    average_lookback,
    average_unstable,
    entry,
    grouped,
    kind,
    length,
    real,
    whole,
)

_CLOSE_VOLUME: Final = ("close", "volume")

OPERATORS: Final[tuple[Indicator, ...]] = grouped(
    "Math Operators",
    entry("ADD", "high + low", HIGH_LOW),
    entry("CUMSUM", "Sum of all values since the first", OF_SERIES, unstable="never"),
    entry("DIV", "high / low", HIGH_LOW),
    entry(
        "MINMAX",
        "Lowest and highest value",
        OF_SERIES,
        length(30),
        "length - 1",
        output_list=("min", "max"),
    ),
    entry("MULT", "high * low", HIGH_LOW),
    entry("SUB", "high - low", HIGH_LOW),
    entry("SUM", "Sum", OF_SERIES, length(30), "length - 1"),
)

TRANSFORMS: Final[tuple[Indicator, ...]] = grouped(
    "Math Transform",
    entry("ATAN", "Arc tangent", OF_SERIES),
    entry("CEIL", "Next whole number above", OF_SERIES),
    entry("COS", "Cosine", OF_SERIES),
    entry("FLOOR", "Next whole number below", OF_SERIES),
    entry("LN", "Natural logarithm", OF_SERIES),
    entry("LOG10", "Decimal logarithm", OF_SERIES),
    entry("SIN", "Sine", OF_SERIES),
    entry("SQRT", "Square root", OF_SERIES),
    entry("TAN", "Tangent", OF_SERIES),
    entry("TANH", "Hyperbolic tangent", OF_SERIES),
)

STATISTICS: Final[tuple[Indicator, ...]] = grouped(
    "Statistic Functions",
    entry(
        "BETA",
        "Beta of the low's moves on the high's",
        HIGH_LOW,
        length(5, 1),
        "length",
    ),
    entry(
        "CORREL",
        "Correlation of high and low",
        HIGH_LOW,
        length(30, 1),
        "length - 1",
        differences=("where neither moves what is left of running sums decides, and so where history began",),
    ),
    entry("LINEARREG", "Linear regression, at its end", OF_SERIES, length(14), "length - 1"),
    entry(
        "LINEARREG_ANGLE",
        "Linear regression's slope as an angle in degrees",
        OF_SERIES,
        length(14),
        "length - 1",
    ),
    entry(
        "LINEARREG_INTERCEPT",
        "Linear regression, at its begin",
        OF_SERIES,
        length(14),
        "length - 1",
    ),
    entry("LINEARREG_SLOPE", "Linear regression's slope", OF_SERIES, length(14), "length - 1"),
    entry(
        "PERCENTILE",
        "Percentile, by nearest rank",
        OF_SERIES,
        (whole("length", 30), real("percent", 50, 0, 100)),
        "length - 1",
    ),
    entry(
        "PERCENTRANK",
        "Percent of the bars before that are lower",
        OF_SERIES,
        length(100),
        "length",
    ),
    entry("TSF", "Linear regression, one bar ahead", OF_SERIES, length(14), "length - 1"),
    entry(
        "VAR",
        "Variance of the population",
        OF_SERIES,
        (whole("length", 5, 1), real("mult", 1, 0, 100)),
        "length - 1",
        differences=("the multiplier changes nothing",),
    ),
)

VOLATILITY: Final[tuple[Indicator, ...]] = grouped(
    "Volatility Indicators",
    entry("ADR", "Mean of high less low", HIGH_LOW, length(14, 1), "length - 1"),
    entry(
        "CVI",
        "Chaikin's volatility: change of an ema of high less low, in percent",
        HIGH_LOW,
        (whole("length", 10), whole("roc_length", 10, 1)),
        "length - 1 + roc_length",
        unstable="20 * length",
    ),
    entry(
        "MASSI",
        "Mass index",
        HIGH_LOW,
        (whole("fast", 9), whole("slow", 25)),
        "2 * fast + slow - 3",
        unstable="40 * fast",
    ),
    entry(
        "RVI",
        "Relative volatility index",
        OF_SERIES,
        (whole("length", 14, 1), whole("dev_length", 10)),
        "length + dev_length - 2",
        unstable="45 * length",
    ),
    entry("TRANGE", "True range, as tr", HLC, lookback="1"),
)

VOLUME: Final[tuple[Indicator, ...]] = grouped(
    "Volume Indicators",
    entry("EFI", "Elder's force index", _CLOSE_VOLUME, length(13, 1), "length", unstable="20 * length"),
    entry("MARKETFI", "Market facilitation index", ("high", "low", "volume")),
    entry("NVI", "Negative volume index", _CLOSE_VOLUME, unstable="never"),
    entry("PVI", "Positive volume index", _CLOSE_VOLUME, unstable="never"),
    entry(
        "PVO",
        "Percentage volume oscillator of two averages of a kind",
        ("volume",),
        (whole("fast", 12), whole("slow", 26), kind("matype", 1)),
        average_lookback("max(fast, slow)", "matype"),
        unstable=average_unstable("max(fast, slow)", "matype"),
    ),
    entry("PVT", "Price volume trend", _CLOSE_VOLUME, unstable="never"),
    entry("RVOL", "Volume over its mean in the bars before", ("volume",), length(20, 1), "length"),
)
