"""What holds of bars whatever the stream of ticks: no cut changes a bit, and each is what plain code says."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import Closed, VenueBars
from engine.columns import Columns
from engine.ticks import TickBatch
from tests.engine.plain_bars import PlainBars, fill, roll_up
from tests.engine.streams import cut, random_stream
from wire.market import Timeframe

GRACE = 250_000_000


def bars_of(*timeframes: Timeframe) -> VenueBars:
    return VenueBars(6, grace_ns=GRACE, timeframes=timeframes or tuple(Timeframe), history=100_000)


def bytes_of(closed: Iterable[Closed]) -> list[tuple[str, int, bytes]]:
    """Every closed bar to the last bit."""
    return [(each.timeframe.value, each.bar.open_ns, b"".join(columns_of(each.bar))) for each in closed]


def columns_of(bar: Columns) -> list[bytes]:
    floats = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)
    return [column.tobytes() for column in (*floats, bar.count, bar.event_ns)]


def run(stream: TickBatch, parts: Sequence[slice], *, peeking: bool = False, timer: bool = False) -> VenueBars:
    """Fold `stream` part by part; a timer closes bars just before the next tick comes in."""
    bars = bars_of()
    for part in parts:
        if timer:
            bars.advance(int(stream.received_ns[part.start]))
        bars.fold(stream[part])
        if peeking:
            for timeframe in Timeframe:
                bars.forming(timeframe)
            bars.take_changed()
    bars.finish()
    return bars


def fingerprint(bars: VenueBars) -> tuple[int, int, list[tuple[str, int, bytes]]]:
    closed = [Closed(timeframe, bar) for timeframe in Timeframe for bar in bars.history(timeframe)]
    return bars.late, bars.refused, bytes_of(closed)


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_of_the_ticks_gives_the_same_bytes_and_peeks_change_nothing(seed: int) -> None:
    stream = random_stream(seed, 1000, ordinary=seed % 4 != 3)
    random = np.random.default_rng(seed)
    whole = fingerprint(run(stream, [slice(0, len(stream))]))
    for pieces, timer, peeking in ((1000, False, False), (300, True, True), (60, False, True)):
        parts = cut(random, len(stream), pieces)
        assert fingerprint(run(stream, parts, timer=timer, peeking=peeking)) == whole


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 400), max_size=20),
    timer=st.booleans(),
    ordinary=st.booleans(),
)
def test_any_cut_of_any_stream_gives_the_same_bytes(seed: int, cuts: list[int], *, timer: bool, ordinary: bool) -> None:
    stream = random_stream(seed, 400, ordinary=ordinary)
    places = sorted({0, 400, *cuts})
    parts = [slice(start, stop) for start, stop in pairwise(places)]
    assert fingerprint(run(stream, parts, timer=timer)) == fingerprint(run(stream, [slice(0, 400)]))


@pytest.mark.parametrize("seed", range(5))
def test_bars_are_bit_for_bit_those_of_plain_tick_by_tick_code(seed: int) -> None:
    stream = random_stream(seed, 1000, ordinary=seed % 4 != 3)
    bars = run(stream, [slice(0, len(stream))])
    plain = PlainBars(GRACE)
    plain.fold(stream)
    plain.finish()
    assert (bars.late, bars.refused) == (len(plain.late), len(plain.refused))
    for timeframe in Timeframe:
        wanted = fill(roll_up(plain.closed, timeframe.seconds), 6)
        assert [rows_of(bar) for bar in bars.history(timeframe)] == [
            (open_ns, [tuple(map(repr, row)) for row in rows]) for open_ns, rows in wanted
        ]


def rows_of(bar: Columns) -> tuple[int, list[tuple[str, ...]]]:
    """Each slot's values to the last bit, NaN equal to NaN."""
    floats = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.turnover)
    columns = [column.tolist() for column in (*floats, bar.count, bar.event_ns)]
    return bar.open_ns, [tuple(map(repr, row)) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("seed", range(2))
def test_the_forming_bar_just_before_the_close_is_the_bar_that_closes(seed: int) -> None:
    stream = random_stream(seed, 400)
    bars = bars_of()
    compared = 0
    for index in range(len(stream)):
        forming = {timeframe: bars.forming(timeframe) for timeframe in Timeframe}
        closed = bars.advance(int(stream.received_ns[index]))
        for each in closed[:1]:  # A second one has formed since.
            before = forming[each.timeframe]
            assert before is not None
            assert bytes_of([Closed(each.timeframe, before)]) == bytes_of([each])
            compared += 1
        bars.fold(stream[index : index + 1])
    assert compared > 0


def test_a_recording_gives_every_timeframes_last_bar_once() -> None:
    bars = bars_of()
    stream = random_stream(2)
    closed = bars.fold(stream) + bars.finish()
    opened = [(each.timeframe, each.bar.open_ns) for each in closed]
    assert len(set(opened)) == len(opened)
    for timeframe in Timeframe:
        times = [open_ns for each, open_ns in opened if each is timeframe]
        assert times == list(range(times[0], times[-1] + 1, timeframe.ns)), "no hole either"


def test_only_wanted_timeframes_are_handed_out_and_their_bits_depend_on_no_other() -> None:
    stream = random_stream(4)
    everything, few = bars_of(), bars_of(Timeframe.M1, Timeframe.M15)
    closed = everything.fold(stream) + everything.finish()
    wanted = few.fold(stream) + few.finish()
    assert {each.timeframe for each in wanted} == {Timeframe.M1, Timeframe.M15}
    assert bytes_of(wanted) == bytes_of(each for each in closed if each.timeframe in {Timeframe.M1, Timeframe.M15})
    with pytest.raises(KeyError):
        few.history(Timeframe.S5)
