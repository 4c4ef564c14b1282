"""Streams of ticks that come in order and in time, of which a test can delay, leave out and mix some. Pure; no I/O."""

from dataclasses import replace

import numpy as np

from engine.ticks import TickBatch, TickFlag
from tests.engine.venue_world import START_NS
from wire.market import NS_PER_MS, NS_PER_S


def orderly(seed: int, length: int, width: int, *, each_ms: int = 90) -> TickBatch:
    """Trades about every so often, each received 20 ms after it happened; the first and the last are of slot 0.

    Prices have two decimals, so that equal ones come; no two trades are of one instant.
    """
    random = np.random.default_rng(seed)
    event_ns = START_NS + np.cumsum(random.integers(1, 2 * each_ms, length)) * NS_PER_MS
    instrument = random.integers(0, width, length)
    instrument[[0, -1]] = 0
    walk = 100 + np.cumsum(random.normal(0, 0.3, length))
    return TickBatch(
        instrument.astype(np.int32),
        np.round(np.abs(walk) + 1, 2),
        np.round(random.random(length) * 5 + 0.001, 3),
        event_ns,
        event_ns + 20 * NS_PER_MS,
        np.full(length, int(TickFlag.ORDINARY), np.uint8),
    )


def without(stream: TickBatch, place: int) -> TickBatch:
    """The stream, but for one tick."""
    return stream.pick(np.delete(np.arange(len(stream)), place))


def delayed(stream: TickBatch, place: int, by_ms: int) -> TickBatch:
    """The stream, one tick of it received later, but not after the last."""
    received_ns = stream.received_ns.copy()
    received_ns[place] = min(received_ns[place] + by_ms * NS_PER_MS, received_ns[-1])
    return replace(stream, received_ns=received_ns).pick(np.lexsort((-stream.event_ns, received_ns)))


def mixed(stream: TickBatch, seed: int) -> TickBatch:
    """The trades of each second in another order, all of them received at its end."""
    random = np.random.default_rng(seed)
    second = stream.event_ns // NS_PER_S
    order = np.lexsort((random.random(len(stream)), second))
    return replace(stream, received_ns=(second + 1) * NS_PER_S - NS_PER_MS).pick(order)
