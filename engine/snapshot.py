"""Snapshot: what the graphs of a venue and timeframe remember, as data and as bytes. Pure; no I/O."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.arrays import PackedArray, packed, unpacked
from engine.errors import EngineError
from engine.graph import Lease
from engine.graph_state import GraphState, NodeState

FORMAT: Final = b"signal-service graphs 1\n"
"""What the bytes begin with; another number when they are to be read otherwise."""

_DIGEST_BYTES: Final = 32


class SnapshotError(EngineError):
    """These bytes are not those of a snapshot, or not of one that can be read."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphsState:
    """What the graphs of `width` slots remember, at boundary `number`.

    The arrays are lent by the graphs: those copy them when they go on before `end` was called.
    """

    number: int
    width: int
    graphs: tuple[GraphState, ...]
    leases: tuple[Lease, ...] = ()

    def end(self) -> None:
        """The state is not read any more; to be called from whatever thread."""
        for lease in self.leases:
            lease.ended = True


class _NodeRecord(msgspec.Struct, frozen=True, array_like=True):
    key: str
    version: int
    began: int
    value: PackedArray
    arrays: tuple[PackedArray, ...]


class _GraphRecord(msgspec.Struct, frozen=True, array_like=True):
    number: int
    expression: str
    slots: PackedArray
    first: PackedArray
    nodes: tuple[_NodeRecord, ...]


class _Record(msgspec.Struct, frozen=True, array_like=True):
    number: int
    width: int
    graphs: tuple[_GraphRecord, ...]


def encode(state: GraphsState) -> bytes:
    """The bytes of a state, to the last bit, with their format and a checksum."""
    record = _Record(state.number, state.width, tuple(_graph_record(graph) for graph in state.graphs))
    content = msgspec.msgpack.encode(record)
    return FORMAT + _digest(content) + content


def decode(data: bytes) -> GraphsState:
    """The state that was encoded. SnapshotError if `data` is damaged, or of another format."""
    if not data.startswith(FORMAT):
        raise SnapshotError(f"expected a snapshot that begins with {FORMAT!r}, found {data[: len(FORMAT)]!r}")
    start = len(FORMAT) + _DIGEST_BYTES
    content = memoryview(data)[start:]
    if data[len(FORMAT) : start] != _digest(content):
        raise SnapshotError(f"expected a snapshot as it was written, found {len(data)} bytes with another checksum")
    try:
        record = msgspec.msgpack.decode(content, type=_Record)
        return GraphsState(record.number, record.width, tuple(_graph_state(each, record) for each in record.graphs))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SnapshotError(f"expected the state of graphs, found {error}") from error


def _digest(content: bytes | memoryview) -> bytes:
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _graph_record(state: GraphState) -> _GraphRecord:
    nodes = tuple(
        _NodeRecord(key, node.version, node.began, packed(node.value), tuple(packed(array) for array in node.arrays))
        for key, node in state.nodes.items()
    )
    return _GraphRecord(state.number, state.expression, packed(state.slots), packed(state.first), nodes)


def _graph_state(record: _GraphRecord, whole: _Record) -> GraphState:
    slots, first = _integers(record.slots), _integers(record.first)
    nodes = {
        node.key: NodeState(node.version, node.began, unpacked(node.value), tuple(unpacked(a) for a in node.arrays))
        for node in record.nodes
    }
    widths = {array.shape[-1:] for node in nodes.values() for array in (node.value, *node.arrays)}
    if widths - {slots.shape} or slots.shape != first.shape or slots.ndim != 1:
        raise ValueError(f"arrays of other slots than {slots.shape}")
    if len(slots) and not (slots.min() >= 0 and slots.max() < whole.width):
        raise ValueError(f"slots from {slots.min()} to {slots.max()} of {whole.width}")
    return GraphState(record.number, record.expression, slots.astype(np.intp), first, nodes)


def _integers(array: PackedArray) -> NDArray[np.int64]:
    found = unpacked(array)
    if found.dtype != np.int64:
        raise ValueError(f"numbers of kind {found.dtype}")
    return found
