"""Timing: how long a piece of work takes, on the wall and on the processor. Reads the clocks of this machine."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns
from typing import Final

import numpy as np
from numpy.typing import NDArray

RUNS: Final = 5
"""A rate is the best of so many runs."""


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """How long each of some repetitions took, ms: `wall` by the clock, `cpu` in processor time of this process."""

    wall: NDArray[np.float64]
    cpu: NDArray[np.float64]

    @property
    def p50(self) -> float:
        """The median, ms."""
        return float(np.percentile(self.wall, 50))

    @property
    def p99(self) -> float:
        """The 99th percentile, ms."""
        return float(np.percentile(self.wall, 99))

    @property
    def worst(self) -> float:
        """The longest, ms."""
        return float(np.max(self.wall))

    def numbers(self) -> Mapping[str, float]:
        """What is told of them beside the figure. Processor time is what a machine with nobody else on it gives."""
        return {
            "p50": self.p50,
            "p99": self.p99,
            "max": self.worst,
            "least": float(np.min(self.wall)),
            "cpu p50": float(np.percentile(self.cpu, 50)),
            "cpu p99": float(np.percentile(self.cpu, 99)),
        }


@contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection from entering to leaving."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def timed(work: Callable[[int], object], times: int, before: Callable[[int], object] | None = None) -> Durations:
    """Time `work(0)`, `work(1)` and so on, each behind an untimed `before` of the same number."""
    wall, cpu = np.empty(times), np.empty(times)
    with collector_off():
        for place in range(times):
            if before is not None:
                before(place)
            start_cpu, start = process_time_ns(), perf_counter_ns()
            work(place)
            wall[place] = perf_counter_ns() - start
            cpu[place] = process_time_ns() - start_cpu
    return Durations(wall / 1e6, cpu / 1e6)


def best_s(work: Callable[[], object], runs: int = RUNS) -> float:
    """The shortest of several runs, s."""
    return float(timed(lambda _: work(), runs).wall.min()) / 1e3
