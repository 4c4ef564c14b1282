"""How fast ticks become bars, and frames ticks: `python -m tests.bench.bench_bars`.

Goals: folding batches of 1,000 and more 5 M ticks/s, JSON trade frames to columns 1 M/s, on one core. The best of
several runs is given, in processor time.
"""

import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from engine.bars import VenueBars
from engine.feeds.binance import BinanceParser
from engine.feeds.synthetic import Synthetic
from engine.ticks import TickBatch, TickFlag
from wire.market import NS_PER_MS, NS_PER_S, Timeframe

START_NS = 1_704_067_200 * NS_PER_S
RUNS = 5


def best_s(work: Callable[[], object]) -> float:
    """The least processor time of several runs, s."""
    times = []
    for _ in range(RUNS):
        before = time.process_time()
        work()
        times.append(time.process_time() - before)
    return min(times)


def ticks_of(width: int, rate: int, seconds: int) -> TickBatch:
    """Ticks of a busy venue: `rate` a second, lags of some ms, out of order among each other."""
    random = np.random.default_rng(1)
    count = rate * seconds
    event = START_NS + np.sort(random.integers(0, seconds * 1000, count)) * NS_PER_MS
    received = event + (20 + random.exponential(5, count)).astype(np.int64) * NS_PER_MS
    order = np.argsort(received, kind="stable")
    return TickBatch(
        random.integers(0, width, count).astype(np.int32),
        np.round(100 + np.cumsum(random.normal(0, 0.01, count)), 2),
        np.round(random.random(count) + 0.01, 2),
        event[order],
        received[order],
        np.full(count, int(TickFlag.ORDINARY), np.uint8),
    )


def fold_all(width: int, batches: Sequence[TickBatch], timeframes: Sequence[Timeframe]) -> None:
    """Fold into fresh bars."""
    bars = VenueBars(width, grace_ns=250 * NS_PER_MS, timeframes=timeframes, history=2)
    for batch in batches:
        bars.fold(batch)


def bench_fold(width: int, rate: int, size: int, timeframes: Sequence[Timeframe]) -> str:
    """Fold a few seconds in batches of `size`."""
    ticks = ticks_of(width, rate, 5)
    batches = [ticks[start : start + size] for start in range(0, len(ticks), size)]
    speed = len(ticks) / best_s(lambda: fold_all(width, batches, timeframes))
    return f"fold {width:5} instruments, {rate:7} ticks/s in batches of {size:6}: {speed / 1e6:6.2f} M ticks/s"


def bench_parse(combined: bool, count: int = 50_000) -> str:
    """Trade frames of USD-M in memory to columns."""
    trade = (
        '{"e":"trade","E":1704067200000,"T":1704067200000,"s":"BTCUSDT","t":%d,"p":"61800.30","q":"0.006",'
        '"X":"MARKET","m":false}'
    )
    form = '{"stream":"btcusdt@trade","data":' + trade + "}" if combined else trade
    frames = [(form % number).encode() for number in range(count)]

    def parse() -> None:
        parser = BinanceParser({"BTCUSDT": 0})
        for start in range(0, count, 1000):
            for frame in frames[start : start + 1000]:
                parser.read(frame, START_NS)
            parser.take()

    speed = count / best_s(parse)
    name = "combined" if combined else "raw"
    return f"parse {name} trade frames: {speed / 1e6:6.2f} M frames/s, {1e9 / speed:.0f} ns a frame"


def bench_catching_up(hours: int = 2) -> str:
    """The demo's start: make and fold what it has missed, all timeframes."""

    def catch_up() -> None:
        feed = Synthetic(duration_s=hours * 3600, start_ns=START_NS)
        bars = VenueBars(20, grace_ns=feed.grace_ns)
        while len(batch := feed.drain(feed.now_ns())):
            bars.fold(batch)

    return f"make and fold {hours} h of the demo's market: {best_s(catch_up):6.2f} s"


def main() -> None:
    """Print the figures."""
    report = [
        *(bench_fold(width, 200_000, 1000, [Timeframe.S1]) for width in (1, 100, 1000, 5000)),
        *(bench_fold(width, 200_000, 10_000, tuple(Timeframe)) for width in (1, 100, 1000, 5000)),
        bench_fold(100, 1_000, 10, tuple(Timeframe)),
        bench_parse(combined=False),
        bench_parse(combined=True),
        bench_catching_up(),
    ]
    sys.stdout.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
