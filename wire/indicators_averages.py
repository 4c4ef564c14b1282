"""The core indicators that average the price, or pick from a window of it. No I/O."""

from typing import Final

from wire.catalogue_types import TEXTBOOK, WILDER, Formula, Indicator, Parameter, length

_KAUFMAN: Final = "P. J. Kaufman, Smarter Trading (1995)"
_MULLOY: Final = "P. G. Mulloy, Smoothing Data with Faster Moving Averages, Stocks & Commodities (1994)"

AVERAGES: Final = (
    Indicator(
        name="sma",
        title="Simple moving average",
        parameters=(length(20),),
        definition="sum(x, length) / length",
        differences=("TA-Lib's running sum drifts after a fall of many orders of magnitude",),
        source=TEXTBOOK,
    ),
    Indicator(
        name="ema",
        title="Exponential moving average",
        parameters=(length(20),),
        definition="smooth(x, length, 2 / (length + 1), 20 * length)",
        source="seeded by the mean of the first length values, as TA-Lib and TradingView do",
    ),
    Indicator(
        name="wma",
        title="Weighted moving average",
        parameters=(length(20),),
        definition="weighted(x, length) / (length * (length + 1) / 2)",
        source=TEXTBOOK,
    ),
    Indicator(
        name="rma",
        title="Wilder's moving average",
        parameters=(length(14),),
        definition="smooth(x, length, 1 / length, 45 * length)",
        source=WILDER,
    ),
    Indicator(
        name="dema",
        title="Double exponential moving average",
        parameters=(length(20),),
        where=(Formula("once", "ema(x, length)"),),
        definition="2 * once - ema(once, length)",
        source=_MULLOY,
    ),
    Indicator(
        name="tema",
        title="Triple exponential moving average",
        parameters=(length(20),),
        where=(Formula("once", "ema(x, length)"), Formula("twice", "ema(once, length)")),
        definition="3 * once - 3 * twice + ema(twice, length)",
        source=_MULLOY,
    ),
    Indicator(
        name="hma",
        title="Hull moving average",
        parameters=(length(9, low=2),),
        definition="wma(2 * wma(x, length / 2) - wma(x, length), sqrt(length))",
        source="A. Hull, alanhull.com (2005); half the length and its root are cut down to whole bars",
    ),
    Indicator(
        name="kama",
        title="Kaufman's adaptive moving average",
        parameters=(length(10, low=2), Parameter("fast", 2, 1, 500), Parameter("slow", 30, 1, 500)),
        where=(
            Formula("efficiency", "ratio(abs(x - x[length]), sum(abs(x - x[1]), length), 1)"),
            Formula("slowest", "2 / (slow + 1)"),
            Formula("pace", "efficiency * (2 / (fast + 1) - slowest) + slowest"),
        ),
        definition="kama(x, pace * pace, x[1], 5 * (slow + 1) * (slow + 1))",
        source=_KAUFMAN,
    ),
    Indicator(
        name="vwma",
        title="Volume-weighted moving average",
        parameters=(length(20),),
        definition="ratio(sum(x * volume, length), sum(volume, length), x)",
        differences=("no volume in the window: the series itself, where TA-Lib and TradingView have no value",),
        source=TEXTBOOK,
    ),
    Indicator(
        name="linreg",
        title="End of the least-squares line",
        parameters=(length(14, low=2),),
        definition="3 * wma(x, length) - 2 * sma(x, length)",
        source="textbook; TA-Lib's LINEARREG",
    ),
    Indicator(
        name="highest",
        title="Highest value",
        series="high",
        parameters=(length(20),),
        definition="highest(x, length)",
        source=TEXTBOOK,
    ),
    Indicator(
        name="lowest",
        title="Lowest value",
        series="low",
        parameters=(length(20),),
        definition="lowest(x, length)",
        source=TEXTBOOK,
    ),
)
