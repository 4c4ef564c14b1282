"""The core indicators of trend: its direction, its strength, its stops and levels. No I/O."""

from typing import Final

from wire.catalogue_types import TEXTBOOK, WILDER, Formula, Indicator, Parameter, length

_ROSE: Final = Formula("rose", "high - high[1]")
_FELL: Final = Formula("fell", "low[1] - low")
_PLUS_DM: Final = "max(sign(rose - max(fell, 0)), 0) * rose"
_MINUS_DM: Final = "max(sign(fell - max(rose, 0)), 0) * fell"
_SEEDS: Final = (
    "seeded by the mean of the first length values, as in TradingView; TA-Lib leaves the first one out",
    "of a rise and a fall that are equal but for rounding TradingView takes neither, TA-Lib and this the larger",
)

TRENDS: Final = (
    Indicator(
        name="adx",
        title="Average directional index",
        series=None,
        parameters=(length(14),),
        where=(
            Formula("plus", "plus_di(length)"),
            Formula("minus", "minus_di(length)"),
        ),
        definition="rma(ratio(100 * abs(plus - minus), plus + minus, 0), length)",
        differences=_SEEDS,
        source=WILDER,
    ),
    Indicator(
        name="plus_di",
        title="Positive directional indicator",
        series=None,
        parameters=(length(14),),
        where=(_ROSE, _FELL),
        definition=f"ratio(100 * rma({_PLUS_DM}, length), rma(tr, length), 0)",
        differences=_SEEDS,
        source=WILDER,
    ),
    Indicator(
        name="minus_di",
        title="Negative directional indicator",
        series=None,
        parameters=(length(14),),
        where=(_ROSE, _FELL),
        definition=f"ratio(100 * rma({_MINUS_DM}, length), rma(tr, length), 0)",
        differences=_SEEDS,
        source=WILDER,
    ),
    Indicator(
        name="aroon",
        title="Aroon",
        series=None,
        parameters=(length(14),),
        outputs=(
            Formula("up", "100 * (length - since_highest(high, length + 1)) / length"),
            Formula("down", "100 * (length - since_lowest(low, length + 1)) / length"),
        ),
        source="T. Chande, Stocks & Commodities (1995); of equal extremes the newest counts",
    ),
    Indicator(
        name="sar",
        title="Parabolic stop and reverse",
        series=None,
        parameters=(
            Parameter("step", 0.02, 0, 1, whole=False),
            Parameter("maximum", 0.2, 0, 1, whole=False),
        ),
        definition="output(sar(high, low, high[1], low[1], step, maximum, 500), 0)",
        differences=("TradingView picks the first side by the close, and may differ at any later bar",),
        source=WILDER,
    ),
    Indicator(
        name="supertrend",
        title="Supertrend",
        series=None,
        parameters=(length(10), Parameter("mult", 3, 0, 100, whole=False)),
        where=(
            Formula("reach", "mult * atr(length)"),
            Formula("trail", "supertrend(hl2 + reach, hl2 - reach, close, close[1], 500)"),
        ),
        outputs=(Formula("line", "output(trail, 0)"), Formula("direction", "output(trail, 1)")),
        differences=("direction is 1 when up, as in TA-Lib; TradingView says -1",),
        source="O. Seban (2009)",
    ),
    Indicator(
        name="ichimoku",
        title="Ichimoku cloud, as drawn at this bar",
        series=None,
        parameters=(
            Parameter("conversion", 9),
            Parameter("base", 26),
            Parameter("span", 52),
            Parameter("displacement", 26),
        ),
        where=(
            Formula("tenkan", "(highest(high, conversion) + lowest(low, conversion)) / 2"),
            Formula("kijun", "(highest(high, base) + lowest(low, base)) / 2"),
            Formula("far", "(highest(high, span) + lowest(low, span)) / 2"),
        ),
        outputs=(
            Formula("conversion", "tenkan"),
            Formula("base", "kijun"),
            Formula("span_a", "((tenkan + kijun) / 2)[displacement - 1]"),
            Formula("span_b", "far[displacement - 1]"),
        ),
        source="G. Hosoda (1969); the spans are those of displacement - 1 bars ago, as TradingView draws them",
    ),
    Indicator(
        name="pivots",
        title="Pivot points of the bar before",
        series=None,
        where=(
            Formula("h", "high[1]"),
            Formula("l", "low[1]"),
            Formula("middle", "hlc3[1]"),
        ),
        outputs=(
            Formula("p", "middle"),
            Formula("r1", "2 * middle - l"),
            Formula("s1", "2 * middle - h"),
            Formula("r2", "middle + (h - l)"),
            Formula("s2", "middle - (h - l)"),
            Formula("r3", "h + 2 * (middle - l)"),
            Formula("s3", "l - 2 * (h - middle)"),
        ),
        source=f"{TEXTBOOK}; the floor traders' levels",
    ),
)
