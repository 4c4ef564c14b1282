"""Recordings of trades as csv."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.csv_recording import scan
from engine.feeds.errors import FeedError
from engine.feeds.replay import Replay
from engine.ticks import TickFlag
from tests.engine.feeds.trade_files import HEADER, csv

LINES = ["1000,NYSE:AIG,47.5,100", "2000,NYSE:IBM,187.25,1e2", "2000,AIG,47.75,0.5"]


@pytest.mark.parametrize("packed", [True, False])
def test_trades_are_read_with_venue_or_without(tmp_path: Path, *, packed: bool) -> None:
    feed = Replay([csv(tmp_path / "a", LINES, packed=packed)])
    assert (feed.venue, feed.instruments, feed.grace_ns) == ("NYSE", ("AIG", "IBM"), 250_000_000)
    batch = feed.drain(10_000)
    assert batch.instrument.tolist() == [0, 1, 0]
    assert batch.price.tolist() == [47.5, 187.25, 47.75]
    assert batch.size.tolist() == [100.0, 100.0, 0.5]
    assert batch.event_ns.tolist() == batch.received_ns.tolist() == [1000, 2000, 2000]
    assert set(batch.flags.tolist()) == {TickFlag.ORDINARY}


def test_a_recording_says_what_it_is(tmp_path: Path) -> None:
    found = scan(csv(tmp_path / "a", LINES))
    assert (found.venue, found.symbols, found.first_ns, found.last_ns) == ("NYSE", ("AIG", "IBM"), 1000, 2000)
    assert not found.has_receipts
    assert scan(csv(tmp_path / "a", LINES[2:])).venue is None


def test_lines_may_end_as_in_windows(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("\r\n".join([HEADER, *LINES, ""]).encode())
    assert len(Replay([str(tmp_path / "a")]).drain(10_000)) == 3


def test_a_time_that_goes_back_is_received_with_the_one_before_it(tmp_path: Path) -> None:
    feed = Replay([csv(tmp_path / "a", ["5,X:A,1,1", "3,X:A,1,1", "6,X:A,1,1"])])
    batch = feed.drain(10)
    assert (batch.event_ns.tolist(), batch.received_ns.tolist()) == ([5, 3, 6], [5, 5, 6])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.5,NYSE:AIG,1,1", "event_ns: expected whole ns since the epoch, found '1.5'"),
        ("-1,NYSE:AIG,1,1", "event_ns: expected ns since the epoch, found '-1'"),
        ("9999999999999999999,NYSE:AIG,1,1", "event_ns"),
        ("99999999999999999999,NYSE:AIG,1,1", "event_ns"),
        (",NYSE:AIG,1,1", "event_ns"),
        (
            "3000,nyse:AIG,1,1",
            "instrument: expected an upper-case VENUE:SYMBOL or SYMBOL, all of NYSE, found 'nyse:AIG'",
        ),
        ("3000,NYSE:aig,1,1", "instrument"),
        ("3000,NYSE:,1,1", "instrument"),
        ("3000,:AIG,1,1", "instrument"),
        ("3000,,1,1", "instrument"),
        ("3000,NYSE:Ä,1,1", "instrument"),
        ("3000,LSE:AIG,1,1", "instrument: .* all of NYSE, found 'LSE:AIG'"),
        ("3000,NYSE:AIG,dear,1", "price: expected a number, found 'dear'"),
        ("3000,NYSE:AIG,,1", "price"),
        ("3000,NYSE:AIG,1,many", "size: expected a number, found 'many'"),
        ("3000,NYSE:AIG,1", "expected 4 fields, event_ns,instrument,price,size, found 3"),
        ("3000,NYSE:AIG,1,1,1", "expected 4 fields"),
        ("", "expected 4 fields"),
    ],
)
def test_a_wrong_line_is_named_with_its_field_and_what_was_expected(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(FeedError, match=rf"trades.csv, line 4: {message}"):
        scan(csv(tmp_path / "trades.csv", [*LINES[:2], line, LINES[2]]))


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "0", "-1", "1e999"])
def test_prices_and_sizes_that_are_not_positive_and_finite_are_refused_and_counted(tmp_path: Path, bad: str) -> None:
    feed = Replay([csv(tmp_path / "a", [f"1,X:A,{bad},1", f"1,X:A,1,{bad}", "2,X:A,1,1"])])
    assert len(feed.drain(10)) == 1
    assert (feed.status().ticks, feed.status().refused) == (1, 2)


@pytest.mark.parametrize("header", ["event_ns,symbol,price,size", "event_ns,instrument,price,size,side", "event_ns,"])
def test_another_header_is_told(tmp_path: Path, header: str) -> None:
    with pytest.raises(FeedError, match=rf"a, line 1: expected the header {HEADER}, found '{header}'"):
        scan(csv(tmp_path / "a", LINES, header=header))


def test_a_file_without_a_trade_is_none(tmp_path: Path) -> None:
    for lines in ([], ["1,X:A,0,0"]):
        with pytest.raises(FeedError, match="expected trades, found none"):
            scan(csv(tmp_path / "a", lines))


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(["A", "B", "X:C"]), st.floats(1e-8, 1e8)), min_size=1, max_size=30
    )
)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, float]]) -> None:
    file = csv(
        tmp_path_factory.mktemp("csv") / "a", [f"{at},{name},{price!r},{1 / price!r}" for at, name, price in rows]
    )
    feed = Replay([file], venue="X")
    batch = feed.drain(100)
    names = [name.rpartition(":")[2] for _, name, _ in rows]
    assert [feed.instruments[slot] for slot in batch.instrument.tolist()] == names
    assert batch.price.tolist() == [price for _, _, price in rows]
    assert batch.size.tolist() == [1 / price for _, _, price in rows]
    assert batch.event_ns.tolist() == [at for at, _, _ in rows]


def test_a_time_that_goes_back_does_so_across_reads_too(tmp_path: Path) -> None:
    reading = scan(csv(tmp_path / "a", ["5,X:A,1,1", "3,X:A,1,1", "6,X:A,1,1"])).play({"A": 0})
    batches = [reading.read(1) for _ in range(4)]
    assert [None if batch is None else batch.received_ns.tolist() for batch in batches] == [[5], [5], [6], None]


def test_another_round_has_the_times_of_the_first(tmp_path: Path) -> None:
    reading = scan(csv(tmp_path / "a", LINES)).play({"AIG": 0, "IBM": 1})
    for _ in range(3):
        batch = reading.read(10)
        assert batch is not None
        assert batch.received_ns.tolist() == [1000, 2000, 2000]
        assert reading.read(10) is None
        reading.restart()


def test_trades_of_a_symbol_without_a_slot_are_refused(tmp_path: Path) -> None:
    reading = scan(csv(tmp_path / "a", LINES)).play({"AIG": 0})
    batch = reading.read(10)
    assert batch is not None
    assert batch.price.tolist() == [47.5, 47.75]
    assert reading.counts.refused == 1
