"""Several connections of one venue: each tick is judged by its own, and bars wait for the slowest that lives."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import VenueBars
from engine.connections import Connections
from engine.ticks import TickBatch
from tests.engine.plain_bars import PlainBars, fill, roll_up
from tests.engine.streams import cut, random_stream, spread
from tests.engine.test_bars import GRACE, MS, S1, T0, S, batch, closed_of
from tests.engine.test_bars_properties import fingerprint, rows_of, run
from wire.market import Timeframe


def on(connection: int, ticks: TickBatch) -> TickBatch:
    return replace(ticks, connection=np.full(len(ticks), connection, np.uint8))


def test_a_bar_waits_for_the_slowest_live_connection() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    assert bars.fold(on(0, batch((0.5, 10.0)))) == []
    assert bars.fold(on(3, batch((0.6, 11.0)))) == []
    assert bars.fold(on(0, batch((1.4, 12.0)))) == [], "connection 3 has come to 0.35 s only"
    assert closed_of(S1, bars.fold(on(3, batch((1.3, 13.0))))) == [(0, 10.0, 11.0, 10.0, 11.0, 4.0, 2)]
    assert bars.late == 0


def test_each_tick_is_judged_by_the_clock_of_its_own_connection() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    bars.fold(on(1, batch((0.5, 10.0), lag=5.0)))
    bars.fold(on(0, batch((5.6, 10.0), lag=0.0)))
    bars.fold(on(1, batch((0.7, 10.0), lag=5.0)))
    bars.fold(on(0, batch((5.8, 10.0), lag=0.0)))
    assert (bars.refused, bars.late) == (0, 0)
    bars.fold(on(1, batch((1.9, 10.0), lag=3.99)))
    assert bars.refused == 1, "1.01 s ahead of what this connection's clock says"


def test_time_alone_moves_every_live_connection() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    bars.fold(on(1, batch((0.5, 10.0), lag=2.0)))
    bars.fold(on(0, batch((2.6, 10.0), lag=0.0)))
    assert bars.advance(T0 + 3749 * MS) == []
    assert len(closed_of(S1, bars.advance(T0 + 3750 * MS))) == 1, "2 s behind, a grace and the idle time"


def test_who_is_gone_is_not_waited_for() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    bars.fold(on(1, batch((0.5, 10.0), lag=9.0)))
    bars.fold(on(0, batch((9.5, 10.0), lag=0.0)))
    bars.disconnect(1)
    bars.disconnect(7)
    assert len(closed_of(S1, bars.advance(T0 + 9750 * MS))) == 9


def test_who_is_more_than_ten_seconds_behind_the_first_is_not_waited_for() -> None:
    bars = VenueBars(1, grace_ns=GRACE, timeframes=(S1,))
    bars.fold(on(1, batch((0.5, 10.0), lag=60.0)))
    for second in range(60, 100):
        bars.fold(on(0, batch((second + 0.5, 11.0), lag=0.0)))
    assert bars.history(S1)[-1].open_ns == T0 + 88 * S
    bars.fold(on(1, batch((39.5, 12.0), lag=60.0)))
    assert [(each.open_ns - T0) // S for each in bars.take_revisions()] == [39], "what it brings corrects"


def test_when_the_last_one_is_gone_its_clock_goes_on() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    bars.fold(on(0, batch((0.5, 10.0), lag=0.0)))
    bars.disconnect(0)
    assert len(closed_of(S1, bars.advance(T0 + 5750 * MS))) == 5
    bars.fold(on(1, batch((7.5, 11.0), lag=3.0)))
    assert bars.late == 1, "it had come to 9.75 s when the next connection's first tick came in"


def test_one_that_comes_in_behind_the_others_does_not_take_the_watermark_back() -> None:
    mark = Connections(grace_ns=GRACE, idle_ns=2 * GRACE)
    mark.observe(on(0, batch((5.0, 10.0), lag=0.0)))
    reached = mark.value_ns
    passage = mark.observe(on(1, batch((2.0, 10.0), lag=4.0)))
    assert passage.before_ns.tolist() == [reached + 1000 * MS - 2 * GRACE], "what time alone had done by then"
    assert mark.value_ns == passage.before_ns[0]


def test_what_was_refused_stays_counted_when_its_connection_is_gone() -> None:
    bars = VenueBars(1, grace_ns=GRACE)
    bars.fold(on(1, batch((0.5, 10.0), lag=0.0)))
    ahead = batch((90.0, 10.0))
    bars.fold(on(1, replace(ahead, received_ns=ahead.event_ns - 89 * S)))
    bars.disconnect(1)
    assert bars.refused == 1


def test_one_connection_by_whatever_number_is_as_none_named() -> None:
    stream = random_stream(3, 600)
    parts = cut(np.random.default_rng(0), 600, 20)
    assert fingerprint(run(on(5, stream), parts)) == fingerprint(run(stream, parts))


@pytest.mark.parametrize("seed", range(4))
def test_bars_of_several_connections_are_bit_for_bit_those_of_plain_tick_by_tick_code(seed: int) -> None:
    stream = spread(random_stream(seed, 800), seed, 2 + seed % 3)
    bars = run(stream, [slice(0, len(stream))])
    plain = PlainBars(GRACE)
    plain.fold(stream)
    plain.finish()
    assert (bars.late, bars.refused) == (len(plain.late), len(plain.refused))
    for timeframe in (Timeframe.S1, Timeframe.S15, Timeframe.M1, Timeframe.D1):
        wanted = fill(roll_up(plain.closed, timeframe.seconds), 6)
        assert [rows_of(bar) for bar in bars.history(timeframe)] == [
            (open_ns, [tuple(map(repr, row)) for row in rows]) for open_ns, rows in wanted
        ]


@pytest.mark.parametrize("seed", range(4))
def test_what_a_tick_meets_is_what_plain_tick_by_tick_code_says(seed: int) -> None:
    stream = spread(random_stream(seed, 1000), seed, 3)
    plain = PlainBars(GRACE)
    plain.fold(stream)
    random = np.random.default_rng(seed)
    for pieces, timer in ((1, False), (1000, True), (50, True)):
        mark = Connections(grace_ns=GRACE, idle_ns=2 * GRACE)
        before: list[int] = []
        after: list[int] = []
        for part in cut(random, len(stream), pieces):
            if timer:
                mark.advance(int(stream.received_ns[part.start]) - int(random.integers(0, 2)))
            passage = mark.observe(stream[part])
            before += passage.before_ns.tolist()
            after += passage.after_ns.tolist()
        assert before == plain.befores
        assert after == plain.afters
        assert mark.refused == len(plain.refused)


def test_the_offset_of_a_silent_connection_counts_for_the_second_of_its_own_next_tick() -> None:
    quiet = {1: 0.2, 100: 5.0, 130: 6.0, 165: 6.0}
    ticks = [on(0, batch((second, 10.0), lag=0.0)) for second in range(200)]
    ticks += [on(1, batch((second - lag, 10.0), lag=lag)) for second, lag in quiet.items()]
    stream = TickBatch.join(ticks)
    stream = stream.pick(np.argsort(stream.received_ns, kind="stable"))
    plain = PlainBars(GRACE)
    plain.fold(stream)
    for parts in ([slice(0, len(stream))], [slice(each, each + 1) for each in range(len(stream))]):
        mark = Connections(grace_ns=GRACE, idle_ns=2 * GRACE)
        assert [each for part in parts for each in mark.observe(stream[part]).before_ns.tolist()] == plain.befores


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 300), max_size=12),
    connections=st.integers(2, 4),
    gone=st.integers(0, 300),
    timer=st.booleans(),
)
def test_any_cut_of_any_connections_ticks_gives_the_same_bytes(
    seed: int, cuts: list[int], connections: int, gone: int, *, timer: bool
) -> None:
    stream = spread(random_stream(seed, 300), seed, connections)

    def told(places: set[int]) -> object:
        bars = VenueBars(6, grace_ns=GRACE, timeframes=(Timeframe.S1, Timeframe.S5, Timeframe.M1), history=1 << 20)
        for start, stop in pairwise(sorted({0, gone, 300, *places})):
            if timer and places:
                bars.advance(int(stream.received_ns[start]))
            if start == gone:
                bars.disconnect(1)
            bars.fold(stream[start:stop])
        bars.finish()
        columns = [bars.history(each) for each in (Timeframe.S1, Timeframe.S5, Timeframe.M1)]
        return bars.late, bars.refused, [[rows_of(bar) for bar in held] for held in columns]

    assert told(set(cuts)) == told(set())
