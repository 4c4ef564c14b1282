"""The state of a venue's bars as data: everything that a restart needs to go on with the same bytes. Pure; no I/O."""

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.arrays import PackedArray, packed, unpacked
from engine.connections import ConnectionsState
from engine.errors import EngineError
from engine.openbars import OpenState
from engine.past import PastState

_VERSION: Final = 1


class BarsStateError(EngineError):
    """Bytes that are no state of bars, or a state of other bars."""


class BarsState(msgspec.Struct, frozen=True, eq=False):
    """All of VenueBars but its settings; arrays are shared with it where they are never written to.

    ``counts`` are ticks, late, too late, outside.
    """

    width: int
    counts: tuple[int, int, int, int]
    connections: ConnectionsState
    open: OpenState
    past: PastState
    version: int = _VERSION


def encode(state: BarsState) -> bytes:
    """Msgpack; O(bytes held), so not for the loop that folds."""
    return msgspec.msgpack.encode(state, enc_hook=_pack)


def decode(data: bytes) -> BarsState:
    """What `encode` was given, to the last bit. Raises BarsStateError."""
    try:
        state = msgspec.msgpack.decode(data, type=BarsState, dec_hook=_unpack)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BarsStateError(f"expected the state of bars, found other bytes: {error}") from error
    if state.version != _VERSION:
        raise BarsStateError(f"expected version {_VERSION} of the state of bars, found {state.version}")
    return state


def _pack(value: object) -> PackedArray:
    if isinstance(value, np.ndarray):
        return packed(value)
    raise NotImplementedError(f"expected an array, found {type(value).__name__}")


def _unpack(_: type, value: object) -> NDArray[Any]:
    return unpacked(msgspec.convert(value, PackedArray))
