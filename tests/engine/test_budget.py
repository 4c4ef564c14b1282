import gc
import tracemalloc
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.budget import Account, Budget, BudgetError, narrow_bytes, operation_bytes
from engine.errors import EngineError
from engine.graph import Graph
from engine.graph_state import copy_state
from engine.graphs import Graphs
from tests.engine.graphs_world import at
from tests.engine.market_columns import random_market
from wire.catalogue import INDICATORS
from wire.expression import parse
from wire.program import Program
from wire.program_builder import build_program


def _program(text: str) -> Program:
    return build_program(parse(text))


def test_what_is_not_left_is_refused_and_says_how_much_there_is() -> None:
    budget = Budget(100)
    budget.take(70)
    with pytest.raises(BudgetError, match="30 bytes that are left, found 31") as refused:
        budget.take(31)
    assert isinstance(refused.value, EngineError)
    assert (refused.value.asked_bytes, refused.value.left_bytes, budget.used_bytes) == (31, 30, 70)
    budget.take(30)
    budget.take(-100)
    assert (budget.used_bytes, budget.left_bytes) == (0, 100)


def test_a_budget_that_is_overdrawn_still_takes_back() -> None:
    budget = Budget(100)
    budget.take(90)
    budget.limit_bytes = 50
    budget.take(0)
    with pytest.raises(BudgetError):
        budget.take(1)
    budget.take(-10)
    assert budget.used_bytes == 80


def test_a_node_of_the_wide_graph_is_paid_for_once() -> None:
    budget = Budget()
    account = Account(budget, 1000)
    account.take_wide(_program("ema(9) - ema(21)"))
    used = budget.used_bytes
    account.take_wide(_program("ema(9)"))
    assert budget.used_bytes == used
    account.free_wide(_program("ema(9) - ema(21)"))
    assert 0 < budget.used_bytes < used
    account.free_wide(_program("ema(9)"))
    assert budget.used_bytes == 0


def test_narrow_graphs_are_paid_for_by_what_they_have_now() -> None:
    budget = Budget()
    account = Account(budget, 1000)
    account.take_narrow("one", 500)
    account.take_narrow("other", 100)
    account.take_narrow("one", 200)
    assert budget.used_bytes == 300
    account.take_narrow("one", 0)
    account.take_narrow("one", 0)
    assert budget.used_bytes == 100


@given(
    st.lists(st.sampled_from(["ema(9)", "macd", "ema(9) - ema(21)", "sma(50)"]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_in_the_end_everything_is_given_back(texts: list[str], random: Random) -> None:
    budget = Budget()
    account = Account(budget, 10)
    for text in texts:
        account.take_wide(_program(text))
    random.shuffle(texts)
    for text in texts:
        assert budget.used_bytes > 0
        account.free_wide(_program(text))
    assert budget.used_bytes == 0


@pytest.mark.parametrize(
    "text", [*(entry.name for entry in INDICATORS if entry.name != "barssince"), "barssince(close > 1)"]
)
def test_what_is_counted_is_what_the_kernels_hold(text: str) -> None:
    market = random_market(3, 40, 50)
    graph = Graph(50)
    signal = graph.watch(parse(text))
    for bar in market.bars():
        graph.commit(bar)
    state = copy_state(graph, np.arange(50), "", graph.nodes)
    counted = sum(operation_bytes(operation) for operation in signal.program.operations) * 50
    assert state.nbytes - 50 * 16 <= counted


def test_a_narrow_graph_takes_no_more_memory_than_is_counted() -> None:
    """Beside its columns there are Python's objects, of which most of a graph of one slot consists."""
    budget, market = Budget(), random_market(3, 3, 400)
    expressions = [parse(f"sma(close, {n}) + {n}") for n in range(2, 202)]
    programs = [build_program(expression) for expression in expressions]
    assert len(programs) == 200
    graphs = Graphs(400, budget)
    gc.collect()
    tracemalloc.start()
    try:
        for place, expression in enumerate(expressions):
            graphs.watch(expression, at(place))
        for bar in market.bars():
            graphs.commit(bar)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.4 * budget.used_bytes < taken <= budget.used_bytes


def test_strangers_who_ask_for_ever_other_windows_stay_within_the_budget_and_are_told_when_it_is_full() -> None:
    budget = Budget(20_000_000)
    graphs = Graphs(5_000, budget)
    refused = 0
    for stranger in range(20):
        for n in range(2, 202):
            with suppress(BudgetError):
                graphs.watch(parse(f"sma(close, {n}) + {stranger}"), at(stranger))
                continue
            refused += 1
            assert budget.used_bytes <= budget.limit_bytes
    assert 0 < refused < 4_000
    for watched in graphs.watched:
        graphs.unwatch(watched, at(*watched.wanted))
    assert budget.used_bytes == 0


def test_a_handle_costs_something_for_each_slot() -> None:
    program = _program("cdldoji")
    assert narrow_bytes(program, 0) == 0
    assert narrow_bytes(program, 10) == 10 * narrow_bytes(program, 1) > 40_000
