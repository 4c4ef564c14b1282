"""Reads recordings of raw frames from files: what they are is found by content, not by name."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from engine.feeds.binance import symbol_of
from engine.feeds.errors import FeedError
from wire.channel import SYMBOL as SYMBOL_NAME

_GZIP: Final = b"\x1f\x8b"
# Other forms of recordings, by how they begin.
_NOT_YET: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b'{"t"', "a recording of one JSON record a line"),
    (b"event_ns,", "a csv file of trades"),
)
_EXPECTED: Final = "a recording of Binance frames, each line the time of receipt in ns, a space, and the frame"
_END_OF_TIME_NS: Final = 1 << 62


class Contents(Struct, frozen=True):
    """What a look through a recording found: the symbols that traded, sorted; the first and last time of receipt.

    Symbols that no channel name can hold are left out.
    """

    symbols: tuple[str, ...]
    first_ns: int
    last_ns: int


def scan(path: str) -> Contents:
    """Read the whole recording once. Raises FeedError, which names file and line, when it is none, or has no trade."""
    symbols: set[str] = set()
    first_ns: int | None = None
    received_ns = 0
    for received_ns, frame in frames(path):
        if first_ns is None:
            first_ns = received_ns
        symbol = symbol_of(frame)
        if symbol is not None and SYMBOL_NAME.fullmatch(symbol) is not None:
            symbols.add(symbol)
    if first_ns is None or not symbols:
        raise FeedError(f"{path}: expected {_EXPECTED}, found no trade in it")
    return Contents(tuple(sorted(symbols)), first_ns, received_ns)


def frames(path: str) -> Iterator[tuple[int, bytes]]:
    """The frames of a recording with their times of receipt, ns since the epoch, which never decrease.

    A time that goes back counts as the one before it. Raises FeedError, which names file and line.
    """
    number = 0
    last_ns = 0
    try:
        with _open(path) as lines:
            for line in lines:
                number += 1
                stamp, _, frame = line.rstrip().partition(b" ")
                if not stamp.isdigit() or int(stamp) >= _END_OF_TIME_NS or not frame:
                    raise _fault(path, number, line)
                last_ns = max(last_ns, int(stamp))
                yield last_ns, frame
    except FileNotFoundError:
        raise FeedError(f"{path}: expected a recording, found no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise FeedError(f"{path}, line {number + 1}: cannot be read: {error}") from error


def _open(path: str) -> BinaryIO | gzip.GzipFile:
    with Path(path).open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
    return gzip.open(path, "rb") if packed else Path(path).open("rb")


def _fault(path: str, number: int, line: bytes) -> FeedError:
    """What is wrong with a line that is no stamp and frame: the first one may tell what the file is."""
    for start, form in _NOT_YET:
        if number == 1 and line.startswith(start):
            return FeedError(f"{path}: expected {_EXPECTED}, found {form}: not available yet")
    found = repr(line[:40].decode("ascii", "backslashreplace"))
    return FeedError(f"{path}, line {number}: expected {_EXPECTED}, found {found}")
