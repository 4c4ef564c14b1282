"""Bars to compute on: random markets and a recorded one. Every array has shape (bars, slots)."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


def recorded_market(recordings: Path) -> Market:
    """The bars of one second of the recorded perpetual BTCUSDT; a second without a trade is flat."""
    bars: dict[int, list[float]] = {}
    for price, size, second in _trades(recordings / "binance-usdm-btcusdt-20240808.gz"):
        bar = bars.setdefault(second, [price, price, price, price, 0.0])
        bar[1], bar[2], bar[3] = max(bar[1], price), min(bar[2], price), price
        bar[4] += size
    rows: list[list[float]] = []
    for second in range(min(bars), max(bars) + 1):
        last = rows[-1][3] if rows else 0.0
        rows.append(bars.get(second, [last, last, last, last, 0.0]))
    return Market(*(np.array(column)[:, None] for column in zip(*rows, strict=True)))


def _trades(recording: Path) -> list[tuple[float, float, int]]:
    """(price, size, second) of each trade, in the order of the exchange's time."""
    trades: list[tuple[int, float, float]] = []
    with gzip.open(recording) as lines:
        for line in lines:
            if b"@trade" in line:
                trade = msgspec.json.decode(line.split(b" ", 1)[1])["data"]
                trades.append((trade["T"], float(trade["p"]), float(trade["q"])))
    trades.sort(key=lambda trade: trade[0])
    return [(price, size, time // 1000) for time, price, size in trades]


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
