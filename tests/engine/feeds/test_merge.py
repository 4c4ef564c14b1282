"""Several recordings that are played as one."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.merge import Merged
from engine.feeds.recording import Counts
from engine.ticks import TickBatch
from tests.engine.feeds.hand_recording import HandReading


def played(merged: Merged, lines: int) -> list[TickBatch]:
    batches = []
    while (batch := merged.read(lines)) is not None:
        batches.append(batch)
    return batches


def merged_of(*times: Sequence[int], connections: Sequence[int] | None = None) -> Merged:
    readings = [HandReading(each, slot, 1000.0 * slot) for slot, each in enumerate(times)]
    return Merged(readings, [0] * len(readings) if connections is None else connections)


TIMES = st.lists(st.lists(st.integers(0, 12), max_size=25).map(sorted), min_size=2, max_size=4)


@given(TIMES, st.integers(1, 40))
def test_ticks_come_by_time_of_receipt_and_at_one_time_by_recording_then_by_place(
    times: list[list[int]], lines: int
) -> None:
    batch = TickBatch.join(played(merged_of(*times), lines))
    found = list(zip(batch.received_ns.tolist(), batch.instrument.tolist(), batch.price.tolist(), strict=True))
    wanted = [(at, slot, 1000.0 * slot + place) for slot, each in enumerate(times) for place, at in enumerate(each)]
    assert found == sorted(wanted)


@given(TIMES, st.integers(1, 40))
def test_another_round_is_the_same(times: list[list[int]], lines: int) -> None:
    merged = merged_of(*times)
    first = TickBatch.join(played(merged, lines))
    merged.restart()
    assert TickBatch.join(played(merged, lines)).price.tolist() == first.price.tolist()


def test_little_is_read_ahead_of_what_is_asked_for() -> None:
    merged = merged_of(range(10_000), range(0, 20_000, 2))
    sizes = [len(batch) for batch in played(merged, 1000)]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 2000 or sizes.index(max(sizes)) == len(sizes) - 1


def test_a_recording_that_is_long_over_does_not_hold_up_the_other() -> None:
    assert sum(len(batch) for batch in played(merged_of([1], range(5000)), 10)) == 5001


def test_each_tick_says_on_which_connection_it_came() -> None:
    batch = TickBatch.join(played(merged_of([1, 4], [2], [3], connections=[0, 2, 1]), 1))
    assert batch.connection is not None
    assert batch.connection.tolist() == [0, 2, 1, 0]


def test_on_one_connection_nothing_is_said() -> None:
    assert TickBatch.join(played(merged_of([1], [2]), 1)).connection is None


def test_quotes_come_by_time_of_receipt() -> None:
    readings = [HandReading((), 0, quotes=[(1, 5.0), (4, 6.0), (9, 7.0)]), HandReading((), 1, quotes=[(4, 8.0)])]
    quotes = Merged(readings, [0, 1]).take_quotes(5)
    assert quotes is not None
    assert (quotes.instrument.tolist(), quotes.bid.tolist()) == ([0, 0, 1], [5.0, 6.0, 8.0])
    assert (quotes.ask.tolist(), quotes.received_ns.tolist()) == ([6.0, 7.0, 9.0], [1, 4, 4])
    assert Merged(readings, [0, 1]).take_quotes(0) is None


def test_counts_and_kinds_are_those_of_all() -> None:
    readings = [
        HandReading((), counts=Counts(1, 2, 3, 4), kinds=["a"]),
        HandReading((), counts=Counts(10, 20, 30, 40), kinds=["b", "c"]),
    ]
    merged = Merged(readings, [0, 0])
    assert merged.counts == Counts(11, 22, 33, 44)
    assert list(merged.take_new_kinds()) == ["a", "b", "c"]
