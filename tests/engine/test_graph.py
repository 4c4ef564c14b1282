from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.columns import Columns
from engine.errors import GraphError
from engine.graph import Graph, Signal, Values
from engine.kernels.instant import Instant
from engine.kernels.node import Node
from tests.engine.market_columns import Market, Prices, random_market, same_bits
from wire.catalogue import INDICATORS
from wire.expression import canonical, parse
from wire.program_builder import build_program

TEXTS = [
    *(entry.name for entry in INDICATORS),
    "crossover(ema(3), sma(5)) or cross(close, highest(7)[1])",
    "(rsi(5) > 50)[2] and not close < open[3]",
    "stddev(ema(rma(3), 4), 6) / (volume - volume)",
    "rsi(2) - rsi(close[4], 3)",
    "min(abs(mom(3)), 5) * -max(hlc3, 7)",
    "7",
    "sma(3 + 4, 5)",
    "bbands(macd(2, 5, 3).hist, 33, 1.5).lower",
]
"""Together they use every indicator, every function and every kernel."""

ADDED_UP: Final = ("ad", "obv", "vwap")
"""What adds up from the first bar, or the first of a session, says so until then; see their `differences`."""

SETTLING: Final = [entry.name for entry in INDICATORS if entry.name not in ADDED_UP]


def _watched(market: Market, texts: Sequence[str] = TEXTS) -> tuple[Graph, list[Signal]]:
    graph = Graph(market.width)
    return graph, [graph.watch(parse(text)) for text in texts]


def _flat(values: Sequence[Values]) -> Prices:
    """The outputs of all signals below each other."""
    return np.array([column for outputs in values for column in outputs])


def _values(signals: Sequence[Signal]) -> Prices:
    return _flat([signal.values for signal in signals])


def _committed(market: Market, texts: Sequence[str] = TEXTS) -> Prices:
    """What every output is after each bar: (bars, outputs, slots)."""
    graph, signals = _watched(market, texts)
    rows = []
    for bar in market.bars():
        graph.commit(bar)
        rows.append(_values(signals))
    return np.array(rows)


def _forming(bar: Columns, factor: float) -> Columns:
    """`bar` as it might have stood before it closed."""
    return Columns(
        bar.open_ns, bar.open, bar.high * factor, bar.low / factor, bar.close * factor,
        bar.volume / 2, bar.turnover, bar.count, bar.event_ns,
    )  # fmt: skip


def test_a_peek_at_a_bar_says_what_its_commit_says() -> None:
    market = random_market(seed=11, bars=130, slots=7).born_at([0, 0, 3, 50, 64, 129, 200])
    graph, signals = _watched(market)
    for bar in market.bars():
        peeked = _flat(graph.peek(bar, signals))
        graph.commit(bar)
        assert same_bits(peeked, _values(signals))


def test_a_peek_leaves_no_trace() -> None:
    market = random_market(seed=12, bars=130, slots=7).born_at([0, 0, 3, 50, 64, 129, 200])
    graph, signals = _watched(market)
    for place, bar in enumerate(market.bars()):
        before = _values(signals)
        for factor in (1.1, 3.0):
            graph.peek(_forming(bar, factor), signals)
            graph.peek(_forming(bar, factor), signals, np.array([place % 7]))
        assert same_bits(_values(signals), before)
        graph.commit(bar)
    assert same_bits(_values(signals), _committed(market)[-1])


@pytest.mark.parametrize("share", [1, 9, 10, 11, 39, 40])
def test_a_peek_at_some_slots_says_of_them_what_a_peek_at_all_says(share: int) -> None:
    market = random_market(seed=13, bars=70, slots=40).born_at([0] * 20 + [2 * slot for slot in range(20)])
    graph, signals = _watched(market)
    slots = np.random.default_rng(share).permutation(40)[:share]
    for bar in market.bars():
        everywhere, there = graph.peek(bar, signals), graph.peek(bar, signals, slots)
        assert same_bits(_flat(there), _flat(everywhere)[:, slots])
        graph.commit(bar)


def test_a_peek_gives_the_outputs_of_each_signal_in_the_order_asked_for() -> None:
    market = random_market(seed=14, bars=60, slots=2)
    graph, (macd, close) = _watched(market, ["macd", "close"])
    for bar in market.bars(0, 59):
        graph.commit(bar)
    bar = market.bar(59)
    for signals in ([macd, close], [close, macd], [close], [macd, close]):
        peeked = graph.peek(bar, signals)
        assert [len(values) for values in peeked] == [3 if signal is macd else 1 for signal in signals]
        assert same_bits(peeked[signals.index(close)][0], bar.close)


def test_a_slot_has_the_same_bits_alone_among_7_and_among_5000() -> None:
    market = random_market(seed=15, bars=120, slots=5_000)
    wide = _committed(market)
    for slots in ([0], [4_999], list(range(100, 107))):
        assert same_bits(_committed(market.of(slots)), wide[:, :, slots])


@settings(max_examples=4)
@given(st.lists(st.integers(0, 80), min_size=2, max_size=4), st.integers(0, 1000))
def test_a_slot_born_late_has_the_bits_it_would_have_in_a_graph_of_its_own(births: list[int], seed: int) -> None:
    market = random_market(seed, bars=90, slots=len(births)).born_at(births)
    together = _committed(market)
    for slot, birth in enumerate(births):
        alone = Graph(1, number=birth)
        signals = [alone.watch(parse(text)) for text in TEXTS]
        assert np.all(np.isnan(together[:birth, :, slot]))
        for place, bar in enumerate(market.of([slot]).bars(birth), birth):
            assert same_bits(_flat(alone.peek(bar, signals))[:, 0], together[place, :, slot])
            alone.commit(bar)
            assert same_bits(_values(signals)[:, 0], together[place, :, slot])


def test_the_forming_bar_in_which_a_slot_is_born_has_its_first_values() -> None:
    market = random_market(seed=16, bars=12, slots=8).born_at([0] * 7 + [10])
    graph, (tr, ema, close) = _watched(market, ["tr", "ema(1)", "close"])
    for bar in market.bars(0, 10):
        graph.commit(bar)
    born = market.bar(10)
    for slots in (None, np.array([7])):
        values = _flat(graph.peek(born, [tr, ema, close], slots))[:, -1]
        assert np.isnan(values[0])
        assert values[1] == values[2] == born.close[7]
    assert np.isnan(_values([tr, ema, close])[:, 7]).all()


def test_a_kernel_hears_in_the_forming_bar_of_the_slots_that_are_born_in_it() -> None:
    market = random_market(seed=16, bars=12, slots=8).born_at([0] * 7 + [10])
    graph, (signal,) = _watched(market, ["close"])
    for bar in market.bars(0, 10):
        graph.commit(bar)
    heard: list[object] = []

    def step(instant: Instant) -> Prices:
        heard.append([array.tolist() for array in instant.young(0, 1, 0) or ()])
        return instant.columns.close

    signal.nodes = signal.results = (Node(1, 1, 0, market.close[0], step, None),)
    graph.peek(market.bar(10), [signal])
    graph.peek(market.bar(10), [signal], np.array([7]))
    graph.peek(market.bar(10), [signal], np.array([0]))
    assert heard == [[[7], [1]], [[0], [1]], []]


@pytest.mark.parametrize("text", TEXTS)
def test_there_is_no_value_before_a_slot_is_ready_and_always_one_after(text: str) -> None:
    births = [0, 1, 7, 40]
    market = random_market(seed=17, bars=120, slots=4).born_at(births)
    program = build_program(parse(text))
    values = _committed(market, [text])
    for output, place in enumerate(program.results):
        ready = program.operations[place].ready
        for slot, birth in enumerate(births):
            there = np.isfinite(values[:, output, slot])
            assert np.array_equal(there, np.arange(120) >= birth + ready - 1)


@pytest.mark.parametrize("text", [*SETTLING, "ema(rsi(3), 4)", "rma(macd(2, 4, 3).hist, 2)"])
def test_a_settled_value_does_not_depend_on_where_history_began(text: str) -> None:
    program = build_program(parse(text))
    market = random_market(seed=18, bars=program.settled + 300)
    early, late = Graph(1), Graph(1, number=260)
    signals = early.watch(parse(text)), late.watch(parse(text))
    for place, bar in enumerate(market.bars()):
        early.commit(bar)
        if place >= 260:
            late.commit(bar)
            settled = place - 260 + 1 >= program.settled
            assert signals[1].settled_mask().tolist() == [settled]
            if settled:
                assert np.allclose(_values(signals[:1]), _values(signals[1:]), rtol=1e-13, atol=1e-13 * 100)


def test_nodes_say_of_themselves_what_the_catalogue_announces() -> None:
    graph = Graph(1)
    for text in TEXTS:
        program = build_program(parse(text))
        signal = graph.watch(parse(text))
        assert (signal.ready, signal.settled) == (program.ready, program.settled)
        assert [(node.ready, node.settled) for node in signal.nodes] == [
            (o.ready, o.settled) for o in program.operations
        ]


def test_ages_count_the_bars_that_a_slot_has_to_compute_from() -> None:
    market = random_market(seed=19, bars=30, slots=3).born_at([0, 25, 99])
    graph, (sma,) = _watched(market, ["sma(5)"])
    for bar in market.bars():
        graph.commit(bar)
    assert sma.ages().tolist() == [30, 5, 0]
    assert sma.ages(forming=True).tolist() == [31, 6, 1]
    assert sma.ready_mask().tolist() == [True, True, False]
    assert graph.watch(parse("sma(6)"), market.bars(10)).ready_mask().tolist() == [True, False, False]
    assert graph.watch(parse("sma(6)")).ready_mask(forming=True).tolist() == [True, True, False]
    assert graph.watch(parse("ema(5)")).ages().tolist() == [0, 0, 0]


@settings(max_examples=4)
@given(st.integers(0, 80), st.integers(0, 80), st.sampled_from([0, 3, 64]))
def test_a_node_warmed_with_history_goes_on_as_if_it_had_been_there_from_its_start(
    begin: int, join: int, number: int
) -> None:
    begin, join = min(begin, join), max(begin, join)
    market = random_market(seed=20, bars=90, slots=5).born_at([0, 0, 20, 60, 85])
    there, late = Graph(5, number=number + begin), Graph(5, number=number)
    signals = [there.watch(parse(text)) for text in TEXTS]
    joined: list[Signal] = []
    for place, bar in enumerate(market.bars()):
        if place == join:
            joined = [late.watch(parse(text), market.bars(begin, join)) for text in TEXTS]
            if begin < join:
                assert same_bits(_values(joined), _values(signals))
        if place >= join:
            assert same_bits(_flat(late.peek(bar, joined)), _flat(there.peek(bar, signals)))
        late.commit(bar)
        if place >= begin:
            there.commit(bar)
        if place >= join:
            assert same_bits(_values(joined), _values(signals))
    for a, b in zip(joined, signals, strict=True):
        assert np.array_equal(a.ready_mask(), b.ready_mask())
        assert np.array_equal(a.settled_mask(), b.settled_mask())


def test_history_may_reach_back_before_the_first_bar_of_the_graph() -> None:
    market = random_market(seed=21, bars=100, slots=3).born_at([0, 10, 80])
    whole, fresh = Graph(3, number=-60), Graph(3)
    expected = [whole.watch(parse(text)) for text in TEXTS]
    assert expected[0].ages().tolist() == [0, 0, 0]
    for bar in market.bars(0, 60):
        whole.commit(bar)
    close = fresh.watch(parse("close"))
    assert close.ages().tolist() == [0, 0, 0]
    signals = [fresh.watch(parse(text), market.bars(0, 60)) for text in TEXTS]
    assert close.ages().tolist() == [60, 50, 0]
    assert same_bits(close.values[0], market.close[59])
    for bar in market.bars(60):
        whole.commit(bar)
        fresh.commit(bar)
        assert same_bits(_values(signals), _values(expected))
    assert signals[0].ages().tolist() == [100, 90, 20]


def test_what_was_there_before_stays_as_it_was_when_something_new_joins() -> None:
    market = random_market(seed=22, bars=100, slots=3)
    graph, signals = _watched(market, ["ema(9)", "sma(20)"])
    for bar in market.bars(0, 50):
        graph.commit(bar)
    before = _values(signals)
    added = graph.watch(parse("sma(ema(9), 20) - sma(20)"), market.bars(20, 50))
    assert same_bits(_values(signals), before)
    for bar in market.bars(50):
        graph.commit(bar)
    assert same_bits(_values(signals), _committed(market, ["ema(9)", "sma(20)"])[-1])
    assert np.isfinite(added.values[0]).all()


def test_a_node_that_knew_less_takes_the_longer_history_for_all_who_read_it() -> None:
    market = random_market(seed=23, bars=100, slots=3)
    graph = Graph(3)
    for bar in market.bars(0, 50):
        graph.commit(bar)
    cold, other = graph.watch(parse("ema(sma(10), 5) * 2")), graph.watch(parse("sma(10) * 3"))
    assert not cold.ready_mask(forming=True).any()
    warm = graph.watch(parse("sma(10) + 1"), market.bars(0, 50))
    assert np.allclose(other.values[0], (warm.values[0] - 1) * 3)
    graph.peek(market.bar(50), [cold, warm])
    again = graph.watch(parse("ema(sma(10), 5) * 2"), market.bars(0, 50))
    assert again is cold
    peeked = _flat(graph.peek(market.bar(50), [cold, warm]))
    assert same_bits(_values([cold, warm]), _committed(market, ["ema(sma(10), 5) * 2", "sma(10) + 1"])[49])
    whole = _committed(market, ["ema(sma(10), 5) * 2", "sma(10) + 1"])
    assert same_bits(peeked, whole[50])
    for bar in market.bars(50):
        graph.commit(bar)
    assert same_bits(_values([cold, warm]), whole[-1])
    for signal in (cold, warm, again, other):
        graph.unwatch(signal)
    assert graph.node_count == 0


def test_a_cold_node_on_a_warmed_one_warms_up_by_itself() -> None:
    market = random_market(seed=24, bars=100, slots=3)
    graph = Graph(3)
    for bar in market.bars(0, 50):
        graph.commit(bar)
    cold = graph.watch(parse("ema(sma(10), 5)"))
    graph.watch(parse("sma(10)"), market.bars(0, 50))
    for bar in market.bars(50):
        graph.commit(bar)
    assert np.isfinite(cold.values[0]).all()
    assert cold.ages().tolist() == [50, 50, 50]


def test_what_needs_no_history_has_its_value_at_once() -> None:
    market = random_market(seed=25, bars=60, slots=2)
    graph, (ema,) = _watched(market, ["ema(9)"])
    for bar in market.bars():
        graph.commit(bar)
    doubled = graph.watch(parse("ema(9) * 2 + close"))
    assert same_bits(doubled.values[0], ema.values[0] * 2 + market.close[-1])
    assert doubled.ages().tolist() == [60, 60]


def test_equal_expressions_share_their_nodes_and_are_one_signal() -> None:
    graph = Graph(1)
    first = graph.watch(parse("ema(close, 9) - ema(close, 21)"))
    assert graph.watch(parse("EMA(9) - EMA(21)")) is first
    nodes = graph.node_count
    graph.watch(parse("crossover(ema(9), ema(21))"))
    graph.watch(parse("mom(5)"))
    assert graph.watch(parse("change(5)")).results[0] in graph.watch(parse("mom(5)")).results
    assert graph.node_count < nodes + 12


def test_a_node_goes_with_the_last_signal_that_needs_it() -> None:
    market = random_market(seed=26, bars=40, slots=2)
    graph = Graph(2)
    twice = [graph.watch(parse("ema(9) - ema(21)")) for _ in range(2)]
    other = graph.watch(parse("ema(9) * 2"))
    for bar in market.bars():
        graph.commit(bar)
    both = graph.node_count
    graph.unwatch(twice[0])
    assert graph.node_count == both
    graph.unwatch(twice[1])
    assert graph.node_count < both
    graph.commit(market.bar(39))
    assert np.isfinite(other.values[0]).all()
    graph.unwatch(other)
    assert graph.node_count == 0
    with pytest.raises(GraphError, match="expected a signal that is watched"):
        graph.unwatch(other)


def test_a_signal_that_comes_back_starts_anew_from_its_history() -> None:
    market = random_market(seed=27, bars=80, slots=2)
    graph, (signal,) = _watched(market, ["rsi(5)"])
    for bar in market.bars(0, 40):
        graph.commit(bar)
    graph.unwatch(signal)
    for bar in market.bars(40, 60):
        graph.commit(bar)
    back = graph.watch(parse("rsi(5)"), market.bars(0, 60))
    for bar in market.bars(60):
        graph.commit(bar)
    assert same_bits(_values([back]), _committed(market, ["rsi(5)"])[-1])


def test_a_bar_of_another_width_is_refused() -> None:
    bar = random_market(seed=1, bars=1, slots=3).bar(0)
    graph = Graph(2)
    for attempt in (lambda: graph.commit(bar), lambda: graph.peek(bar, []), lambda: graph.watch(parse("close"), [bar])):
        with pytest.raises(GraphError, match="expected a bar of 2 slots, found 3"):
            attempt()
    assert (graph.number, graph.node_count) == (0, 0)


def test_overflow_and_division_by_zero_warn_nobody_and_stay_where_they_are() -> None:
    market = random_market(seed=28, bars=30, slots=2)
    graph, (mad, sane) = _watched(market, ["close * 1e308 * 1e308 - close * 1e308 * 1e308", "close / (open - open)"])
    for bar in market.bars():
        graph.peek(bar, [mad, sane])
        graph.commit(bar)
    assert np.isnan(mad.values[0]).all()
    assert (sane.values[0] == 0).all()


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=40))
def test_a_crossover_is_being_above_now_and_not_one_bar_ago(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, float)[:, None] for column in zip(*pairs, strict=True))
    market = Market(a, a, a, b, b)
    texts = ["crossover(open, close)", "crossunder(open, close)", "cross(open, close)"]
    values = _committed(market, texts)[:, :, 0]
    assert np.isnan(values[0]).all()
    for place in range(1, len(pairs)):
        (then_a, then_b), (now_a, now_b) = pairs[place - 1], pairs[place]
        over, under = now_a > now_b and not then_a > then_b, now_a < now_b and not then_a < then_b
        assert values[place].tolist() == [float(over), float(under), float(over or under)]


def test_logic_is_of_truths() -> None:
    market = random_market(seed=29, bars=50, slots=3)
    texts = ["close > open", "close < open", "close >= open", "close <= open", "close == open", "close != open"]
    joined = ["close > open and high > open", "close > open or close < open", "not close > open"]
    values = _committed(market, texts + joined)
    o, h, c = market.open, market.high, market.close
    expected = [c > o, c < o, c >= o, c <= o, c == o, c != o, (c > o) & (h > o), (c > o) | (c < o), ~(c > o)]
    assert np.array_equal(values, np.array(expected, float).swapaxes(0, 1))


def test_the_canonical_text_computes_the_same_bits() -> None:
    market = random_market(seed=30, bars=60, slots=2)
    assert same_bits(_committed(market), _committed(market, [canonical(parse(text)) for text in TEXTS]))
