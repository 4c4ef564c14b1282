"""Differences from TA-Lib that the catalogue names and that only special markets show: each is as large as it says."""

from fractions import Fraction

import numpy as np
import pytest
import talib

from tests.engine.exact import exact, noise, sum_error
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
