"""A Graphs beside one wide graph that has watched everything from the first bar: both are to say the same."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from engine.budget import Budget
from engine.graph import Graph
from engine.graphs import Graphs
from engine.kernels.instant import Slots
from engine.watched import Joined, Watched
from tests.engine.market_columns import Market, Prices, random_market, same_bits
from wire.expression import parse

TEXTS = (
    "sma(5)",
    "ema(9)",
    "ema(9) - ema(21)",
    "macd",
    "rsi(5)",
    "highest(7)[2] - lowest(33)",
    "stddev(ema(3), 20)",
    "close > open",
    "crossover(ema(3), sma(4))",
    "atr(4) + obv",
)


def at(*slots: int) -> Slots:
    return np.array(slots, np.intp)


def always() -> bool:
    return True


def rows(count: int) -> Callable[[], bool]:
    """Time for so many bars, the one that is replayed in any case included."""
    left = iter([True] * (count - 1))
    return lambda: next(left, False)


def a_market(width: int = 24, bars: int = 90, seed: int = 5) -> Market:
    """A third of the instruments is born on the way."""
    return random_market(seed, bars, width).born_at([0] * (width - width // 3) + [7 * n for n in range(width // 3)])


class World:
    """Bars come one by one; `mine` is what is tested, `whole` what it is compared with."""

    def __init__(self, market: Market, texts: Sequence[str] = TEXTS, budget: Budget | None = None) -> None:
        self.market = market
        self.budget = Budget() if budget is None else budget
        self.mine = Graphs(market.width, self.budget)
        self.whole = Graph(market.width)
        self.signals = {text: self.whole.watch(parse(text)) for text in texts}
        self.held = market.bars(0, 0)

    def watch(self, text: str, slots: Iterable[int] | None) -> Watched:
        return self.mine.watch(parse(text), None if slots is None else at(*slots))

    def unwatch(self, text: str, slots: Iterable[int] | None) -> None:
        watched = next(each for each in self.mine.watched if each.expression == parse(text))
        self.mine.unwatch(watched, None if slots is None else at(*slots))

    def commit(self, bars: int = 1) -> None:
        for _ in range(bars):
            bar = self.market.bar(len(self.held))
            self.held.append(bar)
            self.whole.commit(bar)
            self.mine.commit(bar)

    def advance(self, more: Callable[[], bool] = always) -> list[Joined]:
        return self.mine.advance(self.held, more)

    @property
    def joined(self) -> list[tuple[str, Watched, Slots]]:
        """What is watched, and the slots of it that have joined."""
        found = []
        for text in self.signals:
            for watched in self.mine.watched:
                if watched.expression == parse(text):
                    slots = range(self.market.width) if watched.everywhere else watched.wanted
                    found.append((text, watched, at(*(slot for slot in slots if watched.joined(slot)))))
        return found

    def check(self) -> None:
        """What has joined has the bits of the whole, now and in a forming bar."""
        forming = self.market.bar(min(len(self.held), len(self.market) - 1))
        joined = self.joined
        peeked = self.mine.peek(forming, [(watched, slots) for _, watched, slots in joined])
        for (text, watched, slots), live in zip(joined, peeked, strict=True):
            signal = self.signals[text]
            (expected,) = self.whole.peek(forming, [signal])
            assert same_bits(_rows(watched.values(slots)), _rows(signal.values)[:, slots]), text
            assert same_bits(_rows(live), _rows(expected)[:, slots]), text
            for now in (False, True):
                ready, settled = signal.ready_mask(forming=now), signal.settled_mask(forming=now)
                assert np.array_equal(watched.ready_mask(slots, forming=now), ready[slots]), text
                assert np.array_equal(watched.settled_mask(slots, forming=now), settled[slots]), text


def _rows(values: Sequence[Prices]) -> Prices:
    return np.array(values)
