"""Every indicator of the core set against TA-Lib, or a plain loop for those that it lacks, on recorded and random bars.

Where TA-Lib answers something else, by what the catalogue names, that is asserted as well.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import pytest
import talib
from numpy.typing import NDArray
from talib._ta_lib import MA_Type

from tests.engine.market_columns import (
    Market,
    Prices,
    columns,
    computed,
    equity_market,
    perpetual_market,
    random_market,
    spot_market,
)
from wire.catalogue import INDICATORS
from wire.expression import parse
from wire.program_builder import build_program

WITHIN = 1e-9
"""Of the value, or of the range of all values, whichever is larger."""

SMA = MA_Type.SMA

Truths = NDArray[np.bool_]
Oracle = Callable[[Market], Prices]
"""Of the bars of one instrument, as arrays of one dimension."""


def _ago(values: Prices, bars: int) -> Prices:
    return np.concatenate([np.full(bars, np.nan), values[:-bars]]) if bars else values


def _windows(values: Prices, n: int, of_window: Callable[[list[float]], float]) -> Prices:
    rows = [of_window(values[place + 1 - n : place + 1].tolist()) for place in range(n - 1, len(values))]
    return np.concatenate([np.full(n - 1, np.nan), rows])


def _zscore(window: list[float]) -> float:
    mean = math.fsum(window) / len(window)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in window) / len(window))
    return (window[-1] - mean) / deviation if max(window) > min(window) else 0.0


def _middle(m: Market, n: int) -> Prices:
    return (_windows(m.high, n, max) + _windows(m.low, n, min)) / 2


def _since(truths: Truths) -> Prices:
    def counts() -> Iterator[float]:
        count = math.nan
        for truth in truths:
            count = 0 if truth else count + 1
            yield count

    return np.array(list(counts()))


def _vwap(m: Market) -> Prices:
    """Of bars whose trades were all at the close, as those of Market are."""
    return np.cumsum(m.close * m.volume) / np.cumsum(m.volume)


def _pivot(m: Market) -> Prices:
    return _ago((m.high + m.low + m.close) / 3, 1)


EXACT: list[tuple[str, Oracle]] = [
    ("hl2", lambda m: talib.MEDPRICE(m.high, m.low)),
    ("hlc3", lambda m: talib.TYPPRICE(m.high, m.low, m.close)),
    ("ohlc4", lambda m: talib.AVGPRICE(m.open, m.high, m.low, m.close)),
    ("sma(20)", lambda m: talib.SMA(m.close, 20)),
    ("sma(volume, 3)", lambda m: talib.SMA(m.volume, 3)),
    ("sma(2)", lambda m: talib.SMA(m.close, 2)),
    ("ema(20)", lambda m: talib.EMA(m.close, 20)),
    ("ema(hl2, 200)", lambda m: talib.EMA((m.high + m.low) / 2, 200)),
    ("wma(20)", lambda m: talib.WMA(m.close, 20)),
    ("wma(2)", lambda m: talib.WMA(m.close, 2)),
    ("wma(77)", lambda m: talib.WMA(m.close, 77)),
    ("rma(tr, 14)", lambda m: talib.ATR(m.high, m.low, m.close, 14)),
    ("dema(20)", lambda m: talib.DEMA(m.close, 20)),
    ("tema(20)", lambda m: talib.TEMA(m.close, 20)),
    ("hma(9)", lambda m: talib.HMA(m.close, 9)),
    ("hma(20)", lambda m: talib.HMA(m.close, 20)),
    ("kama(10)", lambda m: talib.KAMA(m.close, 10)),
    ("kama(2)", lambda m: talib.KAMA(m.close, 2)),
    ("linreg(14)", lambda m: talib.LINEARREG(m.close, 14)),
    ("linreg(2)", lambda m: talib.LINEARREG(m.close, 2)),
    ("rsi(14)", lambda m: talib.RSI(m.close, 14)),
    ("cci(20)", lambda m: talib.CCI(m.high, m.low, m.close, 20)),
    ("ppo(12, 26)", lambda m: talib.PPO(m.close, 12, 26, MA_Type.EMA)),
    ("cmo(14)", lambda m: talib.CMO(m.close, 14)),
    ("mom(10)", lambda m: talib.MOM(m.close, 10)),
    ("roc(10)", lambda m: talib.ROC(m.close, 10)),
    ("change(3)", lambda m: talib.MOM(m.close, 3)),
    ("trix(15)", lambda m: talib.TRIX(m.close, 15)),
    ("tsi(25, 13)", lambda m: talib.TSI(m.close, 25, 13)),
    ("tr", lambda m: talib.TRANGE(m.high, m.low, m.close)),
    ("atr(14)", lambda m: talib.ATR(m.high, m.low, m.close, 14)),
    ("natr(14)", lambda m: talib.NATR(m.high, m.low, m.close, 14)),
    ("stddev(20)", lambda m: talib.STDDEV(m.close, 20)),
    ("variance(20)", lambda m: talib.VAR(m.close, 20)),
    ("zscore(20)", lambda m: _windows(m.close, 20, _zscore)),
    ("bbands(20, 2).upper", lambda m: talib.BBANDS(m.close, 20, 2, 2)[0]),
    ("bbands(20, 2).middle", lambda m: talib.BBANDS(m.close, 20, 2, 2)[1]),
    ("bbands(20, 2.5).lower", lambda m: talib.BBANDS(m.close, 20, 2.5, 2.5)[2]),
    ("keltner(20, 2, 10).middle", lambda m: talib.KC(m.high, m.low, m.close, 20, 10, 2)[1]),
    ("donchian(20).upper", lambda m: talib.DONCHIAN(m.high, m.low, 20)[0]),
    ("donchian(20).middle", lambda m: talib.DONCHIAN(m.high, m.low, 20)[1]),
    ("donchian(20).lower", lambda m: talib.DONCHIAN(m.high, m.low, 20)[2]),
    ("aroon(14).up", lambda m: talib.AROON(m.high, m.low, 14)[1]),
    ("aroon(14).down", lambda m: talib.AROON(m.high, m.low, 14)[0]),
    ("aroon(25).up", lambda m: talib.AROON(m.high, m.low, 25)[1]),
    ("sar(0.02, 0.2)", lambda m: talib.SAR(m.high, m.low, 0.02, 0.2)),
    ("sar(0.3, 0.1)", lambda m: talib.SAR(m.high, m.low, 0.3, 0.1)),
    ("supertrend(10, 3).line", lambda m: talib.SUPERTREND(m.high, m.low, m.close, 10, 3)[0]),
    ("supertrend(7, 1).line", lambda m: talib.SUPERTREND(m.high, m.low, m.close, 7, 1)[0]),
    ("ichimoku.conversion", lambda m: _middle(m, 9)),
    ("ichimoku.base", lambda m: _middle(m, 26)),
    ("ichimoku.span_a", lambda m: _ago((_middle(m, 9) + _middle(m, 26)) / 2, 25)),
    ("ichimoku(span=40, displacement=1).span_b", lambda m: _middle(m, 40)),
    ("pivots.p", _pivot),
    ("pivots.r1", lambda m: 2 * _pivot(m) - _ago(m.low, 1)),
    ("pivots.s1", lambda m: 2 * _pivot(m) - _ago(m.high, 1)),
    ("pivots.r2", lambda m: _pivot(m) + _ago(m.high - m.low, 1)),
    ("pivots.s2", lambda m: _pivot(m) - _ago(m.high - m.low, 1)),
    ("pivots.r3", lambda m: _ago(m.high, 1) + 2 * (_pivot(m) - _ago(m.low, 1))),
    ("pivots.s3", lambda m: _ago(m.low, 1) - 2 * (_ago(m.high, 1) - _pivot(m))),
    ("ad", lambda m: talib.AD(m.high, m.low, m.close, m.volume)),
    ("vwap(hlc3)", lambda m: talib.VWAP(m.high, m.low, m.close, m.volume)),
    ("vwap", _vwap),
    ("highest(14)", lambda m: talib.MAX(m.high, 14)),
    ("highest(close, 2)", lambda m: talib.MAX(m.close, 2)),
    ("lowest(14)", lambda m: talib.MIN(m.low, 14)),
    ("barssince(close > close[1])", lambda m: _since(m.close > _ago(m.close, 1))),
    ("ema(rsi(14), 9)", lambda m: talib.EMA(talib.RSI(m.close, 14), 9)),
    ("highest(sma(5), 7)[3]", lambda m: _ago(talib.MAX(talib.SMA(m.close, 5), 7), 3)),
    ("close - atr(3)", lambda m: m.close - talib.ATR(m.high, m.low, m.close, 3)),
]
"""Equal from the first value on, which is on the same bar."""


@dataclass(frozen=True)
class Seeded:
    """Equal once settled; before, the first values differ by more than `apart`, TA-Lib's coming `later` bars later."""

    text: str
    oracle: Oracle
    apart: float
    later: int = 0


SEEDED = [
    Seeded("macd(12, 26, 9).macd", lambda m: talib.MACD(m.close, 12, 26, 9)[0], 1e-4, 8),
    Seeded("macd(12, 26, 9).signal", lambda m: talib.MACD(m.close, 12, 26, 9)[1], 1e-4),
    Seeded("macd(12, 26, 9).hist", lambda m: talib.MACD(m.close, 12, 26, 9)[2], 1e-4),
    Seeded("adosc(3, 10)", lambda m: talib.ADOSC(m.high, m.low, m.close, m.volume, 3, 10), 1e-5),
    Seeded("plus_di(14)", lambda m: talib.PLUS_DI(m.high, m.low, m.close, 14), 1e-5),
    Seeded("minus_di(14)", lambda m: talib.MINUS_DI(m.high, m.low, m.close, 14), 1e-5),
    Seeded("adx(14)", lambda m: talib.ADX(m.high, m.low, m.close, 14), 1e-5),
    Seeded("keltner(20, 2, 10).upper", lambda m: talib.KC(m.high, m.low, m.close, 20, 10, 2)[0], 1e-6),
    Seeded("keltner(20, 2, 10).lower", lambda m: talib.KC(m.high, m.low, m.close, 20, 10, 2)[2], 1e-6),
]


def _lately(truths: Truths, bars: int) -> Truths:
    """True if it was so on one of the last `bars` bars."""
    return np.array([bool(truths[max(place + 1 - bars, 0) : place + 1].any()) for place in range(len(truths))])


def _range_is_none(m: Market, n: int) -> Truths:
    return np.asarray(talib.MAX(m.high, n) == talib.MIN(m.low, n))


def _rsi_stands_still(m: Market, n: int) -> Truths:
    rsi = talib.RSI(m.close, 14)
    return np.asarray(talib.MAX(rsi, n) - talib.MIN(rsi, n) <= 1e-12 * talib.MAX(rsi, n))


def _no_money_moves(m: Market) -> Truths:
    price = talib.TYPPRICE(m.high, m.low, m.close)
    moved = np.where(price != _ago(price, 1), price * m.volume, 0)
    return np.asarray(_windows(moved, 14, math.fsum) == 0)


@dataclass(frozen=True)
class Named:
    """Equal but on the bars of `where`, where ours is `pinned` (None: some mean that contains a pinned value)."""

    text: str
    oracle: Oracle
    where: Callable[[Market], Truths]
    pinned: Callable[[Market], Prices | float] | None = None
    later: int = 0


def _stoch(m: Market) -> Sequence[Prices]:
    return talib.STOCH(m.high, m.low, m.close, 14, 3, SMA, 3, SMA)


def _stochrsi(m: Market) -> Sequence[Prices]:
    return talib.STOCHRSI(m.close, 14, 14, 3, SMA)


NAMED = [
    Named(
        "rsi(2)",
        lambda m: talib.RSI(m.close, 2),
        lambda m: talib.EMA(np.abs(np.diff(m.close, prepend=m.close[0])), 3) < 1e-13,
    ),
    Named(
        "vwma(20)",
        lambda m: talib.VWMA(m.close, m.volume, 20),
        lambda m: talib.MAX(m.volume, 20) == 0,
        lambda m: m.close,
    ),
    Named(
        "stoch(14, 1, 3).k",
        lambda m: talib.STOCH(m.high, m.low, m.close, 14, 1, SMA, 3, SMA)[0],
        partial(_range_is_none, n=14),
        lambda _: 50.0,
        2,
    ),
    Named("stoch(14, 3, 3).k", lambda m: _stoch(m)[0], lambda m: _lately(_range_is_none(m, 14), 3), None, 2),
    Named("stoch(14, 3, 3).d", lambda m: _stoch(m)[1], lambda m: _lately(_range_is_none(m, 14), 5)),
    Named(
        "stochrsi(14, 14, 1, 3).k",
        lambda m: _stochrsi(m)[0],
        partial(_rsi_stands_still, n=14),
        lambda _: 50.0,
        2,
    ),
    Named("stochrsi(14, 14, 1, 3).d", lambda m: _stochrsi(m)[1], lambda m: _lately(_rsi_stands_still(m, 14), 3)),
    Named(
        "willr(14)",
        lambda m: talib.WILLR(m.high, m.low, m.close, 14),
        partial(_range_is_none, n=14),
        lambda _: -50.0,
    ),
    Named(
        "mfi(14)",
        lambda m: talib.MFI(m.high, m.low, m.close, m.volume, 14),
        _no_money_moves,
        lambda _: 50.0,
    ),
    Named(
        "ultosc(7, 14, 28)",
        lambda m: talib.ULTOSC(m.high, m.low, m.close, 7, 14, 28),
        lambda m: talib.MAX(np.nan_to_num(talib.TRANGE(m.high, m.low, m.close)), 7) == 0,
    ),
    Named(
        "cmf(20)",
        lambda m: talib.CMF(m.high, m.low, m.close, m.volume, 20),
        lambda m: talib.MAX(m.volume, 20) == 0,
        lambda _: 0.0,
    ),
]

TEXTS = [text for text, _ in EXACT] + [check.text for check in SEEDED] + [check.text for check in NAMED]
OTHERS = ["obv", "supertrend(10, 3).direction"]
MARKETS = ("perpetual", "spot", "equity", "random")


Found = tuple[Market, dict[str, Prices]]


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> dict[str, Found]:
    """The markets, and what one graph of all of them gives for every text at every bar.

    They begin together, and the shorter ones stand still at their end.
    """
    markets = {"random": random_market(7, 2_000)}
    with contextlib.suppress(pytest.skip.Exception):
        recordings = request.getfixturevalue("recordings")
        markets["perpetual"] = perpetual_market(recordings)
        markets["spot"] = spot_market(recordings)
        markets["equity"] = equity_market(recordings)
    flat = {name: Market(*(np.ascontiguousarray(a[:, 0]) for a in columns(m))) for name, m in markets.items()}
    length = max(map(len, flat.values()))
    padded = [[np.pad(a, (0, length - len(a)), "edge") for a in columns(m)] for m in flat.values()]
    values = computed(TEXTS + OTHERS, Market(*(np.array(column).T for column in zip(*padded, strict=True))))
    return {
        name: (m, {text: rows[0, : len(m), slot] for text, rows in zip(TEXTS + OTHERS, values, strict=True)})
        for slot, (name, m) in enumerate(flat.items())
    }


@pytest.fixture(params=MARKETS)
def name(request: pytest.FixtureRequest, found: dict[str, Found]) -> str:
    if request.param not in found:
        pytest.skip("needs the recordings in ../shared/data, which are not beside this checkout")
    assert len(found[request.param][0]) >= 1_500
    return str(request.param)


@pytest.fixture
def flat(name: str, found: dict[str, Found]) -> Market:
    """The bars of one instrument, as arrays of one dimension."""
    return found[name][0]


@pytest.fixture
def ours(name: str, found: dict[str, Found]) -> dict[str, Prices]:
    """What the graph gives for every text at every bar."""
    return found[name][1]


def _errors(ours: Prices, theirs: Prices) -> Prices:
    """Where they have a value; 0 where they have none."""
    known = theirs[np.isfinite(theirs)]
    with np.errstate(invalid="ignore"):
        return np.abs(ours - theirs) / np.maximum(np.abs(theirs), np.ptp(known))


def _first(values: Prices) -> int:
    return int(np.argmax(~np.isnan(values)))


@lru_cache
def _settled(text: str) -> int:
    return build_program(parse(text)).unstable_bars


@pytest.mark.parametrize(("text", "oracle"), EXACT, ids=[text for text, _ in EXACT])
def test_it_is_what_ta_lib_says_from_the_first_value_on(
    text: str, oracle: Oracle, flat: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours[text], oracle(flat)
    assert np.array_equal(np.isnan(values), np.isnan(theirs))
    there = np.isfinite(theirs)
    assert there.sum() > 1_200
    assert _errors(values, theirs)[there].max() <= WITHIN


@pytest.mark.parametrize("check", SEEDED, ids=[check.text for check in SEEDED])
def test_seeded_otherwise_it_is_what_ta_lib_says_once_it_is_settled(
    check: Seeded, flat: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours[check.text], check.oracle(flat)
    assert _first(theirs) - _first(values) == check.later
    errors = _errors(values, theirs)
    assert check.apart < errors[_first(theirs)] < 1
    assert errors[_settled(check.text) :].max() <= WITHIN


@pytest.mark.parametrize("check", NAMED, ids=[check.text for check in NAMED])
def test_it_is_what_ta_lib_says_but_where_the_catalogue_names_a_difference(
    check: Named, flat: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours[check.text], check.oracle(flat)
    assert _first(theirs) - _first(values) == check.later
    begin = _first(theirs)
    named = check.where(flat)[begin:]
    assert named.sum() < 0.4 * len(named)
    assert _errors(values, theirs)[begin:][~named].max() <= WITHIN
    assert np.isfinite(values[begin:]).all()
    if check.pinned is not None:
        pinned = np.broadcast_to(check.pinned(flat), len(values))[begin:][named]
        assert np.abs(values[begin:][named] - pinned).max(initial=0) <= WITHIN * np.abs(pinned).max(initial=0)


def test_obv_starts_with_the_second_bar_and_lacks_the_volume_of_the_first(
    flat: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours["obv"], talib.OBV(flat.close, flat.volume)
    assert (_first(values), _first(theirs)) == (1, 0)
    assert theirs[0] == flat.volume[0] > 0
    assert _errors(values[1:] + flat.volume[0], theirs[1:]).max() <= WITHIN


def test_the_direction_of_supertrend_is_ta_libs_which_says_0_before_there_is_one(
    flat: Market, ours: dict[str, Prices]
) -> None:
    values, theirs = ours["supertrend(10, 3).direction"], talib.SUPERTREND(flat.high, flat.low, flat.close, 10, 3)[1]
    assert _first(values) == 10
    assert (theirs[:10] == 0).all()
    assert np.array_equal(values[10:], theirs[10:])
    assert set(values[10:]) == {1.0, -1.0}


def test_every_indicator_of_the_catalogue_is_compared() -> None:
    words = set(re.findall("[a-z_0-9]+", " ".join(TEXTS + OTHERS)))
    assert [entry.name for entry in INDICATORS if entry.name not in words] == []


def test_a_close_on_the_band_of_supertrend_has_not_crossed_it() -> None:
    middle = 50 + np.cumsum(np.random.default_rng(3).choice([-1.0, 1.0], 400))
    market = Market(*(column[:, None] for column in (middle, middle + 1, middle - 1, middle, middle)))
    line, direction = computed(["supertrend(2, 1)"], market)[0][:, :, 0]
    theirs = talib.SUPERTREND(middle + 1, middle - 1, middle, 2, 1)
    assert np.array_equal(line, theirs[0], equal_nan=True)
    assert np.array_equal(direction[2:], theirs[1][2:])
    assert (line[1:] == middle[1:]).any()
