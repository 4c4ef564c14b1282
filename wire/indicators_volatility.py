"""The core indicators of how far the price moves, and the bands around it. No I/O."""

from typing import Final

from wire.catalogue_types import TEXTBOOK, WILDER, Formula, Indicator, Parameter, length

_QUIET: Final = "TradingView loses the digits of a very quiet market"

VOLATILITY: Final = (
    Indicator(
        name="tr",
        title="True range",
        series=None,
        definition="max(high, close[1]) - min(low, close[1])",
        differences=("TradingView has high - low on the first bar; here and in TA-Lib it starts with the second",),
        source=WILDER,
    ),
    Indicator(
        name="atr",
        title="Average true range",
        series=None,
        parameters=(length(14),),
        definition="rma(tr, length)",
        differences=("TradingView starts one bar earlier; under 1e-8 apart once settled",),
        source=WILDER,
    ),
    Indicator(
        name="natr",
        title="Average true range, in percent of the close",
        series=None,
        parameters=(length(14),),
        definition="100 * atr(length) / close",
        source="J. Forman, Stocks & Commodities (2006)",
    ),
    Indicator(
        name="stddev",
        title="Standard deviation",
        parameters=(length(20),),
        definition="sqrt(moments(x, length))",
        differences=(_QUIET,),
        source="textbook; of the population",
    ),
    Indicator(
        name="variance",
        title="Variance",
        parameters=(length(20),),
        definition="moments(x, length)",
        differences=(_QUIET,),
        source="textbook; of the population",
    ),
    Indicator(
        name="zscore",
        title="Distance from the mean, in standard deviations",
        parameters=(length(20, low=2),),
        definition="ratio(x - sma(x, length), stddev(x, length), 0)",
        source="textbook; of the population, 0 without movement",
    ),
    Indicator(
        name="bbands",
        title="Bollinger bands",
        parameters=(length(20), Parameter("mult", 2, 0, 100, whole=False)),
        where=(Formula("mean", "sma(x, length)"), Formula("reach", "mult * stddev(x, length)")),
        outputs=(Formula("upper", "mean + reach"), Formula("middle", "mean"), Formula("lower", "mean - reach")),
        differences=("in a very quiet market (deviation under 1e-8 of the price) TradingView's bands collapse",),
        source="J. Bollinger, Bollinger on Bollinger Bands (2001); population deviation",
    ),
    Indicator(
        name="keltner",
        title="Keltner channels",
        series="hlc3",
        parameters=(length(20), Parameter("mult", 2, 0, 100, whole=False), Parameter("atr_length", 10)),
        where=(Formula("mean", "ema(x, length)"), Formula("reach", "mult * atr(atr_length)")),
        outputs=(Formula("upper", "mean + reach"), Formula("middle", "mean"), Formula("lower", "mean - reach")),
        differences=(
            "TA-Lib seeds the true range's average on the first bar of the other, ours is on its own",
            "TradingView takes the close; its ta.kc averages the true range exponentially over the one length",
        ),
        source="L. Raschke's form (1980s) of C. Keltner, How to Make Money in Commodities (1960)",
    ),
    Indicator(
        name="donchian",
        title="Donchian channels",
        series=None,
        parameters=(length(20),),
        where=(Formula("top", "highest(high, length)"), Formula("bottom", "lowest(low, length)")),
        outputs=(
            Formula("upper", "top"),
            Formula("middle", "(top + bottom) / 2"),
            Formula("lower", "bottom"),
        ),
        source=TEXTBOOK,
    ),
)
