from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.graph import Graph
from engine.warming import Replay, Warming
from tests.engine.graphs_world import always, at, rows
from tests.engine.market_columns import random_market, same_bits
from wire.expression import parse

MARKET = random_market(seed=51, bars=80, slots=4)
BARS = MARKET.bars()


def _begin(slots: list[int] | None = None) -> Callable[[int], Replay]:
    def begin(held: int) -> Replay:
        graph = Graph(4 if slots is None else len(slots), held)
        graph.watch(parse("ema(5)"))
        return Replay(graph, None if slots is None else at(*slots))

    return begin


def _values(replay: Replay) -> list[float]:
    (signal,) = replay.graph.signals
    return list(signal.values[0])


def _immediate(stop: int, start: int = 0) -> list[float]:
    graph = Graph(4, start)
    signal = graph.watch(parse("ema(5)"))
    for bar in BARS[start:stop]:
        graph.commit(bar)
    return list(signal.values[0])


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=60))
def test_no_bar_is_lost_or_doubled_however_the_replay_is_cut(held: int, slices: list[tuple[int, int]]) -> None:
    warming: Warming[list[float]] = Warming()
    warming.add(_begin(), _values)
    number = held
    for closed, count in slices:
        number = min(number + closed, len(BARS))
        for values in warming.advance(BARS[:number], number, rows(count)):
            assert same_bits(np.array(values), np.array(_immediate(number)))
            assert len(warming) == 0
            return
    (values,) = warming.advance(BARS[:number], number, always)
    assert same_bits(np.array(values), np.array(_immediate(number)))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_slice_replays_as_long_as_there_is_time_and_one_bar_at_least(count: int) -> None:
    warming: Warming[Replay] = Warming()
    job = warming.add(_begin(), lambda replay: replay)
    warming.advance(BARS[:20], 20, rows(count))
    assert job.replay is not None
    assert job.replay.graph.number == count


def test_what_comes_first_joins_first_and_the_rest_of_a_slice_is_for_the_next() -> None:
    warming: Warming[str] = Warming()
    for name in ("first", "second", "third"):
        warming.add(_begin(), lambda _, name=name: name)  # type: ignore[misc]
    assert len(warming) == 3
    assert warming.advance(BARS[:10], 10, rows(25)) == ["first", "second"]
    assert len(warming) == 1
    assert warming.advance(BARS[:10], 10, always) == ["third"]


def test_what_is_cancelled_is_left_out() -> None:
    warming: Warming[str] = Warming()
    first, _ = (warming.add(_begin(), lambda _, name=name: name) for name in ("first", "second"))  # type: ignore[misc]
    warming.advance(BARS[:10], 10, rows(5))
    first.cancelled = True
    assert len(warming) == 1
    assert warming.advance(BARS[:10], 10, always) == ["second"]


def test_without_bars_it_has_caught_up() -> None:
    warming: Warming[list[float]] = Warming()
    warming.add(_begin(), _values)
    assert len(warming.advance([], 7, always)) == 1


def test_what_began_with_bars_that_are_held_no_more_begins_again() -> None:
    warming: Warming[list[float]] = Warming()
    warming.add(_begin(), _values)
    assert warming.advance(BARS[:20], 20, rows(3)) == []
    (values,) = warming.advance(BARS[10:40], 40, always)
    assert values == _immediate(40, 10)


def test_what_is_restarted_replays_the_bars_as_they_are_now() -> None:
    other = random_market(seed=52, bars=20, slots=4).bars()
    warming: Warming[list[float]] = Warming()
    warming.add(_begin(), _values)
    warming.advance(other, 20, rows(15))
    warming.restart()
    (values,) = warming.advance(BARS[:20], 20, always)
    assert values == _immediate(20)


def test_some_slots_are_replayed_alone() -> None:
    warming: Warming[list[float]] = Warming()
    warming.add(_begin([3, 1]), _values)
    (values,) = warming.advance(BARS[:30], 30, always)
    assert values == [_immediate(30)[slot] for slot in (3, 1)]
