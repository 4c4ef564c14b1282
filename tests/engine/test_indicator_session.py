"""The vwap: of trades, by session, whatever else the graph computes."""

import math
from dataclasses import replace

import numpy as np

from engine.columns import Columns
from engine.graph import Graph
from tests.engine.market_columns import Prices, random_market, same_bits
from wire.expression import parse

SESSION = 50
"""Bars in each session but the first, which began 20 bars before the first bar."""

SLOTS, BARS = 6, 400


def _bars() -> list[Columns]:
    """Bars whose trades were at the average of open and close, of sessions that begin anew every so often."""
    market = random_market(seed=11, bars=BARS, slots=SLOTS).born_at([0, 0, 65, 150, 0, 3])
    bars = []
    for place, bar in enumerate(market.bars()):
        turnover = np.nan_to_num((bar.open + bar.close) / 2) * bar.volume
        bars.append(replace(bar, turnover=turnover, session_ns=(place + 20) // SESSION * SESSION * 10**9))
    return bars


def _computed(text: str, bars: list[Columns], slots: int = SLOTS) -> Prices:
    graph = Graph(slots)
    signal = graph.watch(parse(text))
    rows = []
    for bar in bars:
        graph.commit(bar)
        rows.append(signal.values[0])
    return np.array(rows)


def _plain(bars: list[Columns], slot: int, *, typical: bool) -> list[float]:
    """The same by the book, bar by bar."""
    values = []
    amounts: list[tuple[float, float]] = []
    for place, bar in enumerate(bars):
        if place and bar.session_ns != bars[place - 1].session_ns:
            amounts = []
        price = (bar.high[slot] + bar.low[slot] + bar.close[slot]) / 3
        weight = float(bar.volume[slot])
        if weight:
            amounts.append((price * weight if typical else float(bar.turnover[slot]), weight))
        flat = price if typical else float(bar.close[slot])
        values.append(math.fsum(a for a, _ in amounts) / math.fsum(w for _, w in amounts) if amounts else flat)
    return values


def test_the_vwap_is_what_was_paid_by_what_was_traded_since_the_session_opened() -> None:
    bars = _bars()
    for text, typical in (("vwap", False), ("vwap(hlc3)", True)):
        values = _computed(text, bars)
        for slot in range(SLOTS):
            expected = np.array(_plain(bars, slot, typical=typical))
            assert np.array_equal(np.isnan(values[:, slot]), np.isnan(expected))
            assert np.nanmax(np.abs(values[:, slot] / expected - 1)) <= 1e-13


def test_a_session_forgets_the_one_before_to_the_last_bit() -> None:
    bars = _bars()
    values = _computed("vwap", bars)
    for start in (30, 80):
        assert same_bits(values[start:], _computed("vwap", bars[start:]))


def test_a_peek_at_the_first_bar_of_a_session_begins_it_and_leaves_no_trace() -> None:
    bars = _bars()
    graph = Graph(SLOTS)
    signal = graph.watch(parse("vwap"))
    for bar in bars:
        (peeked,) = graph.peek(bar, [signal])
        (gathered,) = graph.peek(bar, [signal], np.array([2]))
        graph.commit(bar)
        assert same_bits(peeked[0], signal.values[0])
        assert same_bits(gathered[0], signal.values[0][2:3])


def test_the_average_price_of_a_bar_is_that_of_its_trades() -> None:
    bars = _bars()
    values = _computed("traded", bars)
    for place, bar in enumerate(bars):
        with np.errstate(invalid="ignore"):
            expected = np.where(bar.volume > 0, bar.turnover / bar.volume, bar.close)
        assert np.array_equal(values[place], expected, equal_nan=True)
