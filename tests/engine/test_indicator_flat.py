"""What the core indicators say where the textbook divides by nothing: no movement, no volume, no range."""

from collections.abc import Callable

import numpy as np
import pytest
import talib
from talib._ta_lib import MA_Type

from tests.engine.market_columns import Market, Prices, columns, computed, random_market

_PRICE = np.full((120, 1), 7.25)
STILL = Market(_PRICE, _PRICE, _PRICE, _PRICE, np.full((120, 1), 3.0))
"""No movement at all, with volume."""


def _without_volume(market: Market) -> Market:
    return Market(market.open, market.high, market.low, market.close, np.zeros_like(market.volume))


def _after_a_move(bars: int, level: float) -> Market:
    """A random walk, then `bars` without movement or volume."""
    moving = random_market(seed=4, bars=60)
    flat = np.full((bars, 1), level)
    prices = [np.concatenate([a, flat]) for a in (moving.open, moving.high, moving.low, moving.close)]
    return Market(*[*prices, np.concatenate([moving.volume, np.zeros_like(flat)])])


def _values(text: str, market: Market) -> Prices:
    return computed([text], market)[0][:, :, 0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rsi(14)", 50.0),
        ("stoch(14, 1, 3)", 50.0),
        ("stoch(14, 3, 3)", 50.0),
        ("stochrsi(14, 14, 3, 3)", 50.0),
        ("mfi(14)", 50.0),
        ("ultosc", 50.0),
        ("willr(14)", -50.0),
        ("cci(20)", 0.0),
        ("cmo(14)", 0.0),
        ("tsi", 0.0),
        ("roc(10)", 0.0),
        ("trix(5)", 0.0),
        ("ppo", 0.0),
        ("macd", 0.0),
        ("zscore(20)", 0.0),
        ("stddev(20)", 0.0),
        ("adx(14)", 0.0),
        ("plus_di(14)", 0.0),
        ("minus_di(14)", 0.0),
        ("cmf(20)", 0.0),
        ("ad", 0.0),
        ("adosc", 0.0),
        ("obv", 0.0),
        ("atr(14)", 0.0),
        ("natr(14)", 0.0),
        ("aroon(14)", 100.0),
        ("kama(10)", 7.25),
        ("bbands(20)", 7.25),
        ("keltner", 7.25),
        ("linreg(14)", 7.25),
        ("hma(9)", 7.25),
        ("vwma(20)", 7.25),
        ("vwap", 7.25),
        ("sar", 7.25),
        ("supertrend.line", 7.25),
        ("supertrend.direction", 1.0),
        ("ichimoku", 7.25),
        ("pivots", 7.25),
    ],
)
def test_without_any_movement(text: str, value: float) -> None:
    for output in _values(text, STILL):
        known = output[~np.isnan(output)]
        assert len(known) >= 120 - 77
        assert np.abs(known - value).max() <= 1e-12 * abs(value)


@pytest.mark.parametrize(
    ("text", "value", "theirs"),
    [
        ("rsi(14)", 50.0, lambda m: talib.RSI(m.close, 14)),
        (
            "stoch(14, 1, 3).k",
            50.0,
            lambda m: talib.STOCH(m.high, m.low, m.close, 14, 1, MA_Type.SMA, 3, MA_Type.SMA)[0],
        ),
        ("stochrsi(14, 14, 1, 3).k", 50.0, lambda m: talib.STOCHRSI(m.close, 14, 14, 3)[0]),
        ("mfi(14)", 50.0, lambda m: talib.MFI(m.high, m.low, m.close, m.volume, 14)),
        ("ultosc", 50.0, lambda m: talib.ULTOSC(m.high, m.low, m.close)),
        ("willr(14)", -50.0, lambda m: talib.WILLR(m.high, m.low, m.close, 14)),
    ],
)
def test_without_any_movement_it_is_in_the_middle_where_ta_lib_says_0(
    text: str, value: float, theirs: Callable[[Market], Prices]
) -> None:
    flat = Market(*(np.ascontiguousarray(a[:, 0]) for a in columns(STILL)))
    assert _values(text, STILL)[0, -1] == value
    assert theirs(flat)[-1] == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [("mfi(14)", 50.0), ("cmf(20)", 0.0), ("obv", 0.0), ("ad", 0.0), ("adosc", 0.0), ("volume", 0.0)],
)
def test_without_any_volume(text: str, value: float) -> None:
    output = _values(text, _without_volume(random_market(seed=5, bars=100)))[0]
    assert set(output[~np.isnan(output)]) == {value}


@pytest.mark.parametrize(("text", "bars"), [("vwma(20)", 19), ("vwma(hlc3, 20)", 19), ("vwap", 0), ("vwap(hlc3)", 0)])
def test_an_average_by_volume_is_the_series_itself_as_long_as_there_is_none(text: str, bars: int) -> None:
    market = _without_volume(random_market(seed=5, bars=100))
    series = (market.high + market.low + market.close) / 3 if "hlc3" in text else market.close
    assert np.array_equal(_values(text, market)[0, bars:], series[bars:, 0])


@pytest.mark.parametrize("level", [7.3, 1e-7, 123456.7])
def test_a_market_that_stands_still_is_exactly_flat_as_soon_as_the_window_is_full_of_it(level: float) -> None:
    pinned = {
        "cci(20)": 0.0,
        "zscore(20)": 0.0,
        "stddev(20)": 0.0,
        "willr(20)": -50.0,
        "stoch(20, 1, 3).k": 50.0,
        "ultosc(7, 13, 19)": 50.0,
        "mfi(19)": 50.0,
        "cmf(20)": 0.0,
    }
    for (text, value), values in zip(pinned.items(), computed(list(pinned), _after_a_move(90, level)), strict=True):
        assert set(values[0, 60 + 19 :, 0]) == {value}, text


def test_averages_that_decay_for_ever_end_at_their_flat_value_and_stay_finite() -> None:
    ends = {
        "rsi(3)": 50.0,
        "stochrsi(3, 5, 1, 3).k": 50.0,
        "adx(3)": 0.0,
        "tsi(3, 2)": 0.0,
        "cmo(3)": 0.0,
        "atr(3)": 0.0,
        "trix(3)": 0.0,
        "kama(5)": 7.25,
        "adosc(3, 5)": 0.0,
    }
    market = _after_a_move(3_200, 7.25)
    for (text, end), values in zip(ends.items(), computed(list(ends), market), strict=True):
        output = values[0, :, 0]
        assert np.isfinite(output[60:]).all(), text
        assert abs(output[-1] - end) <= 1e-12 * end, text
