"""Bars to compute on: random markets and recorded ones. Every array has shape (bars, slots)."""

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.graph import Graph
from wire.expression import parse

Prices = NDArray[np.float64]


@dataclass(frozen=True)
class Market:
    """The bars of some instruments, NaN where one has not traded yet."""

    open: Prices
    high: Prices
    low: Prices
    close: Prices
    volume: Prices

    def __len__(self) -> int:
        return len(self.close)

    @property
    def width(self) -> int:
        return len(self.close[0])

    def bar(self, place: int) -> Columns:
        volume, close = self.volume[place], self.close[place]
        none = np.zeros(self.width, np.int64)
        return Columns(
            place, self.open[place], self.high[place], self.low[place], close, volume, volume * close, none, none
        )

    def bars(self, start: int = 0, stop: int | None = None) -> list[Columns]:
        return [self.bar(place) for place in range(len(self))[start:stop]]

    def of(self, slots: Sequence[int] | slice) -> "Market":
        return Market(*(a[:, slots] for a in (self.open, self.high, self.low, self.close, self.volume)))

    def born_at(self, births: Sequence[int]) -> "Market":
        """Without the bars of each slot before its birth."""
        before = np.arange(len(self))[:, None] < np.asarray(births)[None, :]
        prices = [np.where(before, np.nan, a) for a in (self.open, self.high, self.low, self.close)]
        return Market(*[*prices, np.where(before, 0.0, self.volume)])


def columns(market: Market) -> tuple[Prices, ...]:
    """Open, high, low, close and volume."""
    return market.open, market.high, market.low, market.close, market.volume


def random_market(seed: int, bars: int, slots: int = 1) -> Market:
    """A random walk from about 100, with jumps, stretches without a trade, and prices on a grid of a cent."""
    random = np.random.default_rng(seed)
    shape = (bars, slots)
    moves = random.normal(0, 0.004, shape) + random.normal(0, 0.2, shape) * (random.random(shape) < 0.003)
    moves[:, : slots // 2 + 1] *= random.random((bars, 1)) < 0.8
    quiet = np.cumsum(random.random(shape) < 0.02, axis=0) % 5 == 1
    moves[quiet] = 0
    close = np.round(100 * np.exp(np.cumsum(moves, axis=0)), 2)
    first = close[:1]
    opened = np.concatenate([first, close[:-1]])
    reach = np.where(moves == 0, 0, random.random(shape))
    high = np.round(np.maximum(opened, close) * (1 + 0.003 * reach), 2)
    low = np.round(np.minimum(opened, close) * (1 - 0.003 * reach), 2)
    return Market(opened, high, low, close, np.where(moves == 0, 0, np.round(1000 * random.random(shape))))


Trade = tuple[float, float, int]
"""Price, size, and the exchange's time in ms."""


def perpetual_market(recordings: Path) -> Market:
    """The bars of 200 ms of the recorded perpetual BTCUSDT; flat where there was no trade."""
    return _time_bars(_crypto_trades(recordings / "binance-usdm-btcusdt-20240808.gz"), 200)


def spot_market(recordings: Path) -> Market:
    """The bars of four trades each of the recorded spot ETHUSDT."""
    trades = _crypto_trades(recordings / "binance-spot-ethusdt-20240808.gz")
    return _market([_bar(trades[place : place + 4]) for place in range(0, len(trades), 4)])


def equity_market(recordings: Path) -> Market:
    """The bars of 15 seconds of the recorded regular session of AIG, on a grid of a cent."""
    trades: list[Trade] = []
    with ZipFile(recordings / "lean-aig-20131009-trade.zip") as recording:
        lines = recording.read("20131009_aig_Trade_Tick.csv").decode("ascii").splitlines()
    for line in lines:
        time, price, size, _ = line.split(",", 3)
        if 34_200_000 <= int(time) < 57_600_000:
            trades.append((round(int(price) / 10_000, 2), float(size), int(time)))
    return _time_bars(trades, 15_000)


def _crypto_trades(recording: Path) -> list[Trade]:
    trades: list[Trade] = []
    with gzip.open(recording) as lines:
        for line in lines:
            if b"@trade" in line:
                trade = msgspec.json.decode(line.split(b" ", 1)[1])["data"]
                trades.append((float(trade["p"]), float(trade["q"]), trade["T"]))
    return sorted(trades, key=lambda trade: trade[2])


def _time_bars(trades: Sequence[Trade], length_ms: int) -> Market:
    by_time: dict[int, list[Trade]] = {}
    for trade in trades:
        by_time.setdefault(trade[2] // length_ms, []).append(trade)
    bars: list[tuple[float, ...]] = []
    for time in range(min(by_time), max(by_time) + 1):
        close = bars[-1][3] if bars else 0.0
        bars.append(_bar(by_time[time]) if time in by_time else (close, close, close, close, 0.0))
    return _market(bars)


def _bar(trades: Sequence[Trade]) -> tuple[float, ...]:
    prices = [price for price, _, _ in trades]
    return prices[0], max(prices), min(prices), prices[-1], math.fsum(size for _, size, _ in trades)


def _market(bars: Sequence[tuple[float, ...]]) -> Market:
    return Market(*(np.array(column)[:, None] for column in zip(*bars, strict=True)))


def computed(texts: Sequence[str], market: Market) -> list[Prices]:
    """What a graph gives for each of `texts` at every bar, of shape (outputs, bars, slots)."""
    graph = Graph(market.width)
    signals = [graph.watch(parse(text)) for text in texts]
    rows: list[list[Prices]] = [[] for _ in texts]
    for bar in market.bars():
        graph.commit(bar)
        for row, signal in zip(rows, signals, strict=True):
            row.append(np.array(signal.values))
    return [np.array(row).swapaxes(0, 1) for row in rows]


def same_bits(a: Prices, b: Prices) -> bool:
    """Are two arrays equal to the last bit, any NaN being like another?"""
    return a.shape == b.shape and bool(np.array_equal(_bits(a), _bits(b)))


def _bits(a: Prices) -> NDArray[np.int64]:
    return np.where(np.isnan(a), np.nan, a).astype(np.float64).view(np.int64)
