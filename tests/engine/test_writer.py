"""A topic's writer, an answer at a time. That nothing is lost is explored in tests/property."""

import json

import pytest

from engine.packing import Correction
from engine.resumption import MAX_MISSED, Closing
from engine.retention import KEPT_S
from engine.writer import HEARTBEAT_S, Writer
from wire.envelope import Acquired, Batch, Ownership, Publication
from wire.position import Epoch, Offset

BOUNDARY = "DEMO@1s"
SIGNAL = "signals:DEMO:S01@1s:x"
BARS = "bars:DEMO:S01@1s"


def acquired(writer: Writer, *, epoch: str = "e", next_offset: int = 1, number: int = 0, **found: object) -> Acquired:
    own = Ownership(writer.claim().identity, Epoch(epoch), Offset(next_offset), number)
    return Acquired(own, found.get("closed", {}), found.get("since", {}))  # type: ignore[arg-type]


@pytest.fixture
def passed() -> dict[str, int]:
    return {}


@pytest.fixture
def writer(passed: dict[str, int]) -> Writer:
    """A writer that owns its topic, on which one channel is computed, and has said so."""
    writer = Writer(0, "engine", passed)
    writer.found(acquired(writer), 0.0)
    writer.start(SIGNAL, BOUNDARY)
    writer.settle()
    taken(writer, 0.0)
    return writer


def taken(writer: Writer, now_s: float) -> Batch:
    """What is due now; the bus takes it."""
    batch = writer.batch(now_s, 1000, flush=True)
    assert batch is not None
    assert writer.answered(batch.after, now_s)
    return batch


def close(writer: Writer, second: int, *channels: str, sent_us: int | None = None) -> None:
    finals = tuple(Publication(channel, b"%d" % second) for channel in channels)
    writer.close(Closing(BOUNDARY, second * 1000, 1000, sent_us), finals)


def test_a_silent_topic_says_something_every_second(writer: Writer) -> None:
    assert writer.batch(HEARTBEAT_S - 0.1, 1000, flush=True) is None
    assert taken(writer, HEARTBEAT_S).envelopes[0].finals == ()
    assert writer.batch(HEARTBEAT_S + 0.1, 1000, flush=True) is None


def test_live_values_wait_for_a_flush(writer: Writer) -> None:
    writer.offer([Publication(SIGNAL, b"live")], BOUNDARY, 0)
    assert writer.batch(0.1, 1000, flush=False) is None
    assert taken(writer, 0.1).envelopes[0].live == (Publication(SIGNAL, b"live"),)


def test_what_was_not_answered_is_sent_again_after_a_while(writer: Writer) -> None:
    close(writer, 1, SIGNAL)
    batch = writer.batch(0.1, 1000, flush=False)
    assert batch is not None
    writer.unanswered(0.1, 0.0)
    assert writer.batch(0.12, 1000, flush=False) is None
    assert writer.batch(0.13, 0, flush=False) is None, "there is no room for it"
    assert writer.batch(0.13, 1, flush=False) is batch
    assert writer.answered(batch.after, 0.13)
    assert writer.failures == 0


def test_without_room_for_finals_there_is_only_the_heartbeat(writer: Writer) -> None:
    close(writer, 1, SIGNAL)
    assert writer.batch(0.1, 0, flush=False) is None
    batch = writer.batch(HEARTBEAT_S, 0, flush=False)
    assert batch is not None
    assert batch.envelopes[0].finals == ()


def test_a_topic_that_stands_as_it_did_has_not_taken_anything(writer: Writer) -> None:
    close(writer, 1, SIGNAL)
    batch = writer.batch(0.1, 1000, flush=False)
    assert batch is not None
    assert not writer.answered(batch.expected, 0.1)
    assert writer.owned
    assert writer.batch(0.1, 1000, flush=False) is batch


@pytest.mark.parametrize("field", ["owner", "epoch", "next_offset", "number"])
def test_a_topic_that_stands_elsewhere_is_not_owned(writer: Writer, field: str) -> None:
    close(writer, 1, SIGNAL)
    batch = writer.batch(0.1, 1000, flush=False)
    assert batch is not None
    after = batch.after
    fields = {"owner": after.owner, "epoch": after.epoch, "next_offset": after.next_offset, "number": after.number}
    fields[field] = "another" if field in ("owner", "epoch") else 77
    assert not writer.answered(Ownership(**fields), 0.1)  # type: ignore[arg-type]
    assert not writer.owned
    assert writer.batch(0.1, 1000, flush=False) is None


def test_a_topic_is_given_up_under_our_own_name_before_it_is_claimed_again(writer: Writer) -> None:
    batch = writer.batch(1.0, 1000, flush=True)
    assert batch is not None
    own = batch.expected
    writer.answered(Ownership(own.owner, own.epoch, Offset(1), 0), 1.0)
    claim = writer.claim()
    assert (claim.release, claim.known, claim.fresh) == (own.owner, own, False)
    assert claim.identity != own.owner
    assert writer.claim() == claim, "it was not answered"


def test_a_topic_of_another_engine_is_not_given_up(writer: Writer) -> None:
    batch = writer.batch(1.0, 1000, flush=True)
    assert batch is not None
    writer.answered(Ownership("engineer-1", Epoch("e"), Offset(9), 9), 1.0)
    assert writer.claim().release is None


def test_a_boundary_is_told_with_its_finals_or_with_what_comes_next(writer: Writer, passed: dict[str, int]) -> None:
    close(writer, 1, SIGNAL)
    passed[BOUNDARY] = 1000
    passed["DEMO@1m"] = 60_000
    assert taken(writer, 0.1).closed == {BOUNDARY: 1000, "DEMO@1m": 60_000}
    before = writer.idle
    passed[BOUNDARY] = 2000
    assert (before, writer.idle) == (True, False)
    assert writer.batch(0.2, 1000, flush=True) is None, "that alone is no reason to say something"
    assert writer.batch(0.2, 1000, flush=True, drain=True) is not None


def test_a_boundary_is_not_told_before_its_finals(writer: Writer, passed: dict[str, int]) -> None:
    for second in (1, 2):
        close(writer, second, SIGNAL)
        passed[BOUNDARY] = second * 1000
    batch = writer.batch(0.1, 1, flush=True)
    assert batch is not None
    assert batch.closed == {BOUNDARY: 1000}


def test_all_boundaries_are_told_again_in_another_epoch(writer: Writer, passed: dict[str, int]) -> None:
    passed[BOUNDARY] = 1000
    taken(writer, HEARTBEAT_S)
    writer.overflow()
    assert writer.claim().fresh
    assert writer.found(acquired(writer, epoch="f", next_offset=2), 0.0) == "overflow"
    assert taken(writer, 2 * HEARTBEAT_S).closed == {BOUNDARY: 1000}
    assert taken(writer, 3 * HEARTBEAT_S).closed == {}


def test_rows_of_channels_that_were_dropped_are_not_written_again(writer: Writer) -> None:
    writer.drop(SIGNAL)
    taken(writer, 0.1)
    writer.overflow()
    writer.found(acquired(writer, epoch="f", next_offset=2), 0.2)
    assert taken(writer, 2 * HEARTBEAT_S).rows == {}


def test_rows_that_the_bus_has_lost_are_written_again(writer: Writer) -> None:
    batch = writer.batch(1.0, 1000, flush=True)
    assert batch is not None
    own = batch.expected
    writer.answered(Ownership("another", own.epoch, own.next_offset, own.number), 1.0)
    found = acquired(writer, next_offset=own.next_offset, number=own.number, since={"strange": 1})
    assert writer.found(found, 1.0) is None
    batch = taken(writer, 1.0)
    assert (batch.rows[SIGNAL].since, batch.dropped) == (own.next_offset, ("strange",))


def resumed(passed: dict[str, int], *, closed: int | None = 1000) -> Writer:
    """A writer after another owner, who had computed both channels up to second 1."""
    writer = Writer(0, "engine", passed)
    since = {SIGNAL: Offset(3), BARS: Offset(4)}
    writer.found(acquired(writer, next_offset=9, closed={} if closed is None else {BOUNDARY: closed}, since=since), 0.0)
    for channel in since:
        writer.start(channel, BOUNDARY)
    writer.settle()
    return writer


def test_a_channel_that_goes_on_keeps_its_row(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    close(writer, 2, SIGNAL, BARS)
    batch = taken(writer, 0.0)
    assert {channel: (row.since, row.offset) for channel, row in batch.rows.items()} == {SIGNAL: (3, 9), BARS: (4, 10)}


def test_what_nobody_has_published_is_told_without_values(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    close(writer, 3, SIGNAL, sent_us=77)
    batch = taken(writer, 0.0)
    told = {p.channel: json.loads(p.payload) for p in batch.envelopes[0].finals[:2]}
    said = {"t": 2000, "v": None, "final": True, "event": 3_000_000, "sent": 77, "gap": True}
    assert told == {SIGNAL: said, BARS: said | dict.fromkeys("ohlcn")}
    assert batch.closed == {BOUNDARY: 3000}


def test_what_is_missing_does_not_count_as_closed_before_it_was_told(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    passed[BOUNDARY] = 4000
    assert taken(writer, 0.0).closed == {}
    close(writer, 5, SIGNAL)
    passed[BOUNDARY] = 5000
    assert taken(writer, 0.0).closed == {BOUNDARY: 5000}


def test_boundaries_that_the_owner_before_has_told_are_not_told_again(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    close(writer, 1, SIGNAL)
    passed[BOUNDARY] = 1000
    assert writer.idle


def test_a_channel_that_is_dropped_is_told_nothing(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    writer.drop(BARS)
    close(writer, 3, SIGNAL)
    assert [p.channel for p in taken(writer, 0.0).envelopes[0].finals] == [SIGNAL, SIGNAL]


def test_what_the_owner_before_has_published_is_held_as_long_as_if_it_were_new(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    assert taken(writer, KEPT_S - 1).forget == 0
    assert taken(writer, KEPT_S).forget == 8


def test_more_than_can_be_told_is_told_by_another_epoch(passed: dict[str, int]) -> None:
    writer = resumed(passed)
    close(writer, 3 + MAX_MISSED, SIGNAL)
    assert not writer.owned
    assert writer.claim().fresh
    assert writer.found(acquired(writer, epoch="f", next_offset=9), 0.0) == "missed"
    assert [p.channel for e in taken(writer, 0.0).envelopes for p in e.finals] == [SIGNAL]


def test_if_nobody_knows_what_was_missed_another_epoch_tells(passed: dict[str, int]) -> None:
    assert resumed(passed, closed=None).claim().fresh


def test_a_full_buffer_leaves_nothing_on_its_way(writer: Writer) -> None:
    close(writer, 1, SIGNAL)
    batch = writer.batch(0.1, 1000, flush=False)
    assert batch is not None
    assert writer.size_bytes > 0
    writer.overflow()
    assert writer.size_bytes == 0
    assert not writer.answered(batch.after, 0.1), "its answer comes too late"


def test_bars_are_corrected_once_the_owner_before_is_passed(passed: dict[str, int]) -> None:
    writer = Writer(0, "engine", passed)
    writer.found(acquired(writer, closed={BOUNDARY: 5000}, since={BARS: Offset(0)}), 0.0)
    writer.start(BARS, BOUNDARY)
    writer.settle()
    writer.correct(BOUNDARY, (Correction(Publication(BARS, b"early"), b"5"),))
    close(writer, 6, BARS)
    writer.correct(BOUNDARY, (Correction(Publication(BARS, b"late"), b"6"),))
    assert [p.payload for e in taken(writer, 0.0).envelopes for p in e.finals] == [b"6", b"late"]
