"""Binance's frames, and recordings of them. Pure but for the files that it is told to write."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

S = 1_000_000_000
MS = 1_000_000
T0 = 1_700_000_000 * S


def trade(number: int = 1, *, symbol: str = "BTCUSDT", at_ms: int = 0, **fields: object) -> dict[str, object]:
    """A trade `at_ms` after T0, as in the documentation of USD-M."""
    time = T0 // MS + at_ms
    message = {"e": "trade", "E": time + 1, "T": time, "s": symbol, "t": number, "p": "61800.30", "q": "0.006"}
    return {**message, "X": "MARKET", "m": False, **fields}


def raw(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def combined(message: object, stream: str = "btcusdt@trade") -> bytes:
    return raw({"stream": stream, "data": message})


def record(path: Path, frames: Iterable[tuple[float, bytes]], *, packed: bool = True) -> str:
    """Write frames with their times of receipt, in s after T0; the file's name."""
    content = b"".join(b"%d %b\n" % (T0 + round(at * S), frame) for at, frame in frames)
    path.write_bytes(gzip.compress(content) if packed else content)
    return str(path)
