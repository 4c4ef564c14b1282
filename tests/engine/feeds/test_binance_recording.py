"""Recordings of Binance's raw frames."""

import gzip
from pathlib import Path

import pytest

from engine.feeds.binance_recording import BinanceReading, frames, scan
from engine.feeds.errors import FeedError
from tests.engine.feeds.frames import T0, S, combined, raw, record, trade

FRAMES = [(0.5, combined(trade(1, symbol="ETHUSDT"))), (1.5, raw({"e": "depthUpdate"})), (2.0, raw(trade(1)))]


@pytest.mark.parametrize("packed", [True, False])
def test_a_recording_is_read_whether_packed_or_not_and_whatever_its_name(tmp_path: Path, *, packed: bool) -> None:
    file = record(tmp_path / "anything", FRAMES, packed=packed)
    assert list(frames(file)) == [(T0 + round(at * S), frame) for at, frame in FRAMES]


def test_a_scan_finds_symbols_that_traded_and_the_span_of_all_frames(tmp_path: Path) -> None:
    found = scan(record(tmp_path / "a", [*FRAMES, (9.0, raw({"result": None, "id": 1}))]))
    assert found.symbols == ("BTCUSDT", "ETHUSDT")
    assert (found.first_ns, found.last_ns) == (T0 + S // 2, T0 + 9 * S)


def test_a_symbol_that_no_channel_can_name_is_left_out(tmp_path: Path) -> None:
    assert scan(record(tmp_path / "a", [*FRAMES, (3.0, raw(trade(1, symbol="币安人生USDT")))])).symbols == (
        "BTCUSDT",
        "ETHUSDT",
    )


def test_a_time_of_receipt_that_goes_back_counts_as_the_one_before_it(tmp_path: Path) -> None:
    file = record(tmp_path / "a", [(2.0, b"{}"), (1.0, b"[]"), (3.0, b"{}")])
    assert [(received_ns - T0) // S for received_ns, _ in frames(file)] == [2, 2, 3]


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"nothing.gz: .*no such file"):
        scan(str(tmp_path / "nothing.gz"))


def test_a_directory_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="cannot be read"):
        scan(str(tmp_path))


@pytest.mark.parametrize(
    "line", [b"what is this", b"17000 ", b"17000", b"-5 {}", b"1.5 {}", b"9999999999999999999 {}", b"\xff\xfe {}", b""]
)
def test_a_line_that_is_no_frame_is_named_with_its_file(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"17000 {}\n17001 {}\n" + line + b"\n17002 {}\n")
    with pytest.raises(FeedError, match=r"broken, line 3: expected a recording of Binance frames"):
        scan(str(path))


def test_a_recording_cut_short_is_named_with_the_line(tmp_path: Path) -> None:
    file = record(tmp_path / "short.gz", [(number, b'{"x":%d}' % (number * 7919)) for number in range(3000)])
    content = Path(file).read_bytes()
    Path(file).write_bytes(content[: len(content) // 2])
    with pytest.raises(FeedError, match=r"short.gz, line [1-9]\d+: cannot be read"):
        scan(file)


def test_a_packed_recording_with_a_broken_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.gz"
    content = bytearray(gzip.compress(b"".join(b"%d {}\n" % (T0 + n * n) for n in range(5000))))
    content[len(content) // 2 : len(content) // 2 + 20] = b"\x00" * 20
    path.write_bytes(content)
    with pytest.raises(FeedError, match=r"broken.gz, line \d+: "):
        scan(str(path))


def test_a_recording_without_a_trade_is_none(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"quiet: .* found no trade"):
        scan(record(tmp_path / "quiet", FRAMES[1:2]))
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(FeedError, match=r"empty: .* found no trade"):
        scan(str(tmp_path / "empty"))


def test_a_recording_says_what_it_is(tmp_path: Path) -> None:
    found = scan(record(tmp_path / "a", FRAMES))
    assert (found.venue, found.grace_ns, found.has_receipts) == ("BINANCE", 250_000_000, True)


def test_so_many_frames_are_read_at_a_time_until_the_end(tmp_path: Path) -> None:
    file = record(tmp_path / "a", FRAMES)
    reading = BinanceReading(file, {"BTCUSDT": 0, "ETHUSDT": 1})
    sizes = [None if batch is None else len(batch) for batch in (reading.read(2), reading.read(5), reading.read(5))]
    assert sizes == [1, 1, None]


def test_another_round_counts_no_trade_twice_and_forgets_its_quotes(tmp_path: Path) -> None:
    quote = raw({"u": 1, "s": "BTCUSDT", "b": "1", "B": "2", "a": "3", "A": "4"})
    reading = BinanceReading(record(tmp_path / "a", [*FRAMES, (3.0, quote)]), {"BTCUSDT": 0, "ETHUSDT": 1})
    first = reading.read(10)
    reading.restart()
    assert reading.take_quotes(T0 + 9 * S) is None
    second = reading.read(10)
    assert first is not None
    assert second is not None
    assert len(first) == len(second) == 2
    assert reading.counts.duplicates == 0
    assert reading.take_quotes(T0 + 9 * S) is not None


def test_kinds_of_unknown_messages_are_told_once(tmp_path: Path) -> None:
    reading = BinanceReading(record(tmp_path / "a", [(1.0, raw({"e": "kline"}))] * 2), {})
    reading.read(10)
    assert list(reading.take_new_kinds()) == ["kline"]
    assert list(reading.take_new_kinds()) == []
    assert reading.counts.unknown == 2
