"""A channel's past is whole as far back as anybody knows it, and every final has its own offset."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.chart import CLOSED_MEANWHILE, WINDOW, Query, chart, count_older, query, reaches
from gateway.recovery import MAX_REPLY_BYTES
from wire import codec_json
from wire.client_messages import ClientPublication, HistoryRequest, HistoryResult, Reply, Since
from wire.envelope import ClosedValue, Held, HeldFinal, NewestFinal, Publication
from wire.position import Epoch, Offset, StreamPosition

EPOCH = Epoch("e")
OURS, THEIRS = "bars:DEMO:S01@1m", "bars:DEMO:S02@1m"


def payload(t: int) -> bytes:
    return b'{"t":%d,"final":true}' % t


def time_of(publication: ClientPublication) -> int:
    t = json.loads(bytes(publication.data))["t"]
    assert isinstance(t, int)
    return t


@dataclass
class World:
    """Bars of one instrument, closed one by one, and what a topic and an engine hold of them.

    `finals` are the topic's, in order; those of our channel of the unbroken computing began behind `since`.
    """

    finals: list[HeldFinal]
    since: Offset
    forgotten: int
    ring: tuple[int, ...]

    @property
    def top(self) -> Offset:
        return Offset(len(self.finals))

    def ours(self) -> list[HeldFinal]:
        return [f for f in self.finals if f.publication.channel == OURS and f.offset > self.since]

    def read(self, since: Offset) -> Held:
        rows = self.ours()
        newest = NewestFinal(self.since, Offset(0), None)
        if rows:
            newest = NewestFinal(self.since, rows[-1].offset, rows[-1].publication.payload)
        held = tuple(f for f in self.finals[self.forgotten :] if f.offset > since)
        return Held(EPOCH, 1, self.top, Offset(self.forgotten + 1), held, {OURS: newest})

    def ask(self, asked: Query) -> list[ClientPublication] | None:
        """What a client gets; None: error 112."""
        held = self.read(asked.read_from(self.top))
        if not reaches(held, OURS, asked):
            return None
        count = count_older(held, OURS, asked)
        older = [ClosedValue(t, payload(t)) for t in self.ring[-count:]] if count else []
        return list(chart(held, OURS, asked, tuple(older)))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Bars 1 to n; each was published or not, the last of them without a break."""
    count = draw(st.integers(0, 12))
    unbroken_from = draw(st.integers(1, count + 1))
    finals: list[HeldFinal] = []
    since = Offset(0)

    def publish(channel: str, t: int) -> None:
        finals.append(HeldFinal(Offset(len(finals) + 1), Publication(channel, payload(t))))

    for t in range(1, count + 1):
        for _ in range(draw(st.integers(0, 2))):
            publish(THEIRS, t)
        if t == unbroken_from:
            since = Offset(len(finals))
        if t >= unbroken_from or draw(st.booleans()):
            publish(OURS, t)
    if unbroken_from > count:
        since = Offset(len(finals))
    newer = draw(st.integers(0, 2))
    ring = tuple(range(1, count + newer + 1))[-draw(st.integers(1, 15)) :]
    return World(finals, since, draw(st.integers(0, len(finals))), ring)


@given(worlds(), st.integers(1, 15))
def test_the_newest_bars_are_all_there_in_order_and_none_twice(world: World, limit: int) -> None:
    forward, reverse = world.ask(Query(limit)), world.ask(Query(limit, reverse=True))
    assert forward is not None
    assert reverse == forward[::-1]
    times = [time_of(each) for each in forward]
    held = [f for f in world.ours() if f.offset > world.forgotten] or world.ours()[-1:]
    offsets = {_t(f): f.offset for f in held}
    known = sorted(offsets.keys() | {t for t in world.ring if not offsets or t < min(offsets)})
    assert times == known[-limit:]
    assert [each.offset for each in forward] == [offsets.get(t, 0) for t in times]


@given(worlds(), st.integers(1, 3), st.integers(0, 40))
def test_reading_on_from_a_position_page_by_page_misses_no_final_or_says_so(
    world: World, limit: int, offset: int
) -> None:
    due = [f for f in world.ours() if f.offset > offset]
    got: list[ClientPublication] = []
    at = offset
    while (page := world.ask(Query(limit, StreamPosition(EPOCH, Offset(at))))) is not None:
        assert len(page) <= limit
        got += page
        if len(page) < limit:
            break
        at = page[-1].offset
    if page is None:
        whose_was_forgotten_is_not_known = bool(due) and offset < world.forgotten
        assert offset < world.since or offset > world.top or whose_was_forgotten_is_not_known
        assert not got, "a position that was given is not lost"
    else:
        assert [(time_of(each), each.offset) for each in got] == [(_t(f), f.offset) for f in due]


@given(worlds(), st.integers(1, 15), st.integers(0, 40))
def test_reading_back_from_a_position_gives_what_came_before_it_newest_first(
    world: World, limit: int, offset: int
) -> None:
    page = world.ask(Query(limit, StreamPosition(EPOCH, Offset(offset)), reverse=True))
    if page is None:
        return
    whole = world.ask(Query(1000, reverse=True)) or []
    after = [_t(f) for f in world.ours() if f.offset >= offset]
    wanted = [time_of(each) for each in whole if not after or time_of(each) < min(after)]
    if world.ours():
        wanted = [t for t in wanted if t <= _t(world.ours()[-1])]
    assert [time_of(each) for each in page] == wanted[:limit]
    assert all(each.offset < offset for each in page if each.offset)


def _t(final: HeldFinal) -> int:
    t = json.loads(final.publication.payload)["t"]
    assert isinstance(t, int)
    return t


def world_of(finals: int, *, ring: tuple[int, ...] = (), forgotten: int = 0, since: int = 0) -> World:
    held = [HeldFinal(Offset(n), Publication(OURS, payload(n))) for n in range(1, finals + 1)]
    return World(held, Offset(since), forgotten, ring)


@pytest.mark.parametrize(
    ("epoch", "offset", "after", "before"),
    [
        ("e", 3, True, True),
        ("", 3, True, True),
        ("f", 3, False, False),
        ("e", 10, True, True),
        ("e", 11, False, True),
        ("e", 12, False, False),
        ("e", 2, True, False),
        ("e", 1, False, False),
    ],
)
def test_a_position_is_reached_under_the_conditions_of_a_recovery(
    epoch: str, offset: int, *, after: bool, before: bool
) -> None:
    held, since = world_of(10, forgotten=2, since=1).read(Offset(0)), StreamPosition(Epoch(epoch), Offset(offset))
    assert reaches(held, OURS, Query(9, since)) is after
    assert reaches(held, OURS, Query(9, since, reverse=True)) is before
    assert reaches(held, OURS, Query(9))


def test_a_position_behind_which_only_others_finals_were_forgotten_is_reached() -> None:
    finals = [HeldFinal(Offset(n), Publication(OURS if n == 1 else THEIRS, payload(n))) for n in range(1, 6)]
    held = World(finals, Offset(0), 4, ()).read(Offset(0))
    assert reaches(held, OURS, Query(9, StreamPosition(EPOCH, Offset(2))))
    assert not reaches(held, OURS, Query(9, StreamPosition(EPOCH, Offset(0))))


def test_no_position_of_a_channel_that_nobody_computes_is_reached() -> None:
    assert not reaches(world_of(3).read(Offset(0)), THEIRS, Query(9, StreamPosition(EPOCH, Offset(3))))


def test_a_corrected_old_bar_hides_none_of_those_between_it_and_the_finals_that_are_held() -> None:
    finals = [HeldFinal(Offset(9 + n), Publication(OURS, payload(t))) for n, t in enumerate((2, 6, 7))]
    held = World(finals, Offset(0), 0, ()).read(Offset(0))
    older = tuple(ClosedValue(t, payload(t)) for t in range(1, 9))
    got = chart(held, OURS, Query(9), older)
    assert [(time_of(each), each.offset) for each in got] == [(1, 0), (3, 0), (4, 0), (5, 0), (2, 9), (6, 10), (7, 11)]
    assert [time_of(each) for each in chart(held, OURS, Query(4), older)] == [5, 2, 6, 7]


def test_an_unknown_channels_past_is_what_its_engine_says() -> None:
    held = world_of(3).read(Offset(0))
    older = (ClosedValue(1, payload(1)), ClosedValue(2, payload(2)))
    assert chart(held, THEIRS, Query(9), older) == tuple(ClientPublication(Raw(value.payload)) for value in older)


def test_the_engine_is_asked_only_for_what_the_bus_does_not_hold() -> None:
    held, since = world_of(5).read(Offset(0)), StreamPosition(EPOCH, Offset(2))
    assert count_older(held, OURS, Query(5)) == 0
    assert count_older(held, OURS, Query(6)) == 6 + CLOSED_MEANWHILE
    assert count_older(held, OURS, Query(1000, since)) == 0
    assert count_older(held, OURS, Query(2, since, reverse=True)) == 2 + 4 + CLOSED_MEANWHILE
    assert count_older(held, OURS, Query(0)) == 0


def test_the_bus_is_read_no_further_back_than_a_chart_needs() -> None:
    top, since = Offset(10_000), StreamPosition(EPOCH, Offset(5_000))
    assert Query(10).read_from(top) == 10_000 - WINDOW
    assert Query(10, since).read_from(top) == 5_000
    assert Query(10, since, reverse=True).read_from(top) == 5_000 - WINDOW
    assert Query(10).read_from(Offset(3)) == 0


def test_a_final_that_names_no_time_stands_for_all_that_is_older() -> None:
    for strange in (b"1", b'{"t":"x"}', b"\xff", b"[" * 5_000):
        held = World([HeldFinal(Offset(1), Publication(OURS, strange))], Offset(0), 0, ()).read(Offset(0))
        (only,) = chart(held, OURS, Query(9), (ClosedValue(1, payload(1)),))
        assert bytes(only.data) == strange


@pytest.mark.parametrize(("limit", "wanted"), [(0, 0), (1, 1), (1000, 1000), (1001, 1000), (-1, 1000), (-9, 1000)])
def test_a_limit_is_cut_to_what_one_reply_can_hold(limit: int, wanted: int) -> None:
    assert query(HistoryRequest("c", limit)) == Query(wanted)
    since = Since(4, "e")
    assert query(HistoryRequest("c", limit, since)) == Query(wanted, StreamPosition(EPOCH, Offset(4)))


@given(st.integers(100, 5_000), st.booleans())
def test_no_reply_is_over_192_kib_and_a_chart_is_cut_at_its_old_end(size: int, reverse: bool) -> None:
    def long(t: int) -> bytes:
        return b'{"t":%d,"v":"%s"}' % (t, b"x" * size)

    finals = [HeldFinal(Offset(n), Publication(OURS, long(n))) for n in range(501, 1001)]
    held = Held(
        EPOCH, 1, Offset(1000), Offset(501), tuple(finals), {OURS: NewestFinal(Offset(0), Offset(1000), long(1000))}
    )
    older = tuple(ClosedValue(t, long(t)) for t in range(1, 501))
    got = chart(held, OURS, Query(1000, reverse=reverse), older)
    encoded = codec_json.encode_reply(Reply(0xFFFF_FFFF, history=HistoryResult(got, "e" * 32, 2**53)))
    assert len(encoded) <= MAX_REPLY_BYTES
    assert len(encoded) + 50 * len(got) + size + 1_100 > MAX_REPLY_BYTES or len(got) == 1000
    times = [time_of(each) for each in got]
    assert times == (list(range(1000, 1000 - len(got), -1)) if reverse else list(range(1001 - len(got), 1001)))


def test_what_is_read_on_is_cut_at_its_new_end_so_that_nothing_is_missed() -> None:
    finals = [HeldFinal(Offset(n), Publication(OURS, b'{"t":%d,"v":"%s"}' % (n, b"x" * 3_000))) for n in range(1, 101)]
    got = World(finals, Offset(0), 0, ()).ask(Query(1000, StreamPosition(EPOCH, Offset(10))))
    assert got is not None
    assert len(got) < 90
    assert [each.offset for each in got] == list(range(11, 11 + len(got)))
