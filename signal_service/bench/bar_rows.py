"""The rows of ticks and frames becoming columns. Computes, and reads this machine's clocks."""

from collections.abc import Iterator, Sequence
from typing import Final

from engine.bars import VenueBars
from engine.feeds.binance import BinanceParser
from engine.ticks import TickBatch
from signal_service.bench.figures import Figure
from signal_service.bench.markets import START_NS, random_ticks, trade_frames
from signal_service.bench.scale import Scale
from signal_service.bench.timing import RUNS, best_s, timed
from wire.market import NS_PER_MS, Timeframe

GRACE_NS: Final = 250 * NS_PER_MS
_RATE: Final = 200_000


def fold(scale: Scale) -> Iterator[Figure]:
    """Ticks folded into bars, in batches of several sizes."""
    rate = _RATE // 10 if scale.quick else _RATE
    ticks = random_ticks(scale.instruments, rate, 1 if scale.quick else 5)
    rates = {size: _fold_rate(scale.instruments, ticks, size) for size in (1_000, 10_000, 100_000)}
    base = _fold_rate(scale.instruments, ticks, 1_000, timeframes=(Timeframe.S1,))
    yield Figure(
        name="fold",
        what="fold and late check into bars of all timeframes, batches of 1,000",
        figure=rates[1_000],
        unit="M ticks/s",
        goal=5,
        at_most=False,
        also={"batches of 10,000": rates[10_000], "of 100,000": rates[100_000], "of 1,000 into 1s bars alone": base},
        method=f"{len(ticks):,} ticks of {scale.instruments:,} instruments, {rate:,} a second, out of order "
        f"by some ms, bars closing as they go; best of {RUNS} runs",
    )


def _fold_rate(
    instruments: int, ticks: TickBatch, size: int, timeframes: Sequence[Timeframe] = tuple(Timeframe)
) -> float:
    """M ticks/s into fresh bars."""
    batches = [ticks[start : start + size] for start in range(0, len(ticks), size)]
    fresh = [VenueBars(instruments, grace_ns=GRACE_NS, timeframes=timeframes, history=2) for _ in range(RUNS)]

    def folded(run: int) -> None:
        for batch in batches:
            fresh[run].fold(batch)

    return len(ticks) / float(timed(folded, RUNS).wall.min()) / 1e3


def parse(scale: Scale) -> Iterator[Figure]:
    """Trade messages of Binance to columns."""
    frames = trade_frames(scale.times(50_000))

    def parsed() -> None:
        parser = BinanceParser({"BTCUSDT": 0})
        for start in range(0, len(frames), 1_000):
            for frame in frames[start : start + 1_000]:
                parser.read(frame, START_NS)
            parser.take()

    speed = len(frames) / best_s(parsed) / 1e6
    yield Figure(
        name="parse",
        what="JSON trade frames in memory to columns",
        figure=speed,
        unit="M frames/s",
        goal=1,
        at_most=False,
        also={"ns a frame": 1e3 / speed},
        method=f"{len(frames):,} trade messages of Binance's USD-M futures, taken out in columns of 1,000; best of "
        f"{RUNS} runs",
    )
