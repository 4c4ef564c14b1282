from pathlib import Path

import pytest

from engine.snapshot import SnapshotError
from engine.snapshot_directory import SnapshotDirectory


def _sound(data: bytes) -> bytes:
    if not data.startswith(b"sound"):
        raise SnapshotError(f"expected something sound, found {data!r}")
    return data


def test_the_newest_snapshot_of_a_venue_is_read(tmp_path: Path) -> None:
    directory = SnapshotDirectory(tmp_path / "made" / "when needed")
    assert directory.read("BINANCE", _sound) == (None, ())
    for number in range(11):
        directory.write("BINANCE", b"sound %d" % number)
    directory.write("COINBASE", b"sound, another")
    assert directory.read("BINANCE", _sound) == (b"sound 10", ())
    assert directory.read("COINBASE", _sound) == (b"sound, another", ())
    assert directory.read("BIN", _sound) == (None, ())


def test_the_newest_two_of_each_venue_are_kept(tmp_path: Path) -> None:
    directory = SnapshotDirectory(tmp_path)
    for number in range(5):
        directory.write("BINANCE", b"sound %d" % number)
        directory.write("BINANCE.US", b"sound")
    files = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split(".0")[0] for name in files] == ["BINANCE"] * 2 + ["BINANCE.US"] * 2
    assert sorted(path.read_bytes() for path in tmp_path.glob("BINANCE.0*")) == [b"sound 3", b"sound 4"]


def test_a_damaged_one_is_passed_over_and_told_of(tmp_path: Path) -> None:
    directory = SnapshotDirectory(tmp_path)
    directory.write("BINANCE", b"sound")
    newest = directory.write("BINANCE", b"damaged")
    found, (error,) = directory.read("BINANCE", _sound)
    assert found == b"sound"
    assert newest.name in str(error)
    directory.write("BINANCE", b"damaged too")
    found, errors = directory.read("BINANCE", _sound)
    assert (found, len(errors)) == (None, 2)


def test_what_was_being_written_when_a_process_died_is_no_snapshot(tmp_path: Path) -> None:
    directory = SnapshotDirectory(tmp_path)
    directory.write("BINANCE", b"sound")
    (tmp_path / "BINANCE.00000000000000000002.part").write_bytes(b"soun")
    assert directory.read("BINANCE", _sound) == (b"sound", ())
    directory.write("BINANCE", b"sound again")
    assert directory.read("BINANCE", _sound) == (b"sound again", ())
    assert not list(tmp_path.glob("*.part"))


def test_a_directory_that_cannot_be_written_to_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SnapshotError, match="file"):
        SnapshotDirectory(tmp_path / "file").write("BINANCE", b"sound")
