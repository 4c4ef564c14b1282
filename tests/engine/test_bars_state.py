"""The state of bars as data: whoever goes on from it gives the same bytes."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars import VenueBars
from engine.bars_state import BarsStateError, decode, encode
from engine.sessions import ALWAYS, Sessions
from engine.ticks import TickBatch, TickFlag
from tests.engine.streams import random_stream, spread
from tests.engine.test_bars import GRACE, M1, S1, S5, T0, S, batch, columns_of
from tests.engine.test_bars_sessions import AUCTION, MINUTES, table
from tests.engine.test_bars_sessions import batch as session_batch
from wire.market import Timeframe

FRAMES = (S1, S5, M1, Timeframe.M5)


def restarted(bars: VenueBars, width: int, sessions: Sessions = ALWAYS) -> VenueBars:
    other = VenueBars(width, grace_ns=GRACE, timeframes=FRAMES, history=1 << 20, sessions=sessions)
    other.restore(decode(encode(bars.state())))
    return other


def told(bars: VenueBars) -> object:
    """All that can be asked of bars, to the last bit."""
    columns = [
        (bar.open_ns, bar.session_ns, b"" if bar.gap is None else bar.gap.tobytes(), columns_of(bar))
        for timeframe in FRAMES
        for bar in [*bars.history(timeframe), bars.forming(timeframe)]
        if bar is not None
    ]
    corrected = [
        repr(bars.corrected(timeframe, bar.open_ns, slot))
        for timeframe in FRAMES
        for bar in bars.history(timeframe)
        for slot in range(bars.width)
    ]
    counts = (bars.ticks, bars.late, bars.too_late, bars.outside, bars.refused)
    return columns, corrected, counts


def market(seed: int, *, ordinary: bool) -> TickBatch:
    """Lateness, holes, refused ticks, three connections."""
    stream = random_stream(seed, 300, ordinary=ordinary)
    random = np.random.default_rng(seed)
    received = stream.received_ns + np.where(random.random(300) < 0.1, random.integers(0, 20, 300), 0) * S
    flags = stream.flags | np.where(random.random(300) < 0.03, int(TickFlag.AFTER_GAP), 0).astype(np.uint8)
    order = np.argsort(received, kind="stable")
    return spread(replace(stream, received_ns=received, flags=flags).pick(order), seed, 1 + seed % 3)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 300), max_size=8),
    restarts=st.sets(st.integers(0, 8)),
    event=st.sampled_from(["", "disconnect", "interrupt", "backfill", "take"]),
    ordinary=st.booleans(),
)
def test_a_restart_anywhere_gives_the_same_bytes(
    seed: int, cuts: list[int], restarts: set[int], event: str, *, ordinary: bool
) -> None:
    stream = market(seed, ordinary=ordinary)
    places = sorted({0, 300, *cuts})
    found = random_stream(seed, 20)

    def run(at: set[int]) -> object:
        bars = VenueBars(6, grace_ns=GRACE, timeframes=FRAMES, history=1 << 20)
        taken = []
        for number, (start, stop) in enumerate(pairwise(places)):
            if number in at:
                bars = restarted(bars, 6)
            bars.fold(stream[start:stop])
            if number == 1:
                happen(bars, event, found)
            if number == 4:
                bars.resume()
            if event == "take":
                taken += bars.take_revisions()
        middle = told(bars)
        bars.finish()
        return middle, told(bars), repr(taken + bars.take_revisions())

    assert run(restarts) == run(set())


def happen(bars: VenueBars, event: str, found: TickBatch) -> None:
    if event == "disconnect":
        bars.disconnect(0)
    if event == "interrupt":
        bars.interrupt()
    if event == "backfill":
        bars.backfill(found, int(found.event_ns.min()), int(found.event_ns.max()) + 1, np.arange(6))


@pytest.mark.parametrize("at", range(4))
def test_a_restart_between_sessions_or_inside_one_gives_the_same_bytes(at: int) -> None:
    sessions = table(hours=MINUTES)
    parts = [
        session_batch((MINUTES[0], 10.0), (MINUTES[0] + 5, 11.0)),
        session_batch((MINUTES[3] - 1, 12.0), (MINUTES[3] + 1, 13.0)),
        session_batch((MINUTES[3] + 60, 14.0, AUCTION)),
        session_batch((86_400 + MINUTES[0] + 3, 15.0)),
    ]

    def run(*restarts: int) -> object:
        bars = VenueBars(1, grace_ns=GRACE, timeframes=FRAMES, history=1 << 20, sessions=sessions)
        for number, part in enumerate(parts):
            if number in restarts:
                bars = restarted(bars, 1, sessions)
            bars.fold(part)
        return told(bars), bars.take_revisions()

    assert run(at) == run()


def test_a_wide_venue_goes_on_the_same() -> None:
    def run(*, restart: bool) -> object:
        bars = VenueBars(200, grace_ns=GRACE, timeframes=FRAMES)
        bars.fold(batch((0.5, 10.0, 7), (1.5, 11.0, 150), (4.5, 12.0, 3), lag=0.0))
        bars = restarted(bars, 200) if restart else bars
        late = batch((0.7, 15.0, 7), (1.6, 16.0, 8))
        bars.fold(replace(late, received_ns=late.received_ns + 5 * S))
        bars.fold(batch((70.0, 12.0, 3)))
        return told(bars), bars.take_revisions()

    assert run(restart=True) == run(restart=False)


def test_a_state_is_not_changed_by_what_comes_after_it() -> None:
    bars = VenueBars(2, grace_ns=GRACE, timeframes=FRAMES)
    bars.fold(batch((0.5, 10.0), (3.5, 11.0, 1), (6.4, 9.0)))
    late = batch((0.7, 15.0))
    late = replace(late, received_ns=late.received_ns + 6 * S)
    bars.fold(late)
    state = bars.state()
    before = encode(state)
    bars.fold(late)
    bars.interrupt()
    bars.fold(batch((6.5, 10.0), (70.5, 11.0, 1, TickFlag.ORDINARY | TickFlag.AFTER_GAP)))
    bars.backfill(batch((1.0, 9.0)), T0, T0 + 3 * S, np.array([0]))
    bars.finish()
    assert encode(state) == before


def test_bars_restored_before_the_first_trade_or_after_the_end_are_as_they_were() -> None:
    bars = restarted(VenueBars(2, grace_ns=GRACE, timeframes=FRAMES), 2)
    assert bars.forming(S1) is None
    bars.fold(batch((0.5, 10.0)))
    bars.finish()
    bars = restarted(bars, 2)
    assert bars.finish() == []
    assert bars.fold(batch((9.5, 10.0))) == []
    assert bars.too_late == 1


def test_a_state_of_other_bars_is_refused() -> None:
    state = VenueBars(2, grace_ns=GRACE, timeframes=(S1, S5)).state()
    for other, words in (
        (VenueBars(3, grace_ns=GRACE, timeframes=(S1, S5)), "3 slots"),
        (VenueBars(2, grace_ns=60 * GRACE * 4, timeframes=(S1, S5)), "shape"),
        (VenueBars(2, grace_ns=GRACE, timeframes=(S1, S5, M1)), "15s"),
    ):
        with pytest.raises(BarsStateError, match=words):
            other.restore(state)


def test_bars_of_fewer_timeframes_go_on_with_those() -> None:
    bars = VenueBars(1, grace_ns=GRACE, timeframes=(S1, S5))
    bars.fold(batch((0.5, 10.0), (6.5, 11.0)))
    fewer = VenueBars(1, grace_ns=GRACE, timeframes=(S5,))
    fewer.restore(bars.state())
    for each in (bars, fewer):
        each.fold(batch((10.5, 12.0)))
    assert [columns_of(bar) for bar in fewer.history(S5)] == [columns_of(bar) for bar in bars.history(S5)]


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", msgspec.msgpack.encode({"width": 1}), b"\x91" * 5000],
    ids=["none", "text", "map", "deep"],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BarsStateError):
        decode(data)


def test_bytes_of_another_version_are_refused() -> None:
    state = msgspec.structs.replace(VenueBars(1, grace_ns=GRACE).state(), version=2)
    with pytest.raises(BarsStateError, match="version 1"):
        decode(encode(state))
