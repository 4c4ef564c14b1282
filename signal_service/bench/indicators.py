"""The twenty indicators of the benchmarks, and the same of TA-Lib. Pure; no I/O."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Counterpart(Struct, frozen=True):
    """An indicator of ours and what TA-Lib calls it.

    `expression` as channels have it. `function` is TA-Lib's, of the bar's `inputs` in their order; `output` is the
    place of its output that is ours, None if it has just one. `adds_up`: its level depends on where history began.
    """

    expression: str
    function: str
    inputs: tuple[str, ...]
    parameters: Mapping[str, float]
    output: int | None = None
    adds_up: bool = False


_CLOSE: Final = ("close",)
_HLC: Final = ("high", "low", "close")
_HLCV: Final = (*_HLC, "volume")

TWENTY: Final = (
    Counterpart("ema(20)", "EMA", _CLOSE, {"timeperiod": 20}),
    Counterpart("ema(50)", "EMA", _CLOSE, {"timeperiod": 50}),
    Counterpart("ema(200)", "EMA", _CLOSE, {"timeperiod": 200}),
    Counterpart("sma(20)", "SMA", _CLOSE, {"timeperiod": 20}),
    Counterpart("sma(50)", "SMA", _CLOSE, {"timeperiod": 50}),
    Counterpart("rsi(14)", "RSI", _CLOSE, {"timeperiod": 14}),
    Counterpart("macd(12,26,9).hist", "MACD", _CLOSE, {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}, 2),
    Counterpart("bbands(20,2).upper", "BBANDS", _CLOSE, {"timeperiod": 20, "nbdevup": 2.0, "nbdevdn": 2.0}, 0),
    Counterpart("atr(14)", "ATR", _HLC, {"timeperiod": 14}),
    Counterpart("adx(14)", "ADX", _HLC, {"timeperiod": 14}),
    Counterpart("stoch(14,3,3).d", "STOCH", _HLC, {"fastk_period": 14, "slowk_period": 3, "slowd_period": 3}, 1),
    Counterpart("willr(14)", "WILLR", _HLC, {"timeperiod": 14}),
    Counterpart("cci(20)", "CCI", _HLC, {"timeperiod": 20}),
    Counterpart("mfi(14)", "MFI", _HLCV, {"timeperiod": 14}),
    Counterpart("roc(10)", "ROC", _CLOSE, {"timeperiod": 10}),
    Counterpart("keltner(20,2,10).upper", "KC", _HLC, {"timeperiod": 20, "atrperiod": 10, "nbdev": 2.0}, 0),
    Counterpart("donchian(20).middle", "DONCHIAN", ("high", "low"), {"timeperiod": 20}, 1),
    Counterpart("vwma(20)", "VWMA", ("close", "volume"), {"timeperiod": 20}),
    Counterpart("cmf(20)", "CMF", _HLCV, {"timeperiod": 20}),
    Counterpart("obv", "OBV", ("close", "volume"), {}, adds_up=True),
)
