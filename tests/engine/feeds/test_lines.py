"""The lines of recordings, packed or not."""

import gzip
import zipfile
from pathlib import Path

import pytest

from engine.feeds.errors import FeedError
from engine.feeds.lines import member_of, numbered

CONTENT = b"one\r\ntwo \n\nfour"


def test_lines_are_the_same_from_a_plain_file_a_gzip_file_and_a_zip_archive(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(CONTENT)
    (tmp_path / "gz").write_bytes(gzip.compress(CONTENT))
    with zipfile.ZipFile(tmp_path / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("any/thing", CONTENT)
    for name in ("plain", "gz", "zip"):
        assert list(numbered(str(tmp_path / name))) == [(1, b"one"), (2, b"two"), (3, b""), (4, b"four")]
    assert member_of(str(tmp_path / "zip")) == "any/thing"


def test_an_archive_of_several_files_or_of_none_is_no_recording(tmp_path: Path) -> None:
    for names in ([], ["a", "b"]):
        with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
            archive.mkdir("folder")
            for name in names:
                archive.writestr(name, b"x")
        with pytest.raises(FeedError, match=rf"zip: expected one file in the archive, found {len(names)}"):
            member_of(str(tmp_path / "zip"))


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(b"PK\x03\x04" + b"nonsense" * 10)
    with pytest.raises(FeedError, match=r"broken.zip: expected a zip archive"):
        member_of(str(path))


def test_an_archive_with_broken_content_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"".join(b"%d\n" % (number * number) for number in range(20_000)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(FeedError, match=r"broken.zip, line [1-9]\d*: cannot be read"):
        list(numbered(str(path)))


def test_an_absent_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="nothing: expected a recording, found no such file"):
        list(numbered(str(tmp_path / "nothing")))
    with pytest.raises(FeedError, match="cannot be read"):
        list(numbered(str(tmp_path)))
