"""Packing: what waits, in its order, with offsets and numbers that follow; a row for each channel that it changes."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from engine.packing import Correction, Corrections, Drop, Finals, Item, Start, pack
from wire.envelope import MAX_PUBLICATIONS, Batch, NewestFinal, Ownership, Publication
from wire.position import Epoch, Offset

OWN = Ownership("me", Epoch("e"), Offset(10), 5)
SINCE = {"a": Offset(3), "b": Offset(4)}


def finals(second: int, *channels: str) -> Finals:
    return Finals.of("DEMO@1s", second * 1000, tuple(Publication(channel, b"%d" % second) for channel in channels))


def packed(*items: Item, live: Iterable[Publication] = ()) -> Batch:
    return pack(OWN, items, tuple(live), SINCE)


def shape(batch: Batch) -> list[tuple[int, int, int, int]]:
    """Number, first offset, finals and live values of each envelope."""
    return [(e.number, e.first_offset, len(e.finals), len(e.live)) for e in batch.envelopes]


def test_nothing_is_a_heartbeat() -> None:
    batch = packed()
    assert shape(batch) == [(6, 10, 0, 0)]
    assert batch.after == Ownership("me", Epoch("e"), Offset(10), 6)


def test_finals_keep_their_rows_since_and_the_newest_counts() -> None:
    batch = packed(finals(1, "a", "b"), finals(2, "a"))
    assert shape(batch) == [(6, 10, 3, 0)]
    assert batch.rows == {
        "a": NewestFinal(Offset(3), Offset(12), b"2"),
        "b": NewestFinal(Offset(4), Offset(11), b"1"),
    }
    assert batch.closed == {"DEMO@1s": 2000}


def test_corrections_are_finals_of_no_boundary_and_leave_the_newest_bar_in_the_row() -> None:
    told = tuple(Correction(Publication(channel, b"1, corrected"), b"2") for channel in "ab")
    batch = packed(finals(2, "a"), Corrections.of(told))
    assert [p.payload for e in batch.envelopes for p in e.finals] == [b"2", b"1, corrected", b"1, corrected"]
    assert batch.rows == {
        "a": NewestFinal(Offset(3), Offset(11), b"2"),
        "b": NewestFinal(Offset(4), Offset(12), b"2"),
    }
    assert batch.closed == {"DEMO@1s": 2000}


def test_a_channel_that_starts_skips_an_offset() -> None:
    batch = packed(Start("c"))
    assert shape(batch) == [(6, 11, 0, 0)]
    assert batch.rows == {"c": NewestFinal(Offset(10), Offset(0), None)}
    assert batch.after.next_offset == 11


def test_channels_that_start_together_skip_one_offset() -> None:
    batch = packed(Start("c"), Drop("a"), Start("d"), finals(1, "c", "d"))
    assert shape(batch) == [(6, 11, 2, 0)]
    assert {channel: row.since for channel, row in batch.rows.items()} == {"c": 10, "d": 10}


def test_finals_before_a_start_are_in_an_envelope_of_their_own() -> None:
    batch = packed(finals(1, "a"), Start("c"), finals(2, "a", "c"))
    assert shape(batch) == [(6, 10, 1, 0), (7, 12, 2, 0)]
    assert batch.rows["c"] == NewestFinal(Offset(11), Offset(13), b"2")
    assert batch.rows["a"] == NewestFinal(Offset(3), Offset(12), b"2")


def test_channels_that_start_behind_finals_skip_another_offset() -> None:
    batch = packed(Start("c"), finals(1, "a"), Start("d"))
    assert shape(batch) == [(6, 11, 1, 0), (7, 13, 0, 0)]
    assert {channel: batch.rows[channel].since for channel in "cd"} == {"c": 10, "d": 12}


def test_a_channel_that_is_dropped_has_no_row() -> None:
    batch = packed(finals(1, "a"), Drop("a"))
    assert (batch.rows, batch.dropped) == ({}, ("a",))


def test_a_channel_that_is_dropped_and_starts_again_begins_anew() -> None:
    batch = packed(finals(1, "a"), Drop("a"), Start("a"))
    assert batch.rows == {"a": NewestFinal(Offset(11), Offset(0), None)}
    assert batch.dropped == ()
    assert batch.after.next_offset == 12


def test_live_values_go_behind_the_last_final_in_as_many_envelopes_as_they_need() -> None:
    live = [Publication(f"{n}", b"") for n in range(MAX_PUBLICATIONS)]
    assert shape(packed(finals(1, "a"), live=live)) == [(6, 10, 1, MAX_PUBLICATIONS - 1), (7, 11, 0, 1)]
    assert shape(packed(finals(1, *["a"] * MAX_PUBLICATIONS), live=live[:1])) == [
        (6, 10, MAX_PUBLICATIONS, 0),
        (7, 10 + MAX_PUBLICATIONS, 0, 1),
    ]


ITEMS = st.lists(
    st.one_of(
        st.builds(Start, st.sampled_from("cde")),
        st.builds(Drop, st.sampled_from("cde")),
        st.builds(lambda n: finals(1, *["a"] * n), st.integers(1, 3 * MAX_PUBLICATIONS)),
    ),
    max_size=6,
)


@given(ITEMS, st.integers(0, 2 * MAX_PUBLICATIONS))
def test_offsets_and_numbers_only_rise_and_no_envelope_is_too_long(items: list[Item], live: int) -> None:
    batch = packed(*items, live=[Publication(f"{n}", b"") for n in range(live)])
    offset = OWN.next_offset
    for number, envelope in enumerate(batch.envelopes, OWN.number + 1):
        assert envelope.number == number
        assert envelope.first_offset >= offset
        assert len(envelope.finals) + len(envelope.live) <= MAX_PUBLICATIONS
        assert not envelope.live or not any(later.finals for later in batch.envelopes[number - OWN.number :])
        offset = Offset(envelope.top + 1)
    assert batch.after == Ownership("me", Epoch("e"), offset, OWN.number + len(batch.envelopes))
    assert sum(len(e.live) for e in batch.envelopes) == live
    assert all(row.since < row.offset or not row.offset for row in batch.rows.values())
    assert not set(batch.dropped) & batch.rows.keys()
