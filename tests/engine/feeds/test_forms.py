"""The form of a recording is found by its content."""

from pathlib import Path

import pytest

from engine.feeds.binance_recording import BinanceRecording
from engine.feeds.csv_recording import CsvRecording
from engine.feeds.errors import FeedError
from engine.feeds.forms import open_recording
from engine.feeds.lean import LeanRecording
from engine.feeds.replay import Replay
from tests.engine.feeds.frames import T0, S, raw, record, trade
from tests.engine.feeds.trade_files import csv, lean

LINE = "34200000,476400,100,N,0,0"


@pytest.mark.parametrize("packed", [True, False])
def test_each_form_is_found_whatever_the_name(tmp_path: Path, *, packed: bool) -> None:
    frames = record(tmp_path / "a.zip", [(0.0, raw(trade(1)))], packed=packed)
    assert isinstance(open_recording(frames), BinanceRecording)
    assert isinstance(open_recording(lean(tmp_path / "b.gz", [LINE])), LeanRecording)
    assert isinstance(open_recording(csv(tmp_path / "c.jsonl", ["1,X:A,1,1"], packed=packed)), CsvRecording)


def test_records_of_json_are_not_available_yet(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b'{"t": "recv", "ts": 1}\n')
    with pytest.raises(FeedError, match=r"other: .*one JSON record a line: not available yet"):
        open_recording(str(path))


@pytest.mark.parametrize("name", ["bybit-raw-20260809.jsonl.gz", "coinbase-raw-20260809.jsonl.gz"])
def test_real_recordings_of_other_forms_are_not_available_yet(recordings: Path, name: str) -> None:
    with pytest.raises(FeedError, match="not available yet"):
        open_recording(str(recordings / name))


def test_what_is_no_recording_at_all_is_told_by_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    for content, message in ((b"Dear Sir", "line 1: expected a recording"), (b"", "found no trade")):
        path.write_bytes(content)
        with pytest.raises(FeedError, match=f"letter.*{message}"):
            open_recording(str(path))


def test_recordings_of_several_forms_play_together_by_time(tmp_path: Path) -> None:
    frames = record(tmp_path / "a", [(1.0, raw(trade(1, p="2"))), (3.0, raw(trade(2, p="4", at_ms=3000)))])
    rows = csv(tmp_path / "b", [f"{T0},NYSE:IBM,1,1", f"{T0 + 2 * S},IBM,3,1", f"{T0 + 4 * S},IBM,5,1"])
    feed = Replay([frames, rows], venue="MIXED")
    assert (feed.venue, feed.instruments) == ("MIXED", ("BTCUSDT", "IBM"))
    batch = feed.drain(T0 + 9 * S)
    assert batch.price.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert batch.trade_id is not None
    assert batch.trade_id.tolist() == [-1, 1, -1, 2, -1]


def test_shares_that_are_received_as_they_happen_are_one_connection(tmp_path: Path) -> None:
    files = [lean(tmp_path / name, [LINE], member=f"20131009_{name}_Trade_Tick.csv") for name in ("aig", "ibm")]
    batch = Replay(files, venue="NYSE").drain(1 << 61)
    assert (batch.instrument.tolist(), batch.connection) == ([0, 1], None)


def test_of_several_forms_the_longest_grace_counts(tmp_path: Path) -> None:
    frames = record(tmp_path / "a", [(1.0, raw(trade(1)))])
    assert Replay([frames, lean(tmp_path / "b", [LINE])], venue="MIXED").grace_ns == 2 * S


def test_days_of_a_share_follow_one_another(tmp_path: Path) -> None:
    files = [lean(tmp_path / day, [LINE], member=f"{day}_aig_Trade_Tick.csv") for day in ("20131010", "20131009")]
    feed = Replay(files, venue="NYSE")
    assert feed.instruments == ("AIG",)
    assert ((feed.drain(1 << 61).event_ns - feed.now_ns()) // S).tolist() == [-86_400, 0]
