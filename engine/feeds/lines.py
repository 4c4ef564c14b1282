"""The lines of a recording: of a plain file, a gzip file, or the only file in a zip archive. Reads files."""

import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.feeds.errors import FeedError

ZIP: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
# What zipfile raises for a broken, an encrypted and an unknown archive, and zlib for broken content.
_ERRORS: Final = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)


def numbered(path: str) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1 on, without space at its end. Raises FeedError, which names file and line."""
    number = 0
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                yield number, line.rstrip()
    except FileNotFoundError:
        raise FeedError(f"{path}: expected a recording, found no such file") from None
    except _ERRORS as error:
        raise FeedError(f"{path}, line {number + 1}: cannot be read: {error}") from error


def begins_with(path: str) -> bytes:
    """The first bytes of the file as it is, packed or not. Raises FeedError."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(ZIP))
    except FileNotFoundError:
        raise FeedError(f"{path}: expected a recording, found no such file") from None
    except OSError as error:
        raise FeedError(f"{path}, line 1: cannot be read: {error}") from error


def member_of(path: str) -> str:
    """The name of the only file in a zip archive. Raises FeedError when it is none, or has several."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [each.filename for each in archive.infolist() if not each.is_dir()]
    except _ERRORS as error:
        raise FeedError(f"{path}: expected a zip archive: {error}") from error
    if len(names) != 1:
        raise FeedError(f"{path}: expected one file in the archive, found {len(names)}")
    return names[0]


@contextmanager
def _opened(path: str) -> Iterator[Iterable[bytes]]:
    start = begins_with(path)
    if start == ZIP:
        name = member_of(path)
        with zipfile.ZipFile(path) as archive, archive.open(name) as member:
            yield member
    elif start.startswith(_GZIP):
        with gzip.open(path, "rb") as file:
            yield file
    else:
        with Path(path).open("rb") as plain:
            yield plain
