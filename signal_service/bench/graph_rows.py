"""The rows of the graph alone: commits, peeks, cold start, state, and how near it is to TA-Lib. Reads clocks only."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from engine.columns import Columns
from engine.graph import Graph, Signal
from signal_service.bench import baselines
from signal_service.bench.figures import Figure
from signal_service.bench.indicators import TWENTY
from signal_service.bench.markets import random_bars
from signal_service.bench.scale import Scale
from signal_service.bench.timing import timed
from wire import expression as language

_WARM_UP: Final = 300
_TIMEFRAMES: Final = 8
_COLD_BARS: Final = 512


def burst(scale: Scale) -> Iterator[Figure]:
    """One bar of every instrument closes: twenty indicators of one timeframe."""
    bars = random_bars(scale.instruments, 256)
    graph, signals = _warm(scale, bars)
    took = timed(lambda place: graph.commit(bars[place % len(bars)]), scale.times(1_000))
    yield Figure(
        name="burst",
        what=f"bar close, {scale.instruments:,} instruments x {len(signals)} indicators, one timeframe, p99",
        figure=took.p99,
        unit="ms",
        goal=2,
        also=took.numbers(),
        method=f"{len(took.wall)} commits behind {_WARM_UP} bars of warm-up; {graph.node_count} nodes",
    )
    yield from _burst_of_others(scale, bars, took.p50)


def _burst_of_others(scale: Scale, bars: Sequence[Columns], ours_ms: float) -> Iterator[Figure]:
    slots = min(5 if scale.quick else baselines.SLOTS, scale.instruments)
    share = scale.instruments / slots
    handles_ms = baselines.handle_burst_ms(bars, scale.instruments, scale.times(50))
    yield Figure(
        name="burst/talib",
        what="the same with TA-Lib's streaming handles, p50",
        figure=handles_ms,
        unit="ms",
        also={"times ours": handles_ms / ours_ms},
        method="a handle for each instrument and indicator, each updated with the bar, the rows as Python floats",
    )
    talipp = baselines.talipp_burst_ms(bars, slots, scale.times(50))
    yield _talipp_figure("burst/talipp", "the same with talipp, p50", talipp, share, ours_ms)


def midnight(scale: Scale) -> Iterator[Figure]:
    """Bars of eight timeframes close at one instant."""
    bars = random_bars(scale.instruments, 256)
    graphs = [_warm(scale, bars, offset=7 * place)[0] for place in range(_TIMEFRAMES)]

    def close(place: int) -> None:
        for graph in graphs:
            graph.commit(bars[place % len(bars)])

    took = timed(close, scale.times(500))
    yield Figure(
        name="midnight",
        what=f"bar close of {_TIMEFRAMES} timeframes at once, the longest",
        figure=took.worst,
        unit="ms",
        goal=20,
        also=took.numbers(),
        method=f"{len(took.wall)} times a commit of {_TIMEFRAMES} graphs one behind another, their windows turning at "
        "different boundaries",
    )


def peek(scale: Scale) -> Iterator[Figure]:
    """The forming bars of eight timeframes, all instruments and 1,000 of them."""
    bars = random_bars(scale.instruments, 256)
    graphs = [_warm(scale, bars, offset=7 * place) for place in range(_TIMEFRAMES)]
    some = np.sort(np.random.default_rng(1).permutation(scale.instruments)[:1_000])

    def look(place: int) -> None:
        for graph, signals in graphs:
            graph.peek(bars[place % len(bars)], signals)

    def look_at_some(place: int) -> None:
        for graph, signals in graphs:
            graph.peek(bars[place % len(bars)], signals, some)

    for name, what, work, goal in (
        ("peek", f"peek at {scale.instruments:,} instruments", look, 7.0),
        ("peek-1000", f"peek at {len(some):,} of {scale.instruments:,} instruments", look_at_some, 4.0),
    ):
        took = timed(work, scale.times(500))
        yield Figure(
            name=name,
            what=f"{what}, {_TIMEFRAMES} timeframes x {len(graphs[0][1])} indicators, p99",
            figure=took.p99,
            unit="ms",
            goal=goal,
            also=took.numbers(),
            method=f"{len(took.wall)} times a peek at {_TIMEFRAMES} graphs one behind another",
        )


def cold(scale: Scale) -> Iterator[Figure]:
    """From held bars to graphs that have values."""
    bars = random_bars(scale.instruments, 256 if scale.quick else _COLD_BARS)

    def start(_: int) -> None:
        graph = Graph(scale.instruments)
        for each in TWENTY:
            graph.watch(language.parse(each.expression))
        for bar in bars:
            graph.commit(bar)

    took = timed(start, 3)
    ours_s = float(took.wall.min()) / 1e3
    yield Figure(
        name="cold",
        what=f"cold start, {scale.instruments:,} x {len(bars)} bars x {len(TWENTY)} indicators",
        figure=ours_s,
        unit="s",
        goal=0.8,
        also={"slowest s": took.worst / 1e3, "cpu s": float(took.cpu.min()) / 1e3},
        method="a new graph commits every bar, which are in memory; best of 3",
    )
    slots = min(5 if scale.quick else baselines.SLOTS, scale.instruments)
    share = scale.instruments / slots
    handles_s = baselines.handle_cold_ms(bars, slots) * share / 1e3
    yield Figure(
        name="cold/talib",
        what="the same with TA-Lib's streaming handles",
        figure=handles_s,
        unit="s",
        also={"times ours": handles_s / ours_s},
        method=f"a handle opened on the bars for each of {slots} instruments and each indicator, their series "
        f"contiguous beforehand; scaled by {share:g}",
    )
    talipp = baselines.talipp_cold_ms(bars, slots)
    yield _talipp_figure("cold/talipp", "the same with talipp", talipp, share / 1e3, ours_s, unit="s")


def accuracy(scale: Scale) -> Iterator[Figure]:
    """How far apart we and TA-Lib are at most."""
    count = 400 if scale.quick else 2_048
    slots = 8
    bars = random_bars(slots, count)
    graph = Graph(slots)
    signals = [graph.watch(language.parse(each.expression)) for each in TWENTY]
    found = np.empty((count, len(signals), slots))
    for place, bar in enumerate(bars):
        graph.commit(bar)
        found[place] = [signal.values[0] for signal in signals]
    worst: dict[str, float] = {}
    for place, (each, signal) in enumerate(zip(TWENTY, signals, strict=True)):
        first = min(signal.settled, count * 3 // 4)
        for slot in range(slots):
            theirs = baselines.batch(each, bars, slot)[first:]
            ours = found[first:, place, slot]
            if each.adds_up:
                theirs, ours = theirs - theirs[0], ours - ours[0]
            scale_of = np.maximum(np.abs(theirs), np.ptp(theirs))
            off = np.max(np.abs(ours - theirs) / scale_of)
            worst[each.expression] = max(worst.get(each.expression, 0.0), float(off))
    furthest = sorted(worst, key=lambda name: worst[name], reverse=True)[:3]
    yield Figure(
        name="accuracy",
        what="largest difference from TA-Lib, of max(value, the indicator's range)",
        figure=max(worst.values()),
        unit="",
        goal=1e-9,
        also={name: worst[name] for name in furthest},
        method=f"each of the {len(TWENTY)} indicators on {slots} random walks of {count} bars, once settled, against "
        "TA-Lib's function over the whole series; of one that adds up from where history began, its changes",
    )


def _talipp_figure(
    name: str, what: str, took: tuple[float, int] | None, share: float, ours: float, *, unit: str = "ms"
) -> Figure:
    if took is None:
        nan = float("nan")
        return Figure(name=name, what=what, figure=nan, unit=unit, method="talipp is not installed (extra: test)")
    figure, had = took[0] * share, took[1]
    return Figure(
        name=name,
        what=what,
        figure=figure,
        unit=unit,
        also={"times ours": figure / ours},
        method=f"the {had} of the indicators that it has, {baselines.SLOTS} instruments at most, scaled to all",
    )


def _warm(scale: Scale, bars: Sequence[Columns], offset: int = 0) -> tuple[Graph, list[Signal]]:
    """A graph that has seen enough for all twenty to have values."""
    graph = Graph(scale.instruments, offset)
    signals = [graph.watch(language.parse(each.expression)) for each in TWENTY]
    for place in range(scale.times(_WARM_UP)):
        graph.commit(bars[place % len(bars)])
    return graph, signals
