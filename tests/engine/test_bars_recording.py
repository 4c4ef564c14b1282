"""Real recordings into bars, against a plain recomputation from their raw frames."""

import gzip
import json
import math
from pathlib import Path

import pytest

from engine.bars import VenueBars
from engine.feeds.feed import FeedState
from engine.feeds.replay import Replay
from wire.market import Timeframe

MS = 1_000_000
Row = tuple[float, float, float, float, float, int]


def trades_of(path: Path) -> list[tuple[int, float, float]]:
    """(trade time in ms, price, size) of every trade, in order of receipt."""
    with gzip.open(path) as lines:
        messages = [json.loads(line.partition(b" ")[2]) for line in lines if b'"e":"trade"' in line]
    return [(each["data"]["T"], float(each["data"]["p"]), float(each["data"]["q"])) for each in messages]


def plain_bars(trades: list[tuple[int, float, float]], length_ms: int) -> dict[int, Row]:
    """Bars by open time in ms, flat where there is no trade."""
    grouped: dict[int, list[tuple[int, float, float]]] = {}
    for trade in trades:
        grouped.setdefault(trade[0] // length_ms * length_ms, []).append(trade)
    bars: dict[int, Row] = {}
    close = math.nan
    for open_ms in range(min(grouped), max(grouped) + 1, length_ms):
        group = sorted(grouped.get(open_ms, []), key=lambda trade: trade[0])
        prices = [price for _, price, _ in group] or [close]
        close = prices[-1]
        volume = sum(size for _, _, size in grouped.get(open_ms, []))
        bars[open_ms] = (prices[0], max(prices), min(prices), close, volume, len(group))
    return bars


@pytest.mark.parametrize(
    ("file", "count"), [("binance-usdm-btcusdt-20240808.gz", 21_313), ("binance-spot-ethusdt-20240808.gz", 6_106)]
)
def test_every_bar_of_a_recording_is_that_of_its_raw_frames(recordings: Path, file: str, count: int) -> None:
    trades = trades_of(recordings / file)
    feed = Replay([str(recordings / file)])
    bars = VenueBars(1, grace_ns=feed.grace_ns)
    while feed.status().state is not FeedState.CLOSED:
        now_ns = feed.now_ns()
        bars.fold(feed.drain(now_ns))
        bars.advance(now_ns)
    bars.finish()
    assert (bars.ticks, bars.late, bars.refused, len(trades)) == (count, 0, 0, count)
    for timeframe in (Timeframe.S1, Timeframe.S5, Timeframe.M1):
        wanted = plain_bars(trades, timeframe.ns // MS)
        found = {
            bar.open_ns // MS: (bar.open[0], bar.high[0], bar.low[0], bar.close[0], bar.volume[0], bar.count[0])
            for bar in bars.history(timeframe)
        }
        assert found.keys() == wanted.keys()
        for open_ms, row in wanted.items():
            *prices, volume, number = found[open_ms]
            assert (*prices, number) == (*row[:4], row[5]), (timeframe, open_ms)
            if timeframe is Timeframe.S1:
                assert volume == row[4], "sizes of one second add in order of arrival"
            assert volume == pytest.approx(row[4], rel=1e-9)
        assert sum(row[-1] for row in found.values()) == count
