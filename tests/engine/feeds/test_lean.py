"""Recordings in the form of Lean."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from engine.feeds.errors import FeedError
from engine.feeds.feed import FeedState
from engine.feeds.lean import scan
from engine.feeds.replay import Replay
from engine.ticks import TickBatch, TickFlag
from tests.engine.feeds.trade_files import lean

NAME = "lean-aig-20131009-trade.zip"
OPEN_MS = 34_200_000
LINES = [f"{OPEN_MS},476400,123341,N,40,0", f"{OPEN_MS + 5},476450,100,P,20000020,0", "57685807,477300,5,N,80,0"]


def everything(feed: Replay) -> TickBatch:
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    return TickBatch.join(batches)


def utc_ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc,arg-type]


def test_trades_have_their_prices_sizes_and_the_time_in_new_york(tmp_path: Path) -> None:
    batch = everything(Replay([lean(tmp_path / "a", LINES)], venue="NYSE"))
    assert batch.price.tolist() == [47.64, 47.645, 47.73]
    assert batch.size.tolist() == [123341.0, 100.0, 5.0]
    at = utc_ns(2013, 10, 9, 13, 30)
    assert (batch.event_ns - at).tolist() == [0, 5_000_000, (57_685_807 - OPEN_MS) * 1_000_000]
    assert batch.received_ns.tolist() == batch.event_ns.tolist(), "a trade counts as received when it happened"
    assert batch.flags.tolist() == [TickFlag.ORDINARY, TickFlag.ORDINARY, TickFlag.ORDINARY | TickFlag.CLOSING]
    assert batch.trade_id is None


@pytest.mark.parametrize(
    ("day", "hour_ms", "hour_utc"),
    [
        ("20131009", 9, 13),
        ("20131101", 9, 13),
        ("20131104", 9, 14),  # standard time
        ("20140310", 9, 13),  # summer time again
        ("20140309", 1, 6),  # the day on which the clocks go forward, before and behind that
        ("20140309", 3, 7),
        ("20131103", 0, 4),
        ("20131103", 3, 8),
    ],
)
def test_the_clock_in_new_york_is_read_with_its_summer_time(
    tmp_path: Path, day: str, hour_ms: int, hour_utc: int
) -> None:
    file = lean(tmp_path / "a", [f"{hour_ms * 3_600_000},1,1,N,0,0"], member=f"{day}_aig_Trade_Tick.csv")
    batch = everything(Replay([file], venue="NYSE"))
    assert batch.event_ns.tolist() == [utc_ns(int(day[:4]), int(day[4:6]), int(day[6:]), hour_utc)]


@pytest.mark.parametrize(
    ("member", "symbol"),
    [
        ("20131009_aig_Trade_Tick.csv", "AIG"),
        ("x/20131009_brk.b_trade_tick.csv", "BRK.B"),
        ("20131009_T_Trade_Tick.CSV", "T"),
    ],
)
def test_the_symbol_stands_in_the_name_of_the_member(tmp_path: Path, member: str, symbol: str) -> None:
    found = scan(lean(tmp_path / "a", LINES, member=member))
    assert (found.venue, found.symbols, found.grace_ns, found.has_receipts) == (None, (symbol,), 2_000_000_000, False)
    assert found.first_ns == utc_ns(2013, 10, 9, 13, 30)
    assert found.last_ns == found.first_ns + (57_685_807 - OPEN_MS) * 1_000_000


@pytest.mark.parametrize("member", ["aig.csv", "20131009_aig_Quote_Tick.csv", "20131309_aig_Trade_Tick.csv", "a_b_c"])
def test_a_member_of_another_name_is_no_recording(tmp_path: Path, member: str) -> None:
    with pytest.raises(FeedError, match=f"expected a file 20131009_aig_Trade_Tick.csv .*found '{member}'"):
        scan(lean(tmp_path / "a", LINES, member=member))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("86400000,1,1,N,0,0", "time: expected whole ms since midnight, under 86400000, found '86400000'"),
        ("-1,1,1,N,0,0", "time: .* found '-1'"),
        ("99999999999999999999,1,1,N,0,0", "time"),
        ("1,47.64,1,N,0,0", "price: expected a whole number of 1/10000, found '47.64'"),
        ("1,,1,N,0,0", "price: .* found ''"),
        ("1,1_0,1,N,0,0", "price"),
        ("1,1,ten,N,0,0", "size: expected a whole number, found 'ten'"),
        ("1,1,+1,N,0,0", "size"),
        (f"1,1,{'9' * 400},N,0,0", "size"),
        ("1,1,1,N,xyz,0", "conditions: expected a hex number of at most 8 digits, found 'xyz'"),
        ("1,1,1,N,100000000,0", "conditions"),
        ("1,1,1,N,,0", "conditions"),
        ("1,1,1,N,0x1,0", "conditions"),
        ("1,1,1,N,0,2", "suspicious: expected 0 or 1, found '2'"),
        ("1,1,1,N,0", "expected 6 fields, time, price, size, exchange, conditions, suspicious, found 5"),
        ("", "expected 6 fields"),
    ],
)
def test_a_wrong_line_is_named_with_its_field_and_what_was_expected(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(FeedError, match=rf"aig, line 3: {message}"):
        scan(lean(tmp_path / "aig", [*LINES[:2], line, LINES[2]]))


def test_suspicious_trades_and_those_without_a_price_or_size_are_refused_and_counted(tmp_path: Path) -> None:
    feed = Replay(
        [lean(tmp_path / "a", [*LINES, "57685808,9,9,N,0,1", "57685808,0,9,N,0,0", "57685809,9,0,N,0,0"])], venue="X"
    )
    assert len(everything(feed)) == 3
    assert (feed.status().refused, feed.status().ticks) == (3, 3)


def test_official_values_are_no_trades(tmp_path: Path) -> None:
    feed = Replay([lean(tmp_path / "a", [*LINES, "57685808,9,9,N,1000000,0", "57685808,9,9,N,4000000,0"])], venue="X")
    assert len(everything(feed)) == 3
    assert feed.status().refused == 0


def test_a_time_that_goes_back_is_received_with_the_one_before_it(tmp_path: Path) -> None:
    batch = everything(Replay([lean(tmp_path / "a", ["5,1,1,N,0,0", "3,1,1,N,0,0", "6,1,1,N,0,0"])], venue="X"))
    assert ((batch.event_ns - batch.event_ns[0]) // 1_000_000).tolist() == [0, -2, 1]
    assert ((batch.received_ns - batch.event_ns[0]) // 1_000_000).tolist() == [0, 0, 1]


def test_an_archive_without_a_trade_is_none(tmp_path: Path) -> None:
    for lines in ([], ["5,0,0,N,0,0"]):
        with pytest.raises(FeedError, match="expected trades, found none"):
            scan(lean(tmp_path / "a", lines))


def test_a_loop_gives_every_round_the_same(tmp_path: Path) -> None:
    feed = Replay([lean(tmp_path / "a", LINES)], venue="X", loop=True)
    first, second = feed.drain(feed.now_ns()), feed.drain(feed.now_ns())
    assert first.price.tolist() == second.price.tolist()
    assert set((second.event_ns - first.event_ns).tolist()) == {392 * 60_000_000_000}


def test_a_real_day_has_the_open_high_low_and_close_of_the_tape(recordings: Path) -> None:
    feed = Replay([str(recordings / NAME)], venue="NYSE")
    batch = everything(feed)
    status = feed.status()
    assert (feed.instruments, feed.grace_ns) == (("AIG",), 2_000_000_000)
    assert (status.ticks, status.refused) == (52_006, 0), "two official values are no trades"
    ranged, last, counted = (
        (batch.flags & flag) > 0 for flag in (TickFlag.SETS_RANGE, TickFlag.SETS_OPEN_CLOSE, TickFlag.SETS_VOLUME)
    )
    assert (batch.price[ranged].max(), batch.price[ranged].min()) == (48.07, 47.18)
    assert (batch.price[last][0], batch.price[last][-1]) == (47.68, 47.73)
    assert counted.all()
    assert batch.size.sum() == 10_369_611
    assert batch.price.max() == 48.22, "before the session, and so outside the range"
    (closing,) = np.flatnonzero(batch.flags & TickFlag.CLOSING)
    assert (batch.price[closing], batch.size[closing]) == (47.73, 242_147.0)
    assert batch.event_ns[closing] == utc_ns(2013, 10, 9, 20, 1, 25) + 807_000_000
