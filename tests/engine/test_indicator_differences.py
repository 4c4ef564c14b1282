"""Differences from TA-Lib that the catalogue names and that only special markets show: each is as large as it says."""

from fractions import Fraction

import numpy as np
import pytest
import talib

from tests.engine.exact import exact, noise, sum_error, variance_error
from tests.engine.market_columns import Market, Prices, columns, computed, random_market

N = 20


def _market(prices: Prices, volume: float = 1.0) -> Market:
    """Bars that do not move within."""
    column = prices[:, None]
    return Market(column, column, column, column, np.full_like(column, volume))


def _ours(text: str, market: Market) -> Prices:
    return computed([text], market)[0][0, :, 0]


def _flat(market: Market) -> Market:
    return Market(*(np.ascontiguousarray(a[:, 0]) for a in columns(market)))


def test_after_a_great_fall_ta_libs_moving_average_has_lost_its_digits() -> None:
    prices = np.concatenate([noise(1e5, 1.0, 500), noise(1e-5, 1e-10, 500)])
    window, ours, theirs = prices[-N:].tolist(), _ours("sma(20)", _market(prices)), talib.SMA(prices, N)
    assert sum_error(ours.item(-1) * N, window) <= 1e-12
    assert sum_error(theirs.item(-1) * N, window) > 1e-9


@pytest.mark.parametrize(("text", "power"), [("variance(20)", 1), ("stddev(20)", 2)])
def test_in_a_very_quiet_market_ta_libs_deviation_has_lost_its_digits(text: str, power: int) -> None:
    prices = noise(1e5, 1e-7, 300)
    theirs = talib.VAR(prices, N) if power == 1 else talib.STDDEV(prices, N)
    window, ours = prices[-N:].tolist(), _ours(text, _market(prices))
    assert variance_error(float(ours[-1]) ** power, window) <= 1e-12
    assert variance_error(float(theirs[-1]) ** power, window) > 1e-3


def test_in_a_market_that_stands_still_rounding_gives_ta_libs_cci_a_value() -> None:
    found = set()
    for level in np.arange(1, 40) / 10 + 0.03:
        market = _market(np.full(60, level))
        assert _ours("cci(20)", market)[-1] == 0
        flat = _flat(market)
        found.add(float(talib.CCI(flat.high, flat.low, flat.close, N)[-1]))
    assert max(map(abs, found)) > 10


def test_little_money_is_none_to_ta_libs_mfi() -> None:
    moving = random_market(seed=6, bars=200)
    market = Market(*columns(moving)[:4], moving.volume * 1e-9)
    flat, usual = _flat(market), _flat(moving)
    ours, theirs = _ours("mfi(14)", market), talib.MFI(flat.high, flat.low, flat.close, flat.volume, 14)
    full = talib.MFI(usual.high, usual.low, usual.close, usual.volume, 14)
    assert set(theirs[14:]) == {0.0}
    moved = full[14:] > 0
    assert np.abs(ours[14:][moved] / full[14:][moved] - 1).max() <= 1e-9


def test_ta_lib_sorts_the_lengths_of_the_ultimate_oscillator() -> None:
    market = random_market(seed=6, bars=200)
    flat = _flat(market)
    turned, straight = (talib.ULTOSC(flat.high, flat.low, flat.close, *n) for n in ((28, 14, 7), (7, 14, 28)))
    assert np.array_equal(turned, straight, equal_nan=True)
    ours = _ours("ultosc(28, 14, 7)", market)
    assert np.nanmax(np.abs(ours - straight)) > 1


def test_without_volume_ta_libs_vwma_has_no_value() -> None:
    flat = _flat(_market(random_market(seed=6, bars=60).close[:, 0], volume=0.0))
    assert not np.isfinite(talib.VWMA(flat.close, flat.volume, N)).any()


def test_ta_libs_vwap_knows_no_session() -> None:
    market = random_market(seed=6, bars=60)
    flat = _flat(market)
    typical = [Fraction(price) for price in ((flat.high + flat.low + flat.close) / 3).tolist()]
    volume = exact(flat.volume.tolist())
    whole = sum(price * weight for price, weight in zip(typical, volume, strict=True)) / sum(volume)
    assert talib.VWAP(flat.high, flat.low, flat.close, flat.volume)[-1] == pytest.approx(float(whole), rel=1e-12)
