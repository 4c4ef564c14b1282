"""TA-Lib's functions through a graph against its batch functions, for every one of the catalogue."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from talib import abstract

from engine.columns import Columns
from engine.compile import build_node
from engine.errors import GraphError
from engine.grafting import keep_slots
from engine.graph import Graph, Signal
from engine.kernels.node import State
from tests.engine.market_columns import Market, Prices, computed, random_market, same_bits
from wire.catalogue import Indicator, Parameter
from wire.expression import Call, Series, parse
from wire.program import Operation
from wire.program_builder import build_program
from wire.talib_functions import TALIB_FUNCTIONS

by_name = pytest.mark.parametrize("entry", TALIB_FUNCTIONS, ids=lambda entry: entry.name)

BARS = 240
RESTARTED = 195
PEEKED = tuple(range(3, BARS, 41))
GATHERED = np.array([3])

WITHIN = 1e-9
"""Of the value, or of the range of all values, whichever is larger."""


class Peek(NamedTuple):
    """What was peeked of one bar: of all slots, of one, and what its commit gave."""

    all: Prices
    one: Prices
    committed: Prices


class Run(NamedTuple):
    """All functions at their defaults over one market: by name the values of shape (outputs, bars, slots)."""

    market: Market
    values: dict[str, Prices]
    peeks: dict[str, list[Peek]]
    states: dict[str, State]
    """By node, those after RESTARTED bars."""


@pytest.fixture(scope="module")
def run() -> Run:
    """Five slots: one with flat stretches, one that begins later, one with a hole."""
    market = holed(random_market(7, BARS, 5).born_at([0, 0, 60, 0, 1]), slot=1, start=150, stop=155)
    graph = Graph(5)
    signals = {entry.name: graph.watch(_call(entry)) for entry in TALIB_FUNCTIONS}
    rows: dict[str, list[Prices]] = {name: [] for name in signals}
    peeks: dict[str, list[Peek]] = {name: [] for name in signals}
    states: dict[str, State] = {}
    for place, bar in enumerate(market.bars()):
        if place == RESTARTED:
            states = {key: node.kernel.state() for key, node in graph.nodes.items() if node.kernel is not None}
        peeked = _peeked(graph, bar, list(signals.values())) if place in PEEKED else []
        graph.commit(bar)
        for name, signal in signals.items():
            rows[name].append(np.array(signal.values))
        for name, (everything, one) in zip(signals, peeked, strict=bool(peeked)):
            peeks[name].append(Peek(everything, one, rows[name][-1]))
    return Run(market, {name: np.array(row).swapaxes(0, 1) for name, row in rows.items()}, peeks, states)


def _peeked(graph: Graph, bar: Columns, signals: list[Signal]) -> list[tuple[Prices, Prices]]:
    other = replace(bar, close=bar.close * 1.01, high=bar.high * 1.02, volume=bar.volume + 7)
    graph.peek(other, signals)
    everything, one = graph.peek(bar, signals), graph.peek(bar, signals, GATHERED)
    return [(np.array(a), np.array(b)) for a, b in zip(everything, one, strict=True)]


def holed(market: Market, slot: int, start: int, stop: int) -> Market:
    """Without the bars of a slot from `start` to `stop`."""
    columns = [a.copy() for a in (market.open, market.high, market.low, market.close, market.volume)]
    for column in columns[:4]:
        column[start:stop, slot] = np.nan
    return Market(*columns)


@by_name
def test_values_are_those_of_the_batch_function_to_the_last_bit(entry: Indicator, run: Run) -> None:
    values = run.values[entry.name]
    assert np.isfinite(values).any() or entry.name == "fractal"
    for slot in range(run.market.width):
        assert same_bits(values[:, :, slot], batch(entry, run.market, slot, _defaults(entry)))


@by_name
def test_a_peek_is_what_the_commit_then_gives_and_changes_nothing(entry: Indicator, run: Run) -> None:
    assert len(run.peeks[entry.name]) == len(PEEKED)
    for peek in run.peeks[entry.name]:
        assert same_bits(peek.all, peek.committed)
        assert same_bits(peek.one, peek.committed[:, GATHERED])


def test_a_warm_start_from_all_history_gives_the_same_bits(run: Run) -> None:
    graph, bars = Graph(5), run.market.bars()
    for bar in bars[:140]:
        graph.commit(bar)
    signals = {entry.name: graph.watch(_call(entry), bars[:140]) for entry in TALIB_FUNCTIONS[::3]}
    for place in range(140, 160):
        graph.commit(bars[place])
        for name, signal in signals.items():
            assert same_bits(np.array(signal.values), run.values[name][:, place])


def test_handles_opened_anew_from_a_state_go_on_within_1e_9(run: Run) -> None:
    slots = np.array([2, 4])
    graph = Graph(2, RESTARTED)
    signals = {entry.name: graph.watch(_call(entry)) for entry in TALIB_FUNCTIONS}
    for key, node in graph.nodes.items():
        if node.kernel is not None:
            node.kernel.restore([array.take(slots, axis=-1) for array in run.states[key]])
    for place, bar in enumerate(run.market.of([2, 4]).bars(RESTARTED), RESTARTED):
        graph.commit(bar)
        for name, signal in signals.items():
            assert_close(np.array(signal.values), run.values[name][:, place, slots], run.values[name], name)


def test_slots_that_move_in_a_graph_keep_their_handles_history() -> None:
    market = random_market(9, 60, 3)
    whole = computed(["kc", "cdldoji", "nvi"], market)
    graph = Graph(3)
    signals = [graph.watch(parse(text)) for text in ("kc", "cdldoji", "nvi")]
    for bar in market.bars(stop=40):
        graph.commit(bar)
    keep_slots(graph, np.array([2, 0]))
    for signal, wanted in zip(signals, whole, strict=True):
        assert same_bits(np.array(signal.values), wanted[:, 39, [2, 0]])
    for place, bar in enumerate(market.of([2, 0]).bars(40), 40):
        graph.commit(bar)
        for signal, wanted in zip(signals, whole, strict=True):
            assert_close(np.array(signal.values), wanted[:, place, [2, 0]], wanted, str(signal.expression))


def test_a_slot_that_still_warms_up_goes_on_to_the_same_bits() -> None:
    texts = ("adr(20)", "cdldoji", "kc(20, 10, 2)", "t3(4, 0.7)", "ma(10, 1)")
    market = random_market(12, 50, 2).born_at([0, 25])
    whole = computed(texts, market)
    graph = Graph(2)
    signals = [graph.watch(parse(text)) for text in texts]
    for place, bar in enumerate(market.bars()):
        if place in (3, 30):
            keep_slots(graph, np.array([0, 1]))
        graph.commit(bar)
        for signal, wanted in zip(signals, whole, strict=True):
            if place < 30:
                assert same_bits(np.array(signal.values), wanted[:, place])
            assert same_bits(np.array(signal.values)[:, 1], wanted[:, place, 1])


def test_a_state_has_the_newest_bars_last_and_nothing_where_there_was_none() -> None:
    market = random_market(13, 5, 2).born_at([0, 3])
    graph = Graph(2)
    graph.watch(parse("midprice"))
    for bar in market.bars():
        graph.commit(bar)
    (kernel,) = [node.kernel for node in graph.nodes.values() if node.kernel is not None]
    (rows,) = kernel.state()
    assert np.isnan(rows[:-5]).all()
    assert same_bits(rows[-5:], np.array([market.high, market.low]).swapaxes(0, 1))


LONG = 1_330
REMEMBERING = [
    entry for entry in TALIB_FUNCTIONS if entry.unstable != "0" and entry.name not in ("mama", "t3", "adxr", "macdfix")
]
SHORTER = ("t3(3, 0.7)", "adxr(5)", "mama(0.5, 0.5)", "ma(4, 3)", "ma(4, 4)", "ma(4, 8)", "macdext(3,1,5,4,2,3)")


def test_what_is_remembered_is_enough_when_history_is_longer() -> None:
    """In a market that moves: after flat stretches Hilbert transforms do not settle, as the catalogue says."""
    market = moving_market(LONG)
    texts = [*(entry.name for entry in REMEMBERING), *SHORTER]
    graph, restarted = Graph(1), Graph(1, LONG - 60)
    signals = [(graph.watch(parse(text)), restarted.watch(parse(text))) for text in texts]
    rows: dict[str, list[Prices]] = {text: [] for text in texts}
    others: dict[str, list[Prices]] = {text: [] for text in texts}
    for place, bar in enumerate(market.bars()):
        graph.commit(bar)
        if place == LONG - 61:
            _restore(restarted, graph)
        if place >= LONG - 60:
            restarted.commit(bar)
            for text, (signal, other) in zip(texts, signals, strict=True):
                rows[text].append(np.array(signal.values))
                others[text].append(np.array(other.values))
    for text in texts:
        assert_close(np.array(others[text]), np.array(rows[text]), np.array(rows[text]), text)


def _restore(target: Graph, source: Graph) -> None:
    for key, node in target.nodes.items():
        kernel = source.nodes[key].kernel
        if node.kernel is not None and kernel is not None:
            node.kernel.restore(kernel.state())


def test_what_builds_on_all_bars_goes_on_from_where_it_was() -> None:
    market = holed(moving_market(400), slot=0, start=297, stop=302)
    names = ("cumsum", "pvt", "wad", "nvi", "pvi")
    whole = computed(names, market)
    graph = Graph(1)
    signals = [graph.watch(parse(name)) for name in names]
    for place, bar in enumerate(market.bars()):
        if place in (0, 1, 2, 200, 300, 301):
            keep_slots(graph, np.array([0]))
        graph.commit(bar)
        for signal, wanted, name in zip(signals, whole, names, strict=True):
            assert_close(np.array(signal.values), wanted[:, place], wanted, name)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000), births=st.lists(st.integers(0, 30), min_size=3, max_size=3))
def test_any_parameters_and_births_give_the_batch_function(data: st.DataObject, seed: int, births: list[int]) -> None:
    entry = data.draw(st.sampled_from([e for e in TALIB_FUNCTIONS if e.parameters]))
    chosen = tuple(data.draw(_values(parameter)) for parameter in entry.parameters)
    market = random_market(seed, 90, 3).born_at(births)
    graph = Graph(3)
    signal = graph.watch(_call(entry, chosen))
    rows = []
    for bar in market.bars():
        graph.commit(bar)
        rows.append(np.array(signal.values))
    values = np.array(rows).swapaxes(0, 1)
    for slot in range(3):
        assert same_bits(values[:, :, slot], batch(entry, market, slot, chosen))


def test_ready_and_settled_count_the_bars_of_the_slot() -> None:
    market = random_market(3, 40, 2).born_at([0, 10])
    graph = Graph(2)
    signal = graph.watch(parse("linearreg(5)"))
    for place, bar in enumerate(market.bars()):
        graph.commit(bar)
        assert np.isfinite(signal.values[0]).tolist() == signal.ready_mask().tolist()
        assert signal.ready_mask().tolist() == [place >= 4, place >= 14]


def test_an_input_that_warms_up_is_read_from_its_first_value_on() -> None:
    market = random_market(5, 120, 3).born_at([0, 17, 40])
    for inner in ("rsi(14)", "sma(volume, 5)", "change(volume)"):
        series, outer = computed([inner, f"trima({inner}, 4)"], market)
        first = build_program(parse(inner)).ready - 1
        for slot, birth in enumerate((0, 17, 40)):
            known = series[0, birth + first :, slot]
            wanted = np.concatenate([np.full(birth + first, np.nan), talib.TRIMA(known, 4)])
            assert same_bits(outer[0, :, slot], wanted)


def test_a_node_begins_with_the_bars_it_knows_even_when_its_input_knows_more() -> None:
    market = random_market(6, 60, 1)
    graph, bars = Graph(1), market.bars()
    series = graph.watch(parse("sma(5)"))
    for bar in bars[:20]:
        graph.commit(bar)
    signal = graph.watch(parse("linearreg(sma(5), 3)"))
    seen = []
    for bar in bars[20:]:
        graph.commit(bar)
        seen.append(series.values[0][0])
        assert np.isfinite(signal.values[0][0]) == signal.ready_mask()[0]
    assert same_bits(signal.values[0], talib.LINEARREG(np.array(seen[4:]), 3)[-1:])


def test_a_value_that_is_not_finite_is_none() -> None:
    market = random_market(8, 30, 1)
    none = Market(market.open, market.high, market.low, market.close, np.zeros_like(market.volume))
    for text in ("rvol(3)", "ln(close - close)", "sqrt(close - 2 * close)"):
        assert np.isnan(computed([text], none)[0]).all()


def test_an_unknown_function_is_an_error() -> None:
    with pytest.raises(GraphError, match="NOTHING"):
        build_node(Operation("talib:NOTHING", (0,), (), 1, 1), 1, 0)


def test_what_is_remembered_is_bounded_and_ends_with_the_last_column() -> None:
    for text, bars in (("cdldoji", 74), ("t3(5000)", 5_999 * 5 + 5_000), ("cumsum", 64), ("dx(5000)", 15_064)):
        (node,) = [n for n in _graph(text).nodes.values() if n.kernel is not None]
        assert node.kernel is not None
        (rows, *_) = node.kernel.state()
        assert rows.shape[-1] == 1
        assert len(rows) == pytest.approx(bars, rel=0.2)


def _graph(text: str) -> Graph:
    name, _, argument = text.partition("(")
    (entry,) = [entry for entry in TALIB_FUNCTIONS if entry.name == name]
    chosen = (*([float(argument[:-1])] if argument else []), *_defaults(entry)[1:])
    graph = Graph(1)
    graph.watch(_call(entry, chosen))
    return graph


def moving_market(bars: int) -> Market:
    """A random walk without a flat bar."""
    random = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.003, (bars, 1)), axis=0))
    opened = np.concatenate([close[:1], close[:-1]])
    high = np.maximum(opened, close) * (1 + 0.003 * random.random((bars, 1)))
    low = np.minimum(opened, close) * (1 - 0.003 * random.random((bars, 1)))
    return Market(opened, high, low, close, 1 + 1000 * random.random((bars, 1)))


def assert_close(values: Prices, wanted: Prices, of: Prices, what: str) -> None:
    """Within 1e-9 of the value or of the range of `of`, and missing at the same places."""
    assert np.array_equal(np.isnan(values), np.isnan(wanted)), what
    finite = of[np.isfinite(of)]
    extent = float(finite.max() - finite.min()) if len(finite) else 0.0
    apart = np.abs(np.nan_to_num(values) - np.nan_to_num(wanted))
    assert (apart <= WITHIN * np.maximum(np.abs(np.nan_to_num(wanted)), extent)).all(), what


def batch(entry: Indicator, market: Market, slot: int, chosen: tuple[float, ...]) -> Prices:
    """What the batch function gives over the bars that a slot has, of shape (outputs, bars)."""
    columns = {name: getattr(market, name)[:, slot] for name in ("open", "high", "low", "close", "volume")}
    has = np.isfinite(columns["close"])
    inputs = [np.ascontiguousarray(columns["close" if name == "x" else name][has]) for name in entry.inputs]
    defaults = abstract.Function(entry.function).parameters  # type: ignore[attr-defined]
    fixed = {"KDJ": {"slowk_matype", "slowd_matype"}}.get(entry.function, set())
    given = iter(chosen)
    arguments = {name: default if name in fixed else type(default)(next(given)) for name, default in defaults.items()}
    found = getattr(talib, entry.function)(*inputs, **arguments)
    values = np.full((len(found) if isinstance(found, tuple) else 1, len(has)), np.nan)
    lookback = build_program(_call(entry, chosen)).warm_up_bars
    rows = np.array(found if isinstance(found, tuple) else (found,), dtype=np.float64)
    rows[:, :lookback] = np.nan  # patterns have 0 there
    rows[np.isinf(rows)] = np.nan
    values[:, has] = rows
    return values


def _call(entry: Indicator, chosen: tuple[float, ...] | None = None) -> Call:
    series = None if entry.series is None else Series(entry.series)
    return Call(entry.name, series, _defaults(entry) if chosen is None else chosen)


def _defaults(entry: Indicator) -> tuple[float, ...]:
    return tuple(float(parameter.default) for parameter in entry.parameters)


def _values(parameter: Parameter) -> st.SearchStrategy[float]:
    if not parameter.whole:
        return st.floats(parameter.low, min(parameter.high, 1000))
    return st.integers(int(parameter.low), min(int(parameter.high), 12)).map(float)
