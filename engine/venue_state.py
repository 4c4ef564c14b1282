"""The state of a venue as data and as bytes: its bars, and what its graphs remember. Pure; no I/O."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from engine import bars_state, snapshot
from engine.bars_state import BarsState, BarsStateError
from engine.snapshot import GraphsState, SnapshotError
from wire.market import Timeframe

FORMAT: Final = b"signal-service venue 1\n"
"""What the bytes begin with; another number when they are to be read otherwise."""

_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True, eq=False)
class VenueState:
    """All that a venue with the instruments `symbols` has come to. Arrays are never written to.

    ``received_ns`` is when its newest tick was received.
    """

    symbols: tuple[str, ...]
    bars: BarsState
    graphs: dict[Timeframe, GraphsState]
    received_ns: int


class _Record(msgspec.Struct, frozen=True, array_like=True):
    symbols: tuple[str, ...]
    bars: bytes
    graphs: dict[Timeframe, bytes]
    received_ns: int


def encode(state: VenueState) -> bytes:
    """The bytes of a state, with their format and a checksum; O(bytes held), so not for the loop that folds."""
    graphs = {timeframe: snapshot.encode(each) for timeframe, each in state.graphs.items()}
    content = msgspec.msgpack.encode(_Record(state.symbols, bars_state.encode(state.bars), graphs, state.received_ns))
    return FORMAT + blake2b(content, digest_size=_DIGEST_BYTES).digest() + content


def decode(data: bytes) -> VenueState:
    """The state that was encoded. SnapshotError if `data` is damaged, or of another format."""
    if not data.startswith(FORMAT):
        raise SnapshotError(f"expected a snapshot that begins with {FORMAT!r}, found {data[: len(FORMAT)]!r}")
    start = len(FORMAT) + _DIGEST_BYTES
    content = data[start:]
    if data[len(FORMAT) : start] != blake2b(content, digest_size=_DIGEST_BYTES).digest():
        raise SnapshotError(f"expected a snapshot as it was written, found {len(data)} bytes with another checksum")
    try:
        record = msgspec.msgpack.decode(content, type=_Record)
        graphs = {timeframe: snapshot.decode(each) for timeframe, each in record.graphs.items()}
        return VenueState(record.symbols, bars_state.decode(record.bars), graphs, record.received_ns)
    except (msgspec.MsgspecError, BarsStateError) as error:
        raise SnapshotError(f"expected the state of a venue, found {error}") from error
