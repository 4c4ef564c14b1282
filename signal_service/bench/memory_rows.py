"""The rows of state and memory: how long a snapshot stops the cycle, and what strangers may cost. Reads clocks only."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from engine.budget import DEFAULT_BYTES, Budget, BudgetError
from engine.graphs import Graphs
from engine.kernels.instant import Slots
from engine.snapshot import encode
from signal_service.bench.figures import Figure
from signal_service.bench.indicators import TWENTY
from signal_service.bench.machine import resident_bytes
from signal_service.bench.markets import random_bars
from signal_service.bench.scale import Scale
from signal_service.bench.timing import timed
from wire.expression import parse

_STRANGERS: Final = 200
_WINDOWS: Final = 200
_STRANGE_SLOTS: Final = 16
_LONGEST: Final = 5_000
_BARS: Final = 64
_MB: Final = 1e6


def snapshot(scale: Scale) -> Iterator[Figure]:
    """The state of twenty indicators copied."""
    bars = random_bars(scale.instruments, 256)
    graphs = Graphs(scale.instruments, Budget())
    for each in TWENTY:
        graphs.watch(parse(each.expression), None)
    for bar in bars:
        graphs.commit(bar)
    # What is copied late is paid for by the commit behind.
    plain = timed(lambda place: graphs.commit(bars[place % len(bars)]), scale.times(200))

    def copy_and_commit(place: int) -> None:
        graphs.state()
        graphs.commit(bars[place % len(bars)])

    took = timed(copy_and_commit, scale.times(50))
    written = timed(lambda _: encode(graphs.state()), 3)
    size = len(encode(graphs.state()))
    yield Figure(
        name="snapshot",
        what=f"copy of the state of {len(TWENTY)} indicators x {scale.instruments:,}, p99",
        figure=max(0.0, took.p99 - plain.p50),
        unit="ms",
        goal=15,
        also={"with a commit p50": took.p50, "a commit p50": plain.p50, "MB": size / _MB, "encoded in ms": written.p50},
        method=f"{len(took.wall)} copies, each with a commit behind it, less the median of a commit alone; their "
        "encoding and writing is not the cycle's",
    )


def strangers(scale: Scale) -> Iterator[Figure]:
    """Many who each ask for many windows that nobody else has asked for, until there is no memory for more."""
    slots = np.arange(scale.instruments)
    budget = Budget(DEFAULT_BYTES // 100 if scale.quick else DEFAULT_BYTES)
    bars = random_bars(scale.instruments, _BARS)
    graphs = Graphs(scale.instruments, budget)
    before = resident_bytes()
    taken, refused = _ask(graphs, _questions(4 if scale.quick else _STRANGERS), slots)
    for bar in bars[: 4 if scale.quick else _BARS]:
        graphs.commit(bar)
    resident = resident_bytes() - before
    took = timed(lambda place: graphs.commit(bars[place % len(bars)]), scale.times(50))
    yield Figure(
        name="strangers",
        what=f"memory of {_STRANGERS} strangers with {_WINDOWS} windows each, of the budget",
        figure=resident / budget.limit_bytes,
        unit="",
        goal=1.1,
        also={
            "budget MB": budget.limit_bytes / _MB,
            "counted MB": budget.used_bytes / _MB,
            "resident MB": resident / _MB,
            "computed": float(taken),
            "refused": float(refused),
            "commit ms": took.p50,
        },
        method=f"each wants sma(close,n) of one of {_STRANGE_SLOTS} instruments on bars of 1 s, n from {_LONGEST:,} "
        "down and never the same; what is resident grows by the graphs, whatever their histories hold",
    )


def _questions(strangers: int) -> list[tuple[int, int]]:
    """(slot, window) of each: no window twice for a slot, the longest first, which are more than there is room for."""
    asked = range(strangers * _WINDOWS)
    return [(number % _STRANGE_SLOTS, _LONGEST - number // _STRANGE_SLOTS) for number in asked]


def _ask(graphs: Graphs, questions: Sequence[tuple[int, int]], slots: Slots) -> tuple[int, int]:
    """(computed, refused)."""
    taken = refused = 0
    for slot, window in questions:
        try:
            graphs.watch(parse(f"sma({window})"), slots[slot : slot + 1])
            taken += 1
        except BudgetError:
            refused += 1
    return taken, refused
