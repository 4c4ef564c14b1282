"""Every indicator of the catalogue against TA-Lib, on recorded and on random bars."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tests.engine.market_columns import Market, Prices, computed, random_market, recorded_market
from wire.catalogue import INDICATORS

WITHIN = 1e-9
"""Of the value, or of the range of all values, whichever is larger."""

Oracle = Callable[[Market], Prices]
"""Of the bars of one instrument, as arrays of one dimension."""

ORACLES: list[tuple[str, Oracle]] = [
    ("hl2", lambda m: talib.MEDPRICE(m.high, m.low)),
    ("hlc3", lambda m: talib.TYPPRICE(m.high, m.low, m.close)),
    ("ohlc4", lambda m: talib.AVGPRICE(m.open, m.high, m.low, m.close)),
    ("sma(20)", lambda m: talib.SMA(m.close, 20)),
    ("sma(volume, 3)", lambda m: talib.SMA(m.volume, 3)),
    ("sma(2)", lambda m: talib.SMA(m.close, 2)),
    ("ema(20)", lambda m: talib.EMA(m.close, 20)),
    ("ema(hl2, 200)", lambda m: talib.EMA((m.high + m.low) / 2, 200)),
    ("rma(tr, 14)", lambda m: talib.ATR(m.high, m.low, m.close, 14)),
    ("rsi(14)", lambda m: talib.RSI(m.close, 14)),
    ("rsi(2)", lambda m: talib.RSI(m.close, 2)),
    ("bbands(20, 2).upper", lambda m: talib.BBANDS(m.close, 20, 2, 2)[0]),
    ("bbands(20, 2).middle", lambda m: talib.BBANDS(m.close, 20, 2, 2)[1]),
    ("bbands(20, 2.5).lower", lambda m: talib.BBANDS(m.close, 20, 2.5, 2.5)[2]),
    ("tr", lambda m: talib.TRANGE(m.high, m.low, m.close)),
    ("atr(14)", lambda m: talib.ATR(m.high, m.low, m.close, 14)),
    ("highest(14)", lambda m: talib.MAX(m.high, 14)),
    ("highest(close, 2)", lambda m: talib.MAX(m.close, 2)),
    ("lowest(14)", lambda m: talib.MIN(m.low, 14)),
    ("stddev(20)", lambda m: talib.STDDEV(m.close, 20)),
    ("variance(20)", lambda m: talib.VAR(m.close, 20)),
    ("change(3)", lambda m: talib.MOM(m.close, 3)),
    ("mom(10)", lambda m: talib.MOM(m.close, 10)),
    ("ema(rsi(14), 9)", lambda m: talib.EMA(talib.RSI(m.close, 14), 9)),
    ("highest(sma(5), 7)[3]", lambda m: _ago(talib.MAX(talib.SMA(m.close, 5), 7), 3)),
    ("close - atr(3)", lambda m: m.close - talib.ATR(m.high, m.low, m.close, 3)),
]

SEEDED_OTHERWISE: list[tuple[str, Oracle]] = [
    ("macd(12, 26, 9).macd", lambda m: talib.MACD(m.close, 12, 26, 9)[0]),
    ("macd(12, 26, 9).signal", lambda m: talib.MACD(m.close, 12, 26, 9)[1]),
    ("macd(12, 26, 9).hist", lambda m: talib.MACD(m.close, 12, 26, 9)[2]),
]


def _ago(values: Prices, bars: int) -> Prices:
    return np.concatenate([np.full(bars, np.nan), values[:-bars]])


@pytest.fixture(scope="module", params=["recorded", "random"])
def market(request: pytest.FixtureRequest) -> Market:
    if request.param == "random":
        return random_market(seed=7, bars=2_000)
    return recorded_market(request.getfixturevalue("recordings"))


@pytest.fixture(scope="module")
def ours(market: Market) -> dict[str, Prices]:
    """What one graph gives for every text at every bar."""
    texts = [text for text, _ in ORACLES + SEEDED_OTHERWISE]
    return {text: values[0, :, 0] for text, values in zip(texts, computed(texts, market), strict=True)}


def _error(ours: Prices, theirs: Prices) -> float:
    scale = np.maximum(np.abs(theirs), np.ptp(theirs))
    return float(np.max(np.abs(ours - theirs) / scale))


@pytest.mark.parametrize(("text", "oracle"), ORACLES, ids=[text for text, _ in ORACLES])
def test_it_is_what_ta_lib_says_from_the_first_value_on(
    text: str, oracle: Oracle, market: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours[text], _oracle(oracle, market)
    assert np.array_equal(np.isnan(values), np.isnan(theirs))
    there = np.isfinite(theirs)
    assert there.sum() > 140
    assert _error(values[there], theirs[there]) <= WITHIN


@pytest.mark.parametrize(("text", "oracle"), SEEDED_OTHERWISE, ids=[text for text, _ in SEEDED_OTHERWISE])
def test_it_is_what_ta_lib_says_once_the_seeds_have_faded(
    text: str, oracle: Oracle, market: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours[text], _oracle(oracle, market)
    assert _error(values[33:60], theirs[33:60]) > WITHIN
    assert _error(values[220:], theirs[220:]) <= WITHIN


def _oracle(oracle: Oracle, market: Market) -> Prices:
    columns = (market.open, market.high, market.low, market.close, market.volume)
    return oracle(Market(*[np.ascontiguousarray(a[:, 0]) for a in columns]))


def test_every_indicator_of_the_catalogue_is_compared() -> None:
    texts = " ".join(text for text, _ in ORACLES + SEEDED_OTHERWISE)
    assert [entry.name for entry in INDICATORS if entry.name not in texts] == []


def test_without_any_movement_rsi_is_50_where_ta_lib_says_0() -> None:
    still = Market(*[np.full((100, 1), 7.25)] * 5)
    values = computed(["rsi(14)"], still)[0][0, :, 0]
    assert np.array_equal(values, np.concatenate([np.full(14, np.nan), np.full(86, 50.0)]), equal_nan=True)
    assert _oracle(lambda m: talib.RSI(m.close, 14), still)[20] == 0


def test_the_macd_line_starts_with_the_slow_average_where_ta_lib_waits_for_the_signal() -> None:
    market = random_market(seed=3, bars=60)
    line, signal, hist = computed(["macd(12, 26, 9)"], market)[0][:, :, 0]
    theirs = _oracle(lambda m: talib.MACD(m.close, 12, 26, 9)[0], market)
    assert [int(np.isnan(values).sum()) for values in (line, signal, hist, theirs)] == [25, 33, 33, 33]
