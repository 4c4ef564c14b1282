from itertools import pairwise
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.budget import Budget, BudgetError
from engine.errors import GraphError
from engine.graph import Graph
from engine.graphs import Graphs
from engine.placement import WIDE_FROM
from tests.engine.graphs_world import TEXTS, World, a_market, always, at, rows
from tests.engine.market_columns import random_market, same_bits
from wire.expression import parse

SLOTS = st.lists(st.integers(0, 23), min_size=1, max_size=9, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.sampled_from(TEXTS), st.one_of(st.none(), SLOTS, SLOTS)),
        st.tuples(st.just("unwatch"), st.integers(0, 99), st.none()),
        st.tuples(st.just("commit"), st.integers(1, 9), st.none()),
        st.tuples(st.just("advance"), st.integers(1, 60), st.none()),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_value_is_the_same_whoever_else_is_watched_and_whenever_it_came(
    steps: list[tuple[str, str | int, list[int] | None]],
) -> None:
    world = World(a_market())
    watches: list[tuple[str, list[int] | None]] = []
    for step, what, slots in steps:
        if step == "watch" and isinstance(what, str):
            world.watch(what, slots)
            watches.append((what, slots))
        elif step == "unwatch" and watches:
            world.unwatch(*watches.pop(int(what) % len(watches)))
        elif step == "commit" and len(world.held) + int(what) <= len(world.market):
            world.commit(int(what))
        elif step == "advance":
            world.advance(rows(int(what)))
        world.check()
    world.advance()
    world.check()
    for text, watched, joined in world.joined:
        assert len(joined) == 24 if watched.everywhere else set(joined.tolist()) == set(watched.wanted), text
    for watch in watches:
        world.unwatch(*watch)
    assert (world.mine.watched, world.budget.used_bytes, world.mine.warming) == ((), 0, 0)


def test_what_is_watched_before_the_first_bar_has_joined_at_once() -> None:
    world = World(a_market())
    watched = world.watch("ema(9)", [3])
    assert watched.joined(3)
    assert not watched.joined(4)
    assert world.mine.warming == 0
    world.commit(30)
    world.check()


def test_slots_that_come_one_by_one_before_the_first_bar_have_no_values() -> None:
    world = World(a_market())
    watched = world.watch("sma(5)", [0])
    for slot in (0, 1, 2):
        world.watch("sma(5)", [slot] if slot else [])
        assert np.isnan(watched.values(at(*range(slot + 1)))[0]).tolist() == [True] * (slot + 1)
    world.mine.unwatch(watched, at(0))
    world.mine.unwatch(watched, at(1))
    assert np.isnan(watched.values(at(2))[0]).tolist() == [True]


def test_what_needs_no_past_joins_at_once() -> None:
    world = World(a_market())
    world.commit(30)
    for slots in ([3], [5, 4], range(24), None):
        watched = world.watch("close > open", slots)
        assert watched.joined(3)
        world.check()


def test_what_has_joined_is_told_once_with_its_slots() -> None:
    world = World(a_market())
    world.commit(30)
    watched = world.watch("ema(9)", [3, 1])
    (joined,) = world.advance()
    assert joined.watched is watched
    assert joined.slots is not None
    assert joined.slots.tolist() == [3, 1]
    assert world.advance() == []
    world.watch("ema(9)", [1, 8])
    (joined,) = world.advance()
    assert joined.slots is not None
    assert joined.slots.tolist() == [8]
    screened = world.watch("rsi(5)", None)
    (joined,) = world.advance()
    assert (joined.watched, joined.slots) == (screened, None)


def test_values_of_what_has_not_joined_are_none() -> None:
    world = World(a_market())
    world.commit(30)
    macd = world.watch("macd", [3])
    assert [column.tolist() for column in macd.values(at(3, 4))] == [pytest.approx([np.nan] * 2, nan_ok=True)] * 3
    assert macd.ages(at(3)).tolist() == [0]
    assert not macd.ready_mask(at(3), forming=True).any()
    (peeked,) = world.mine.peek(world.market.bar(30), [(macd, at(3, 4))])
    assert all(isnan(value) for column in peeked for value in column.tolist())
    world.advance()
    assert np.isfinite(macd.values(at(3))[0]).all()
    assert np.isnan(macd.values(at(4, 3))[0]).tolist() == [True, False]
    with pytest.raises(GraphError, match="not watched at all"):
        macd.values()


@pytest.mark.parametrize(("width", "narrow", "wide"), [(24, 6, 7), (300, WIDE_FROM - 1, WIDE_FROM), (3, 0, 1)])
def test_what_many_want_moves_to_the_wide_graph_and_no_value_jumps(width: int, narrow: int, wide: int) -> None:
    market = random_market(31, 40, width)
    world = World(market, ["ema(9) - sma(4)"])
    world.commit(20)
    for slot in range(narrow):
        watched = world.watch("ema(9) - sma(4)", [slot])
        world.advance()
        assert watched.wide is None
        world.check()
    watched = world.watch("ema(9) - sma(4)", [narrow])
    assert wide == narrow + 1
    while watched.wide is None:
        world.advance(rows(7))
        world.commit()
        world.check()
    assert watched.values()[0].shape == (width,)
    assert all(watched.joined(slot) for slot in range(width))
    for_all = Budget()
    Graphs(width, for_all).watch(watched.expression, None)
    assert world.budget.used_bytes == for_all.used_bytes


def test_what_moves_to_the_wide_graph_goes_on_with_what_it_knows() -> None:
    """The bars held are fewer than it has seen: warmed from them alone it would have other bits."""
    world = World(random_market(32, 120, 24), ["ema(9)"])
    watched = world.watch("ema(9)", [0, 1, 2])
    world.commit(80)
    del world.held[:40]
    world.watch("ema(9)", [3, 4, 5, 6])
    (joined,) = world.advance()
    assert joined.slots is not None
    assert (watched.wide is not None, joined.slots.tolist()) == (True, [3, 4, 5, 6])
    whole = world.signals["ema(9)"].values[0]
    assert same_bits(watched.values(at(0, 1, 2))[0], whole[:3])
    assert not same_bits(watched.values(at(3, 4, 5, 6))[0], whole[3:7])


def test_slots_of_different_ages_come_together_in_one_narrow_graph() -> None:
    world = World(random_market(34, 80, 24).born_at([0] * 20 + [4, 9, 12, 14]), ["ema(9)"])
    watched = world.watch("ema(9)", [0])
    for slot in (22, 21, 20, 23):
        world.commit(5)
        world.watch("ema(9)", [slot])
        world.advance()
        world.check()
    assert len({id(narrow) for narrow in watched.narrow.values()}) == 1
    for _ in range(20):
        world.commit()
        world.check()


def test_what_the_wide_graph_is_too_young_for_starts_there_from_the_bars_that_are_held() -> None:
    world = World(random_market(35, 120, 24), ["ema(9)"])
    watched = world.watch("ema(9)", [0, 1])
    world.commit(40)
    held = world.market.bars(37, 40)
    world.watch("ema(9)", range(2, 9))
    world.mine.advance(held, always)
    later = Graph(24, number=37)
    signal = later.watch(parse("ema(9)"))
    for place in range(37, 60):
        later.commit(world.market.bar(place))
        if place >= 40:
            world.mine.commit(world.market.bar(place))
            assert same_bits(watched.values(np.arange(24))[0], signal.values[0])


@pytest.mark.parametrize("text", ["sma(501)", "highest(close, 600)", "cdldoji", "ht_sine"])
def test_what_looks_far_back_or_has_handles_stays_narrow_unless_it_is_wanted_everywhere(text: str) -> None:
    graphs = Graphs(10, Budget())
    watched = graphs.watch(parse(text), np.arange(10))
    assert len(watched.narrow) == 10
    graphs.watch(parse(text), None)
    assert watched.narrow == {}
    assert watched.values()[0].shape == (10,)


def test_what_the_wide_graph_remembers_already_is_not_remembered_twice() -> None:
    world = World(a_market(), ["macd", "macd.hist", "macd.hist > macd.macd"])
    world.watch("macd", None)
    world.commit(40)
    watched = world.watch("macd.hist > macd.macd", [3])
    assert watched.joined(3)
    assert world.watch("macd.hist", [4]).wide is not None
    world.signals.pop("macd.hist > macd.macd")
    world.check()


def test_a_handle_of_talib_has_the_same_values_in_whatever_company() -> None:
    market = random_market(33, 60, 24)
    text = "linearreg_angle(5)"
    world = World(market, [text])
    world.commit(20)
    watched = world.watch(text, [3])
    world.advance()
    world.commit(5)
    before = watched.narrow[3].graph.nodes
    world.watch(text, [4, 5])
    world.advance()
    world.watch(text, [6])
    world.commit(5)
    world.advance()
    world.check()
    world.mine.unwatch(watched, at(4))
    world.commit(5)
    world.check()
    assert watched.narrow[3].graph.nodes is before


def test_a_narrow_graph_forgets_the_slots_that_went_when_they_are_as_many_as_the_others() -> None:
    world = World(a_market())
    watched = world.watch("ema(9)", [0, 1, 2, 3])
    world.commit(20)
    used = world.budget.used_bytes
    world.mine.unwatch(watched, at(1))
    assert watched.joined(1)
    world.mine.unwatch(watched, at(0))
    assert not watched.joined(0)
    assert world.budget.used_bytes < used
    world.commit(3)
    world.check()


def test_what_was_dropped_comes_back_with_what_it_knew() -> None:
    """The bars held are fewer than it had seen."""
    for slots in ([5], None):
        world = World(random_market(34, 120, 24), ["ema(9)"])
        watched = world.watch("ema(9)", slots)
        world.commit(60)
        world.mine.unwatch(watched, None if slots is None else at(*slots))
        world.commit(10)
        del world.held[:50]
        world.watch("ema(9)", slots)
        world.advance()
        world.check()
        world.mine.forget()


def test_what_was_dropped_too_long_ago_starts_from_the_bars_that_are_held() -> None:
    world = World(random_market(34, 120, 24), ["ema(9)"])
    world.mine.unwatch(world.watch("ema(9)", [5]), at(5))
    world.commit(60)
    del world.held[:50]
    world.advance()
    back = world.watch("ema(9)", [5])
    world.advance()
    assert back.ages(at(5)).tolist() == [10]


def test_bars_from_before_are_told() -> None:
    market = a_market()
    graphs = Graphs(24, Budget(), number=40)
    graphs.prime(market.bars(0, 40))
    spread, ema = graphs.watch(parse("high - low"), at(2)), graphs.watch(parse("ema(9)"), at(2))
    assert (spread.joined(2), ema.joined(2)) == (True, False)
    assert spread.values(at(2))[0].item() == market.high[39, 2] - market.low[39, 2]
    assert spread.ages(at(2, 23)).tolist() == [40, 0]
    graphs.advance(market.bars(0, 40), always)
    whole = Graph(24)
    signal = whole.watch(parse("ema(9)"))
    for bar in market.bars(0, 40):
        whole.commit(bar)
    assert same_bits(ema.values(at(2))[0], signal.values[0][2:3])


def test_a_peek_has_the_values_in_the_order_asked_for_be_it_of_few_slots_or_many() -> None:
    world = World(random_market(35, 40, 24))
    for text in TEXTS[:6]:
        world.watch(text, None)
    narrow = world.watch("stddev(ema(3), 20)", [9, 2, 5])
    world.commit(39)
    bar = world.market.bar(39)
    for share in (at(7), at(3, 1, 2), np.arange(23, -1, -1)):
        watched = [*world.mine.watched[:6], narrow]
        wanted = [
            (each, np.roll(share, place) if each is not narrow else at(5, 9)) for place, each in enumerate(watched)
        ]
        for (each, slots), values in zip(wanted, world.mine.peek(bar, wanted), strict=True):
            (whole,) = world.whole.peek(bar, [world.signals[text] for text in TEXTS if parse(text) == each.expression])
            assert [column.tolist() for column in values] == [column[slots].tolist() for column in whole]


def test_peek_then_commit_of_the_same_bar_gives_the_peeked_value() -> None:
    world = World(a_market())
    watched = [world.watch(text, slots) for text, slots in zip(TEXTS, [[3], None, [1, 2], range(9)] * 3, strict=False)]
    slots = at(1, 2, 3)
    for place in range(60):
        peeked = world.mine.peek(world.market.bar(place), [(each, slots) for each in watched])
        world.commit()
        for each, values in zip(watched, peeked, strict=True):
            assert same_bits(np.array(values), np.array(each.values(slots)))


def test_what_is_not_watched_here_cannot_be_unwatched() -> None:
    graphs = Graphs(3, Budget())
    watched = graphs.watch(parse("close"), at(1))
    graphs.unwatch(watched, at(1))
    with pytest.raises(GraphError, match="watched here"):
        graphs.unwatch(watched, at(1))


def test_what_is_too_much_for_the_budget_is_refused_and_nothing_has_changed() -> None:
    world = World(a_market(), budget=Budget(60_000))
    world.commit(30)
    taken = [world.watch(text, [3]) for text in ("sma(5)", "ema(9)")]
    world.advance()
    used = world.budget.used_bytes
    with pytest.raises(BudgetError):
        world.watch("highest(close, 5000)", [3])
    with pytest.raises(BudgetError):
        world.watch("sma(400)", None)
    assert (world.budget.used_bytes, list(world.mine.watched), world.mine.warming) == (used, taken, 0)
    world.commit()
    world.check()


def test_what_the_wide_graph_has_no_room_for_stays_narrow() -> None:
    world = World(random_market(36, 40, 300), ["sma(200)"], Budget(400_000))
    world.commit(20)
    watched = world.watch("sma(200)", [0])
    for slot in range(1, 100):
        world.watch("sma(200)", [slot])
    world.advance()
    assert watched.wide is None
    assert len(watched.narrow) == 100
    world.check()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 60), st.integers(1, 30), st.integers(1, 20), st.booleans())
def test_after_a_hole_was_mended_everything_is_as_if_there_had_been_none(
    begin: int, length: int, slice_rows: int, early: bool
) -> None:
    market, mended = random_market(37, 90, 24), random_market(38, 90, 24)
    touched = [2, 5, 11]
    end = min(begin + length, 70)
    columns = []
    for before, after in zip(
        (market.open, market.high, market.low, market.close, market.volume),
        (mended.open, mended.high, mended.low, mended.close, mended.volume),
        strict=True,
    ):
        column = before.copy()
        column[begin:end, touched] = after[begin:end, touched]
        columns.append(column)
    right = World(type(market)(*columns))
    world = World(market)
    for each in (right, world):
        for text in TEXTS[:5]:
            each.watch(text, None)
        each.watch("stddev(ema(3), 20)", [1, 2])
        each.watch("atr(4) + obv", [5])
        each.commit(min(begin, 70))
    before_hole = world.mine.state() if early else None
    for each in (right, world):
        each.commit(70 - begin)
    world.held[:] = right.held
    world.whole, world.signals, world.market = right.whole, right.signals, right.market
    world.watch("crossover(ema(3), sma(4))", [2, 7])
    world.mine.rewarm(at(*touched), before_hole)
    later = 0
    while world.mine.warming:
        world.advance(rows(slice_rows))
        if later < 10:
            later += 1
            world.commit()
    world.check()
    world.commit(3)
    world.check()


def test_untouched_slots_keep_their_values_while_a_hole_is_mended() -> None:
    world = World(random_market(39, 90, 24), ["ema(9)"])
    watched = world.watch("ema(9)", None)
    world.commit(60)
    before = watched.values()[0]
    del world.held[:30]
    world.mine.rewarm(at(4))
    world.advance()
    after = watched.values()[0]
    assert np.flatnonzero(after != before).tolist() == [4]
    assert watched.ages(at(3, 4)).tolist() == [60, 30]


def test_narrow_slots_that_move_to_the_wide_graph_while_a_hole_is_mended_are_mended() -> None:
    world = World(random_market(40, 90, 24), ["ema(9)"])
    other = random_market(41, 90, 24)
    watched = world.watch("ema(9)", [1, 2, 3])
    for bar in other.bars(0, 30):
        world.mine.commit(bar)
    for bar in world.market.bars(0, 30):
        world.whole.commit(bar)
        world.held.append(bar)
    world.watch("ema(9)", range(4, 9))
    world.mine.rewarm(np.arange(24))
    world.advance()
    assert watched.wide is not None
    world.check()


@pytest.mark.parametrize("waiting", [False, True])
def test_what_was_dropped_before_a_hole_was_mended_comes_back_mended(waiting: bool) -> None:
    world = World(random_market(40, 90, 24), ["ema(9)"])
    watched = world.watch("ema(9)", [1])
    for bar in random_market(41, 90, 24).bars(0, 30):
        world.mine.commit(bar)
    world.mine.unwatch(watched, at(1))
    for bar in world.market.bars(0, 30):
        world.whole.commit(bar)
        world.held.append(bar)
    world.commit()
    if waiting:
        world.watch("ema(9)", [1])
    world.mine.rewarm(at(1))
    if not waiting:
        world.watch("ema(9)", [1])
    world.advance()
    world.check()


def test_a_slot_that_goes_while_it_is_warmed_is_paid_for_no_more() -> None:
    world = World(a_market(), ["ema(9)"])
    world.commit(30)
    watched = world.watch("ema(9)", [1])
    one = world.budget.used_bytes
    world.watch("ema(9)", [2])
    world.advance(rows(5))
    world.mine.unwatch(watched, at(2))
    world.advance()
    assert world.budget.used_bytes == one
    assert (watched.joined(1), watched.joined(2)) == (True, False)
    world.check()


def test_the_order_of_watches_is_the_order_of_watched() -> None:
    graphs = Graphs(30, Budget())
    for text in TEXTS:
        graphs.watch(parse(text), at(1))
    graphs.watch(parse(TEXTS[0]), at(2))
    assert [each.expression for each in graphs.watched] == [parse(text) for text in TEXTS]
    assert all(a is not b for a, b in pairwise(graphs.watched))
