"""The core indicators that swing: momentum, and where the price stands in its range. No I/O."""

from typing import Final

from wire.catalogue_types import TEXTBOOK, WILDER, Formula, Indicator, Parameter, length

_APPEL: Final = "G. Appel, The Moving Average Convergence-Divergence Trading Method (1979)"
_FLAT_50: Final = "no movement at all: 50, where TA-Lib says 0"
_RANGE: Final = "ratio(100 * (close - lowest(low, length)), highest(high, length) - lowest(low, length), 50)"
_RANGE_OF_RSI: Final = "ratio(100 * (r - bottom), (top - bottom) * (not (top == bottom)), 50)"

OSCILLATORS: Final = (
    Indicator(
        name="rsi",
        title="Relative strength index",
        parameters=(length(14),),
        where=(
            Formula("moved", "x - x[1]"),
            Formula("gain", "rma(max(moved, 0), length)"),
            Formula("loss", "rma(max(-moved, 0), length)"),
        ),
        definition="ratio(100 * gain, gain + loss, 50)",
        differences=("no movement at all: 50, where TA-Lib says 0 and TradingView 100",),
        source=WILDER,
    ),
    Indicator(
        name="macd",
        title="Moving average convergence/divergence",
        parameters=(Parameter("fast", 12), Parameter("slow", 26), Parameter("signal", 9)),
        where=(Formula("line", "ema(x, fast) - ema(x, slow)"), Formula("smoothed", "ema(line, signal)")),
        outputs=(Formula("macd", "line"), Formula("signal", "smoothed"), Formula("hist", "line - smoothed")),
        differences=(
            "the fast average is seeded on its own, as in TradingView; TA-Lib seeds both on one bar",
            "the line has values before the signal, where TA-Lib starts all three at once",
        ),
        source=_APPEL,
    ),
    Indicator(
        name="ppo",
        title="Percentage price oscillator",
        parameters=(Parameter("fast", 12), Parameter("slow", 26)),
        definition="100 * (ema(x, fast) - ema(x, slow)) / ema(x, slow)",
        source=_APPEL,
    ),
    Indicator(
        name="stoch",
        title="Stochastic",
        series=None,
        parameters=(length(14), Parameter("smooth_k", 1), Parameter("smooth_d", 3)),
        where=(Formula("smoothed", f"sma({_RANGE}, smooth_k)"),),
        outputs=(Formula("k", "smoothed"), Formula("d", "sma(smoothed, smooth_d)")),
        differences=(
            "no movement in the window: 50, where TA-Lib says 0 and TradingView nothing",
            "k has values before d, where TA-Lib starts both at once",
        ),
        source="G. Lane (1950s)",
    ),
    Indicator(
        name="stochrsi",
        title="Stochastic of the relative strength index",
        parameters=(Parameter("rsi_length", 14), length(14), Parameter("smooth_k", 3), Parameter("smooth_d", 3)),
        where=(
            Formula("r", "rsi(x, rsi_length)"),
            Formula("top", "highest(r, length)"),
            Formula("bottom", "lowest(r, length)"),
            Formula("smoothed", f"sma({_RANGE_OF_RSI}, smooth_k)"),
        ),
        outputs=(Formula("k", "smoothed"), Formula("d", "sma(smoothed, smooth_d)")),
        differences=(
            "k is smoothed as in TradingView; TA-Lib's is that with smooth_k=1",
            "no movement in the window but for rounding: 50, where TA-Lib may say anything and TradingView nothing",
            "k has values before d, where TA-Lib starts both at once",
        ),
        source="T. Chande and S. Kroll, The New Technical Trader (1994)",
    ),
    Indicator(
        name="willr",
        title="Williams %R",
        series=None,
        parameters=(length(14),),
        where=(Formula("top", "highest(high, length)"),),
        definition="ratio(-100 * (top - close), top - lowest(low, length), -50)",
        differences=("no movement in the window: -50, where TA-Lib says 0 and TradingView nothing",),
        source="L. Williams, How I Made One Million Dollars (1973)",
    ),
    Indicator(
        name="cci",
        title="Commodity channel index",
        series="hlc3",
        parameters=(length(20, low=2),),
        where=(
            Formula("mean", "sma(x, length)"),
            Formula("moves", "sign(highest(x, length) - lowest(x, length))"),
        ),
        definition="ratio(x - mean, 0.015 * deviation(x, mean, length) * moves, 0)",
        source="D. Lambert, Commodities (1980)",
    ),
    Indicator(
        name="cmo",
        title="Chande momentum oscillator",
        parameters=(length(14),),
        where=(
            Formula("moved", "x - x[1]"),
            Formula("gain", "rma(max(moved, 0), length)"),
            Formula("loss", "rma(max(-moved, 0), length)"),
        ),
        definition="ratio(100 * (gain - loss), gain + loss, 0)",
        differences=("gains and losses by Wilder's average, as in TA-Lib; TradingView takes sums, TA-Lib's cmou",),
        source="T. Chande and S. Kroll, The New Technical Trader (1994)",
    ),
    Indicator(
        name="mfi",
        title="Money flow index",
        series="hlc3",
        parameters=(length(14),),
        where=(
            Formula("flow", "x * volume"),
            Formula("into", "sum((x > x[1]) * flow, length)"),
            Formula("out", "sum((x < x[1]) * flow, length)"),
        ),
        definition="ratio(100 * into, into + out, 50)",
        differences=(
            "no money moved: 50, where TA-Lib says 0",
            "TradingView starts one bar earlier",
        ),
        source="G. Quong and A. Soudack, Stocks & Commodities (1989)",
    ),
    Indicator(
        name="mom",
        title="Momentum",
        parameters=(length(10),),
        definition="x - x[length]",
        source=TEXTBOOK,
    ),
    Indicator(
        name="roc",
        title="Rate of change, in percent",
        parameters=(length(10),),
        definition="100 * (x - x[length]) / x[length]",
        source=TEXTBOOK,
    ),
    Indicator(
        name="change",
        title="Change since so many bars ago",
        parameters=(length(1),),
        definition="x - x[length]",
        source=TEXTBOOK,
    ),
    Indicator(
        name="trix",
        title="Change of a triple exponential average, in percent",
        parameters=(length(18),),
        definition="roc(ema(ema(ema(x, length), length), length), 1)",
        differences=("TradingView takes it of the logarithm, times 10,000",),
        source="J. Hutson, Stocks & Commodities (1983)",
    ),
    Indicator(
        name="tsi",
        title="True strength index",
        parameters=(Parameter("long", 25), Parameter("short", 13)),
        where=(Formula("moved", "x - x[1]"), Formula("size", "ema(ema(abs(moved), long), short)")),
        definition="ratio(100 * ema(ema(moved, long), short), size, 0)",
        differences=("from -100 to 100, as in TA-Lib; TradingView's is from -1 to 1",),
        source="W. Blau, Stocks & Commodities (1991)",
    ),
    Indicator(
        name="ultosc",
        title="Ultimate oscillator",
        series=None,
        parameters=(Parameter("fast", 7), Parameter("mid", 14), Parameter("slow", 28)),
        where=(
            Formula("up", "close - min(low, close[1])"),
            Formula("a", "ratio(sum(up, fast), sum(tr, fast), 0.5)"),
            Formula("b", "ratio(sum(up, mid), sum(tr, mid), 0.5)"),
            Formula("c", "ratio(sum(up, slow), sum(tr, slow), 0.5)"),
        ),
        definition="100 * (4 * a + 2 * b + c) / 7",
        differences=(_FLAT_50, "TA-Lib sorts the three lengths"),
        source="L. Williams, Stocks & Commodities (1985)",
    ),
)
