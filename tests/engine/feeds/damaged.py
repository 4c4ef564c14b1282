"""Damaged copies of recordings of Binance's frames: with late trades, holes, and trades that come twice. Writes files.

Each function writes into the directory `into`, and gives the new file's name. The same arguments give the same bytes.
"""

import gzip
from collections.abc import Callable, Iterable
from operator import itemgetter
from pathlib import Path

import numpy as np

from engine.feeds.binance_kinds import symbol_of
from engine.feeds.binance_recording import frames

Frame = tuple[int, bytes]


def delayed(path: str | Path, into: Path, share: float, by_ns: int, *, seed: int = 1) -> str:
    """Deliver about a `share` of the trades later by `by_ns`: late ticks, and ids out of order."""
    chance = np.random.default_rng(seed)
    moved = (
        (received_ns + by_ns if _is_trade(frame) and _hit(chance, share) else received_ns, frame)
        for received_ns, frame in frames(str(path))
    )
    return _written(path, into, "delayed", sorted(moved, key=itemgetter(0)))


def shuffled(path: str | Path, into: Path, most_ns: int, *, seed: int = 1) -> str:
    """Deliver every trade later by a random time up to `most_ns`: trades out of order."""
    chance = np.random.default_rng(seed)
    moved = (
        (received_ns + int(chance.integers(most_ns)) if _is_trade(frame) else received_ns, frame)
        for received_ns, frame in frames(str(path))
    )
    return _written(path, into, "shuffled", sorted(moved, key=itemgetter(0)))


def cut(path: str | Path, into: Path, from_s: float, to_s: float) -> str:
    """Leave out what was received in these seconds of the recording, counted from its first frame: a hole."""
    every = list(frames(str(path)))
    began_ns = every[0][0]
    return _written(path, into, "cut", (each for each in every if not from_s <= (each[0] - began_ns) / 1e9 < to_s))


def thinned(path: str | Path, into: Path, share: float, *, seed: int = 1) -> str:
    """Leave out about a `share` of the trades: many small holes."""
    chance = np.random.default_rng(seed)
    every = frames(str(path))
    return _written(path, into, "thinned", (each for each in every if not (_is_trade(each[1]) and _hit(chance, share))))


def repeated(path: str | Path, into: Path, share: float, *, after: int = 50, seed: int = 1) -> str:
    """Deliver about a `share` of the trades twice, again `after` frames later: duplicates."""
    chance = np.random.default_rng(seed)
    every = list(frames(str(path)))
    again: dict[int, list[bytes]] = {}
    for place, (_, frame) in enumerate(every):
        if _is_trade(frame) and _hit(chance, share):
            again.setdefault(min(place + after, len(every) - 1), []).append(frame)
    twice = [
        (received_ns, one) for place, (received_ns, frame) in enumerate(every) for one in (frame, *again.get(place, ()))
    ]
    return _written(path, into, "repeated", twice)


def kept(path: str | Path, into: Path, keep: Callable[[int], bool]) -> str:
    """Keep the trades whose place among the trades `keep` says yes to, and all other frames."""
    trades = 0
    chosen = []
    for each in frames(str(path)):
        if _is_trade(each[1]):
            trades += 1
            if not keep(trades - 1):
                continue
        chosen.append(each)
    return _written(path, into, "kept", chosen)


def _hit(chance: np.random.Generator, share: float) -> bool:
    return chance.random() < share


def _is_trade(frame: bytes) -> bool:
    return symbol_of(frame) is not None


def _written(path: str | Path, into: Path, how: str, every: Iterable[Frame]) -> str:
    file = into / f"{how}-{Path(path).name}"
    file.write_bytes(gzip.compress(b"".join(b"%d %b\n" % each for each in every), compresslevel=1))
    return str(file)
