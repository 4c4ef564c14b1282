"""Finds the form of a recording by its content, not by its name. Reads files."""

from typing import Final

from engine.feeds import binance_recording, csv_recording, lean
from engine.feeds.errors import FeedError
from engine.feeds.lines import ZIP, begins_with, numbered
from engine.feeds.recording import Recording

_JSON_RECORDS: Final = b'{"t"'
_CSV: Final = b"event_ns,"


def open_recording(path: str) -> Recording:
    """Look the whole file through once, about a second for each million lines.

    Raises FeedError, which names file, line and what was expected, when it is no recording or has no trade.
    """
    if begins_with(path) == ZIP:
        return lean.scan(path)
    _, first = next(numbered(path), (1, b""))
    if first.startswith(_JSON_RECORDS):
        raise FeedError(
            f"{path}: expected {binance_recording.EXPECTED}, found a recording of one JSON record a line: "
            "not available yet"
        )
    return csv_recording.scan(path) if first.startswith(_CSV) else binance_recording.scan(path)
