"""How long a graph takes for a closed bar and for a peek: ``python -m tests.bench.bench_graph [SLOTS]``.

Method: 20 indicators (see TEXTS) are watched over SLOTS random walks; after 300 bars of warm-up each of 1,000 commits,
and each of 300 peeks at all and at a tenth of the slots, is timed with perf_counter_ns, with the collector off.
"""

import gc
import sys
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from engine.graph import Graph
from tests.engine.market_columns import random_market
from wire.expression import parse

TEXTS = (
    "ema(9)", "ema(20)", "ema(200)", "sma(20)", "sma(50)", "sma(200)", "rma(14)", "rsi(14)", "macd", "bbands",
    "atr(14)", "tr", "highest(20)", "lowest(20)", "stddev(50)", "variance(100)", "mom(10)", "change",
    "crossover(ema(9), ema(20))", "rsi(14) < 30 and close > bbands.lower",
)  # fmt: skip


def main(slots: int) -> None:
    """Write medians and 99th percentiles, in µs."""
    market = random_market(seed=1, bars=200, slots=slots)
    bars = market.bars()
    graph = Graph(slots)
    signals = [graph.watch(parse(text)) for text in TEXTS]
    some = np.arange(0, slots, 10)
    for place in range(300):
        graph.commit(bars[place % len(bars)])
    gc.disable()
    sys.stdout.write(f"{slots} slots, {len(TEXTS)} signals, {graph.node_count} nodes; p50 and p99 in µs\n")
    _timed("commit", 1_000, lambda place: graph.commit(bars[place % len(bars)]))
    _timed("peek at all", 300, lambda place: graph.peek(bars[place % len(bars)], signals))
    _timed("peek at a tenth", 300, lambda place: graph.peek(bars[place % len(bars)], signals, some))
    _timed("watch with 200 bars", 20, lambda place: graph.watch(parse(f"ema({place + 30})"), bars))


def _timed(what: str, times: int, work: Callable[[int], object]) -> None:
    took = []
    for place in range(times):
        start = perf_counter_ns()
        work(place)
        took.append((perf_counter_ns() - start) / 1_000)
    sys.stdout.write(f"{what:20} {np.percentile(took, 50):10.0f} {np.percentile(took, 99):10.0f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
