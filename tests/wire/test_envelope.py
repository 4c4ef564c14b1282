"""Envelopes: what is written is read, and nothing else is."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.envelope import VERSION, Envelope, EnvelopeError, Publication, decode, encode
from wire.position import Epoch, Offset

PUBLICATIONS = st.lists(st.builds(Publication, st.text(max_size=20), st.binary(max_size=50)), max_size=5).map(tuple)
ENVELOPES = st.builds(
    Envelope,
    st.just(VERSION),
    st.text(max_size=16).map(Epoch),
    st.integers(0, 2**62),
    st.integers(1, 2**62).map(Offset),
    PUBLICATIONS,
    PUBLICATIONS,
)


@given(ENVELOPES)
def test_what_is_written_is_read(envelope: Envelope) -> None:
    assert decode(encode(envelope)) == envelope


@given(ENVELOPES)
def test_the_top_is_the_offset_of_the_last_final_or_the_one_before_the_first(envelope: Envelope) -> None:
    assert envelope.top == envelope.first_offset + len(envelope.finals) - 1


def test_an_envelope_is_arrays_without_names() -> None:
    envelope = Envelope(VERSION, Epoch("e"), 7, Offset(3), (Publication("c", b"1"),), ())
    assert msgspec.msgpack.decode(encode(envelope)) == [VERSION, "e", 7, 3, [["c", b"1"]], []]


@given(st.binary(max_size=200))
@example(b"\x94\x00\xa1\x80")
def test_other_bytes_are_an_error(data: bytes) -> None:
    envelope, why = _decoded(data)
    assert why if envelope is None else decode(encode(envelope)) == envelope


def _decoded(data: bytes) -> tuple[Envelope | None, str]:
    """The envelope, or why there is none."""
    try:
        return decode(data), ""
    except EnvelopeError as error:
        return None, str(error)


def test_another_version_is_an_error_that_names_both() -> None:
    with pytest.raises(EnvelopeError, match="version 1, found 2"):
        decode(encode(Envelope(2, Epoch("e"), 1, Offset(1))))


def test_bytes_nested_too_deeply_are_an_error() -> None:
    with pytest.raises(EnvelopeError):
        decode(b"\x91" * 100_000)
