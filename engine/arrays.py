"""Arrays as msgpack can hold them: packed into their kind, shape and bytes, and unpacked again. Pure; no I/O."""

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray


class PackedArray(msgspec.Struct, frozen=True, array_like=True):
    """An array of numbers or truths: ``dtype`` with its byte order, as '<f8'; ``data`` in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def packed(array: NDArray[Any]) -> PackedArray:
    """Copy an array into a value that msgspec can encode, to the last bit."""
    return PackedArray(array.dtype.str, array.shape, array.tobytes())


def unpacked(packed_array: PackedArray) -> NDArray[Any]:
    """The array, writable and owning its memory.

    ValueError when it is of no numeric kind or its bytes are not as many as its shape says.
    """
    try:
        kind = np.dtype(packed_array.dtype)
    except (TypeError, ValueError, SyntaxError):
        raise ValueError(f"expected the kind of an array, found {packed_array.dtype!r}") from None
    if kind.kind not in "biuf" or kind.itemsize == 0:
        raise ValueError(f"expected an array of numbers, found {packed_array.dtype!r}")
    shape, data = packed_array.shape, packed_array.data
    if any(length < 0 for length in shape) or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"expected {shape} of {kind.str}, found {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape).copy()
