"""Random streams of ticks with everything that real ones have. Pure; no I/O."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from engine.ticks import TickBatch, TickFlag

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


def random_stream(seed: int, length: int = 3000, width: int = 6, *, ordinary: bool = True) -> TickBatch:
    """Ticks with lag, stragglers, silences, stamps far ahead, a venue's clock that jumps, and equal times.

    Prices have two decimals, so that equal ones come; the venue's clock runs 1.27 s ahead of ours. Odd seeds are
    sparse, minutes long, and the venue's clock goes back and forth by a second.
    """
    random = np.random.default_rng(seed)
    sparse = seed % 2 == 1
    gaps = random.exponential(400 if sparse else 30, length)
    silent = random.random(length) < 0.004
    gaps[silent] += random.integers(500, 9000, silent.sum())
    if seed % 3 == 0:
        gaps[random.integers(0, length, 2)] += random.integers(55_000, 150_000, 2)
    event = np.cumsum(gaps).astype(np.int64)
    lag = 20 + random.exponential(40, length)
    straggling = random.random(length) < 0.02
    lag[straggling] += random.integers(100, 2500, straggling.sum())
    if sparse:
        lag += 1000 * np.sin(event / 30_000)
    received = event + lag.astype(np.int64) - 1270
    order = np.argsort(received, kind="stable")
    event, received = event[order], received[order]
    ahead = random.random(length) < 0.002
    event = event + np.where(ahead, random.integers(1000, 90_000, length), 0)
    jump = random.integers(length // 2, length)
    event[jump:] += random.choice([0, 0, 700, 2500, 5000, -3000])
    flags = np.full(length, int(TickFlag.ORDINARY), np.uint8)
    if not ordinary:
        flags = random.integers(0, 32, length).astype(np.uint8)
    return TickBatch(
        random.integers(0, width, length).astype(np.int32),
        np.round(100 + random.normal(0, 1, length), 2),
        np.round(random.random(length) * 5 + 0.001, 3),
        START_NS + event * MS + random.integers(0, 2, length),
        START_NS + received * MS,
        flags,
    )


def spread(stream: TickBatch, seed: int, connections: int) -> TickBatch:
    """The same ticks, each instrument's on one of some connections, of which the later ones lag behind."""
    random = np.random.default_rng(seed)
    connection = (stream.instrument % connections).astype(np.uint8)
    behind = np.sort(random.integers(0, random.choice([4000, 25_000]), connections)) * MS
    received = stream.received_ns + behind[connection]
    order = np.argsort(received, kind="stable")
    return replace(stream, received_ns=received, connection=connection).pick(order)


def cut(random: np.random.Generator, length: int, pieces: int) -> list[slice]:
    """`length` cut into about so many pieces at random places."""
    places = sorted({0, length, *random.integers(0, length + 1, pieces - 1).tolist()})
    return [slice(start, stop) for start, stop in pairwise(places)]
