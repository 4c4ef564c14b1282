"""Arrays packed for msgpack and unpacked."""

import msgspec
import numpy as np
import pytest

from engine.arrays import PackedArray, packed, unpacked


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, -0.0, np.inf], [5e-324, 1e300, -np.nan]]),
        np.array([1 << 62, -1], np.int64),
        np.array([True, False]),
        np.zeros((0, 7), np.uint8),
        np.array(3.5),
        np.arange(12.0).reshape(3, 4).T,
    ],
)
def test_an_array_comes_back_through_msgpack_with_kind_shape_and_every_bit(array: np.ndarray) -> None:
    back = unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(packed(array)), type=PackedArray))
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_what_is_unpacked_may_be_written_to() -> None:
    back = unpacked(packed(np.zeros(3)))
    back[0] = 1.0
    assert back.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "broken",
    [
        PackedArray("<f8", (2,), b"1234567"),
        PackedArray("<f8", (-1, -1), b"12345678"),
        PackedArray("|O", (1,), b"12345678"),
        PackedArray("no kind", (1,), b"12345678"),
        PackedArray("|V8", (1,), b"12345678"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(broken: PackedArray) -> None:
    with pytest.raises(ValueError, match="expected"):
        unpacked(broken)
