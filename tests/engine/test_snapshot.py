from hashlib import blake2b

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.budget import Budget
from engine.errors import GraphError
from engine.graphs import Graphs
from engine.snapshot import FORMAT, GraphsState, SnapshotError, decode, encode
from tests.engine.graphs_world import TEXTS, World, a_market, at, rows
from tests.engine.market_columns import Market, random_market, same_bits
from wire.catalogue import INDICATORS
from wire.expression import parse

EVERYTHING = (*(entry.name for entry in INDICATORS if entry.name != "barssince"), "barssince(close > open)", "ht_sine")


def _narrow_and_wide(market: Market, texts: tuple[str, ...] = TEXTS) -> World:
    """Of each second text there are narrow graphs, two of them; the others are wide."""
    world = World(market, texts)
    for place, text in enumerate(texts):
        world.watch(text, None if place % 2 else [1, 4, 20])
    return world


def _restarted(before: World, market: Market, moved: list[int] | None, state: GraphsState) -> World:
    """A new process that has the snapshot, and no bars from before it."""
    after = World(market, tuple(before.signals))
    for bar in market.bars(0, state.number):
        after.whole.commit(bar)
    newest = market.bar(state.number - 1) if state.number else None
    after.mine.restore(state, None if moved is None else np.array(moved, np.intp), newest)
    after.held = market.bars(0, state.number)
    return after


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(24)), st.integers(0, 60), st.integers(0, 5), st.integers(0, 9), st.integers(1, 30))
def test_a_restart_in_the_middle_changes_no_bit_whatever_the_order_of_the_instruments(
    order: list[int], bars: int, added: int, late: int, slice_rows: int
) -> None:
    market = a_market()
    before = _narrow_and_wide(market)
    before.commit(bars)
    kept = order[: 24 - added]
    new = random_market(99, len(market), added).born_at([bars + 3] * added) if added else None
    columns = [
        np.concatenate((a[:, kept], b), axis=1) if new is not None else a[:, kept]
        for a, b in zip(_columns(market), _columns(new if new is not None else market), strict=True)
    ]
    moved = [kept.index(slot) if slot in kept else -1 for slot in range(24)]
    after = _restarted(before, Market(*columns), moved, decode(encode(before.mine.state())))
    after.held = []
    wanted = [moved[slot] for slot in (1, 4, 20) if moved[slot] >= 0]
    for place, text in enumerate(TEXTS):
        if place == 6:
            for _ in range(late):
                bar = after.market.bar(bars + len(after.held))
                after.held.append(bar)
                after.whole.commit(bar)
                after.mine.commit(bar)
        watched = after.watch(text, None if place % 2 else wanted)
        if place < 6:
            assert all(watched.joined(slot) for slot in wanted)
    for _ in range(120):
        after.advance(rows(slice_rows))
    assert after.mine.warming == 0
    _check(after, bars)
    for _ in range(10):
        bar = after.market.bar(bars + len(after.held))
        after.held.append(bar)
        after.whole.commit(bar)
        after.mine.commit(bar)
        _check(after, bars)


def _columns(market: Market) -> tuple[np.typing.NDArray[np.float64], ...]:
    return market.open, market.high, market.low, market.close, market.volume


def _check(world: World, offset: int) -> None:
    """As World.check, for one whose held bars begin at bar `offset`."""
    held = world.held
    world.held = [world.market.bar(0)] * (offset + len(held))
    world.check()
    world.held = held


def test_every_indicator_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    texts = EVERYTHING
    before = _narrow_and_wide(random_market(41, 160, 24), texts)
    before.commit(120)
    after = _restarted(before, before.market, None, decode(encode(before.mine.state())))
    after.held = []
    for place, text in enumerate(texts):
        after.watch(text, None if place % 2 else [1, 20])
        after.watch(text, [4])
    assert after.mine.warming == 0
    after.held = before.held
    after.check()
    after.commit(40)
    after.check()


def test_what_was_wide_may_come_back_narrow_and_wide_again() -> None:
    before = World(random_market(42, 100, 24), ["ema(9)", "macd"])
    for text in ("ema(9)", "macd"):
        before.watch(text, None)
    before.commit(50)
    after = _restarted(before, before.market, None, before.mine.state())
    after.held = []
    for text in ("ema(9)", "macd"):
        for slot in range(7):
            watched = after.watch(text, [slot])
            assert watched.joined(slot)
            assert (watched.wide is None) == (slot < 6)
    after.held = before.held
    after.check()
    after.commit(20)
    after.check()


def test_what_is_missing_from_a_snapshot_is_warmed_from_the_bars() -> None:
    before = World(random_market(43, 100, 24))
    before.watch("ema(9)", [1])
    before.watch("rsi(5)", None)
    before.commit(50)
    after = _restarted(before, before.market, None, before.mine.state())
    for text, slots in (("ema(9)", [1, 2]), ("macd", [3]), ("ema(9) - ema(21)", None)):
        after.watch(text, slots)
        assert after.mine.warming > 0
        after.advance()
        after.check()


def test_a_state_of_another_kernel_version_or_form_is_not_used() -> None:
    before = World(random_market(44, 100, 24), ["ema(9)"])
    before.watch("ema(9)", None)
    before.commit(50)
    state = before.mine.state()
    (graph,) = state.graphs
    changes: tuple[dict[str, object], ...] = ({"version": 0}, {"arrays": ()}, {"value": np.zeros((2, 24))})
    for change in changes:
        nodes = {key: _replaced(node, change) for key, node in graph.nodes.items()}
        after = _restarted(
            before, before.market, None, _replaced(state, {"graphs": (_replaced(graph, {"nodes": nodes}),)})
        )
        assert not after.watch("ema(9)", [3]).joined(3)
        assert not after.watch("ema(9)", None).joined(3)
        after.advance()
        after.check()


def _replaced(value: object, change: dict[str, object]) -> "GraphsState":
    """dataclasses.replace, for values of any of the state's classes."""
    fields = {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]
    return type(value)(**(fields | change))  # type: ignore[return-value]


def test_a_state_does_not_change_when_its_graphs_go_on() -> None:
    world = _narrow_and_wide(a_market())
    world.commit(40)
    state = world.mine.state()
    data = encode(state)
    world.commit(40)
    assert encode(state) == data
    assert encode(world.mine.state()) != data


def test_a_state_that_was_ended_is_not_copied_for_the_graphs_to_go_on() -> None:
    world = World(random_market(45, 60, 24), ["sma(30)", "ema(9)"])
    for text in ("sma(30)", "ema(9)"):
        world.watch(text, [1])
        world.watch(text, None)
    world.commit(40)
    for ended in (True, False):
        state = world.mine.state()
        arrays = [array for graph in state.graphs for node in graph.nodes.values() for array in node.arrays]
        written = [array for array in arrays if array.ndim > 1]
        before = [array.copy() for array in written]
        if ended:
            state.end()
        world.commit(3)
        assert all(same_bits(a, b) for a, b in zip(written, before, strict=True)) == (not ended)
        world.check()


def test_a_state_stays_as_it_is_while_another_of_the_same_graphs_is_ended() -> None:
    world = _narrow_and_wide(a_market())
    world.commit(40)
    states = [world.mine.state() for _ in range(3)]
    data = encode(states[0])
    states[1].end()
    world.commit()
    assert [encode(states[0]), encode(states[2])] == [data, data]


def test_only_what_has_several_rows_for_a_slot_is_written_to() -> None:
    """So that the rest need not be copied."""
    world = World(random_market(46, 120, 24), EVERYTHING)
    for text in EVERYTHING:
        world.watch(text, None)
    for bars in (1, 40, 31, 32):
        world.commit(bars)
        state = world.mine.state()
        state.end()
        arrays = [a for graph in state.graphs for node in graph.nodes.values() for a in (node.value, *node.arrays)]
        columns = [array for array in arrays if array.ndim == 1]
        before = [array.copy() for array in columns]
        world.commit(2)
        assert all(same_bits(a, b) for a, b in zip(columns, before, strict=True))


def test_a_state_of_another_width_needs_to_be_told_where_its_slots_are() -> None:
    state = Graphs(3, Budget()).state()
    with pytest.raises(GraphError, match="state of 4 slots, found that of 3"):
        Graphs(4, Budget()).restore(state)
    Graphs(4, Budget()).restore(state, at(2, -1, 0))


def test_encoding_loses_nothing() -> None:
    world = _narrow_and_wide(a_market())
    world.commit(40)
    state = world.mine.state()
    back = decode(encode(state))
    assert (back.number, back.width, len(back.graphs)) == (state.number, state.width, len(state.graphs))
    for a, b in zip(back.graphs, state.graphs, strict=True):
        assert (a.number, a.expression, list(a.nodes)) == (b.number, b.expression, list(b.nodes))
        assert (a.slots.tolist(), a.first.tolist()) == (b.slots.tolist(), b.first.tolist())
        for key, node in a.nodes.items():
            other = b.nodes[key]
            assert (node.version, node.began) == (other.version, other.began)
            for array, same in zip((node.value, *node.arrays), (other.value, *other.arrays), strict=True):
                assert array.dtype == same.dtype
                assert array.tobytes() == same.tobytes()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 5000), st.integers(1, 255), st.booleans())
def test_a_damaged_snapshot_is_refused_not_believed(place: int, flip: int, cut: bool) -> None:
    graphs = Graphs(3, Budget())
    graphs.watch(parse("ema(9)"), None)
    data = encode(graphs.state())
    place %= len(data)
    damaged = data[:place] if cut else data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
    with pytest.raises(SnapshotError):
        decode(damaged)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["<i8", [1], b"1234567"], ["<i8", [1], b"12345678"], []]]]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["<i8", [1], b"12345678"], ["<i8", [1], b"12345678"], []]]]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["<f8", [1], bytes(8)], ["<i8", [1], bytes(8)], []]]]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["<i8", [1], bytes(8)], ["<i8", [2], bytes(16)], []]]]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["<i8", [], bytes(8)], ["<i8", [], bytes(8)], []]]]),
        msgspec.msgpack.encode([1, 3, [[1, "", ["|O", [1], bytes(8)], ["<i8", [1], bytes(8)], []]]]),
        b"\x91" * 5000,
    ],
)
def test_what_is_whole_and_yet_no_state_is_refused(content: bytes) -> None:
    with pytest.raises(SnapshotError, match="expected"):
        decode(FORMAT + blake2b(content, digest_size=32).digest() + content)


def test_a_snapshot_of_another_format_says_what_was_expected() -> None:
    with pytest.raises(SnapshotError, match="signal-service graphs 1"):
        decode(b"signal-service graphs 2\n" + bytes(100))


def test_the_bits_of_a_state_do_not_depend_on_who_else_was_watched() -> None:
    alone, together = World(a_market(), ["ema(9)"]), _narrow_and_wide(a_market())
    alone.watch("ema(9)", None)
    for each in (alone, together):
        each.commit(50)
    (mine,) = alone.mine.state().graphs
    wide = next(graph for graph in together.mine.state().graphs if not graph.expression)
    for key, node in mine.nodes.items():
        assert same_bits(node.value, wide.nodes[key].value)
        assert all(same_bits(a, b) for a, b in zip(node.arrays, wide.nodes[key].arrays, strict=True))
