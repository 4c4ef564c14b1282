"""The core indicators that weigh the price by volume. No I/O."""

from typing import Final

from wire.catalogue_types import Formula, Indicator, Parameter, length

_CHAIKIN: Final = "M. Chaikin (1980s)"
_FLOW: Final = Formula("flow", "((close - low) - (high - close)) / (high - low) * volume")
_LEVEL: Final = "it adds up from where history began: its changes tell, not its level"

VOLUME: Final = (
    Indicator(
        name="obv",
        title="On-balance volume",
        definition="total(sign(x - x[1]) * volume, never)",
        differences=(
            "starts with the second bar, as in TradingView; TA-Lib begins with the volume of the first",
            _LEVEL,
        ),
        source="J. Granville, New Key to Stock Market Profits (1963)",
    ),
    Indicator(
        name="ad",
        title="Accumulation/distribution",
        series=None,
        where=(_FLOW,),
        definition="total(flow, never)",
        differences=(_LEVEL,),
        source=_CHAIKIN,
    ),
    Indicator(
        name="adosc",
        title="Accumulation/distribution oscillator",
        series=None,
        parameters=(Parameter("fast", 3), Parameter("slow", 10)),
        where=(_FLOW,),
        definition="((slow - 1) * ema(flow, slow) - (fast - 1) * ema(flow, fast)) / 2",
        differences=("TA-Lib seeds both averages of the line with its first value",),
        source=f"{_CHAIKIN}; written as averages of what flows, so that the line's level costs no digits",
    ),
    Indicator(
        name="cmf",
        title="Chaikin money flow",
        series=None,
        parameters=(length(20),),
        where=(_FLOW,),
        definition="ratio(sum(flow, length), sum(volume, length), 0)",
        source=_CHAIKIN,
    ),
    Indicator(
        name="vwap",
        title="Volume-weighted average price of the session",
        series="traded",
        definition="ratio(session(x * volume, 0), session(volume, 0), x)",
        differences=(
            "of the trades themselves; vwap(hlc3) is TradingView's, and TA-Lib's if the session is all of history",
            "no volume in the session so far: the series itself, where TradingView has no value",
            "if history began within a session, of the trades since then",
        ),
        source="textbook; begins anew with each session",
    ),
)
