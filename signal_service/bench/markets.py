"""Markets to measure on: bars, ticks and trade frames that a seed decides. Pure; no I/O."""

import numpy as np
from numpy.typing import NDArray

from engine.columns import Columns
from engine.ticks import TickBatch, TickFlag
from wire.market import NS_PER_MS, NS_PER_S

START_NS = 1_704_067_200 * NS_PER_S
"""2024-01-01T00:00Z."""


def symbols(instruments: int) -> tuple[str, ...]:
    """As many names: S0001, S0002 and so on."""
    return tuple(f"S{number:04}" for number in range(1, instruments + 1))


def random_bars(instruments: int, bars: int, seed: int = 1) -> list[Columns]:
    """Bars of one second: prices that walk at random from about 100, all traded in every bar."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 2e-3, (bars, instruments)), axis=0))
    opened = np.concatenate([close[:1], close[:-1]]) * (1 + random.normal(0, 1e-4, close.shape))
    reach = random.random((2, *close.shape)) * 1e-3
    high, low = np.maximum(opened, close) * (1 + reach[0]), np.minimum(opened, close) * (1 - reach[1])
    volume = np.round(random.random(close.shape) * 100 + 1, 3)
    turnover = volume * close
    count = np.full(instruments, 7)
    made = []
    for place in range(bars):
        open_ns = START_NS + place * NS_PER_S
        event_ns = np.full(instruments, open_ns + 999 * NS_PER_MS)
        prices = (opened[place], high[place], low[place], close[place], volume[place], turnover[place])
        made.append(Columns(open_ns, *prices, count, event_ns, START_NS))
    return made


def random_ticks(instruments: int, rate: int, seconds: int, seed: int = 1) -> TickBatch:
    """Ticks of a busy venue from START_NS on: `rate` a second, evenly over all instruments; lags of 20 ms and more.

    In order of receipt, out of order among each other in their times; some per mille are late for a bar of a second.
    """
    random = np.random.default_rng(seed)
    count = rate * seconds
    event_ns = START_NS + np.sort(random.integers(0, seconds * 1000, count)) * NS_PER_MS
    received_ns = event_ns + (20 + random.exponential(5, count)).astype(np.int64) * NS_PER_MS
    order = np.argsort(received_ns, kind="stable")
    slots = random.integers(0, instruments, count).astype(np.int32)
    return TickBatch(
        slots,
        _walked(random, slots, instruments),
        np.round(random.random(count) + 0.01, 2),
        event_ns[order],
        received_ns[order],
        np.full(count, int(TickFlag.ORDINARY), np.uint8),
    )


def _walked(random: np.random.Generator, slots: NDArray[np.int32], instruments: int) -> NDArray[np.float64]:
    """A price for each tick: every slot walks at random from a price of its own."""
    order = np.argsort(slots, kind="stable")
    moves = np.cumsum(random.normal(0, 2e-4, len(slots)))
    first = np.searchsorted(slots[order], np.arange(instruments))
    before = np.append(moves, 0.0)[first][slots[order]]
    prices = np.empty(len(slots))
    prices[order] = np.round(random.uniform(10, 1000, instruments)[slots[order]] * np.exp(moves - before), 2)
    return prices


def one_each(instruments: int, second: int, seed: int = 1) -> TickBatch:
    """A tick of each instrument in the second so many seconds after START_NS, received 20 ms later."""
    random = np.random.default_rng((seed, second))
    event_ns = START_NS + second * NS_PER_S + np.sort(random.integers(0, 1000, instruments)) * NS_PER_MS
    price = 100 + np.arange(instruments) % 97 + np.round(random.normal(0, 0.5, instruments), 2)
    size = np.round(random.random(instruments) * 10 + 0.1, 2)
    flags = np.full(instruments, int(TickFlag.ORDINARY), np.uint8)
    slots = np.arange(instruments, dtype=np.int32)
    return TickBatch(slots, price, size, event_ns, event_ns + 20 * NS_PER_MS, flags)


def trade_frames(count: int) -> list[bytes]:
    """Trade messages as Binance's USD-M futures send them, ids counting up."""
    form = (
        '{"e":"trade","E":1704067200000,"T":1704067200000,"s":"BTCUSDT","t":%d,"p":"61800.30","q":"0.006",'
        '"X":"MARKET","m":false}'
    )
    return [(form % number).encode() for number in range(1, count + 1)]


def even_block(instruments: int, rate: int, seconds: int, seed: int = 1) -> TickBatch:
    """Ticks of `seconds` from START_NS on, every instrument as often as any other, in rounds of changing order.

    Received some ms after their event, in order and all within the block, so that it can be repeated.
    """
    random = np.random.default_rng(seed)
    count = rate * seconds
    rounds = -(-count // instruments)
    slots = np.concatenate([random.permutation(instruments) for _ in range(rounds)])[:count].astype(np.int32)
    event_ns = START_NS + np.arange(count) * (seconds * NS_PER_S // count)
    latest_ns = START_NS + seconds * NS_PER_S - 1
    received_ns = np.minimum(np.maximum.accumulate(event_ns + random.integers(1, 5, count) * NS_PER_MS), latest_ns)
    flags = np.full(count, int(TickFlag.ORDINARY), np.uint8)
    size = np.round(random.random(count) + 0.01, 2)
    return TickBatch(slots, _walked(random, slots, instruments), size, event_ns, received_ns, flags)
