"""What a client at a position gets back: everything it missed, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recovery import MAX_PUBLICATIONS, MAX_REPLY_BYTES, recover
from wire.envelope import Held, HeldFinal, NewestFinal, Publication
from wire.position import Epoch, Offset, StreamPosition

RSI = "signals:DEMO:S01@1m:rsi(close,14)"
OTHER = "bars:DEMO:S02@1m"
EPOCH = Epoch("e1")


def held(channels: list[str], *, first: int = 1, since: int = 0, payload: bytes = b"{}") -> Held:
    """A topic whose finals belong to `channels`, one after the other; those before offset `first` were let go."""
    finals = [HeldFinal(Offset(i), Publication(c, payload)) for i, c in enumerate(channels, 1)]
    newest = {f.publication.channel: NewestFinal(Offset(since), f.offset, b"newest") for f in finals}
    newest.setdefault(RSI, NewestFinal(Offset(since), Offset(0), None))
    top = Offset(len(channels))
    return Held(EPOCH, 7, top, Offset(min(first, top + 1)), tuple(f for f in finals if f.offset >= first), newest)


def at(offset: int, epoch: str = "e1") -> StreamPosition:
    return StreamPosition(Epoch(epoch), Offset(offset))


def test_a_client_without_a_position_gets_the_top_and_the_newest_final() -> None:
    start = recover(held([RSI, OTHER, RSI, OTHER]), RSI, None)
    assert (start.recovered, start.offset, start.publications, start.newest) == (False, 4, (), b"newest")


def test_a_client_gets_the_finals_of_its_channel_after_its_position_and_its_own_offset_back() -> None:
    start = recover(held([RSI, OTHER, RSI, RSI]), RSI, at(1))
    assert start.recovered
    assert start.offset == 1
    assert [f.offset for f in start.publications] == [3, 4]
    assert start.newest is None


def test_a_client_that_missed_nothing_of_its_channel_gets_the_top() -> None:
    start = recover(held([RSI, OTHER, OTHER]), RSI, at(1))
    assert (start.recovered, start.offset, start.publications, start.newest) == (True, 3, (), None)


def test_an_empty_epoch_is_not_compared() -> None:
    assert recover(held([RSI, RSI]), RSI, at(1, "")).recovered


def test_another_epoch_cannot_be_recovered_and_the_newest_final_follows() -> None:
    start = recover(held([RSI, RSI]), RSI, at(1, "e0"))
    assert (start.recovered, start.offset, start.newest) == (False, 2, b"newest")


def test_a_position_before_the_computing_began_cannot_be_recovered() -> None:
    assert not recover(held([OTHER, OTHER, RSI], since=2), RSI, at(1)).recovered
    assert recover(held([OTHER, OTHER, RSI], since=2), RSI, at(2)).recovered


def test_a_position_above_the_top_cannot_be_recovered_and_what_the_client_has_is_not_sent_again() -> None:
    start = recover(held([RSI, RSI]), RSI, at(3))
    assert (start.recovered, start.newest) == (False, None)


def test_finals_that_were_let_go_cannot_be_recovered_unless_none_of_them_was_the_channels() -> None:
    channels = [RSI, OTHER, RSI, OTHER]
    assert not recover(held(channels, first=3), RSI, at(1)).recovered
    assert recover(held(channels, first=3), RSI, at(2)).recovered
    assert recover(held(channels, first=5), RSI, at(3)).recovered


def test_a_channel_that_nobody_computes_cannot_be_recovered() -> None:
    assert not recover(held([OTHER]), "bars:DEMO:S03@1m", at(0)).recovered


def test_more_than_the_most_publications_are_not_recovered_in_part() -> None:
    most = [RSI] * MAX_PUBLICATIONS
    assert len(recover(held(most), RSI, at(0)).publications) == MAX_PUBLICATIONS
    more = recover(held([*most, RSI]), RSI, at(0))
    assert (more.recovered, more.publications) == (False, ())


@pytest.mark.parametrize("count", [10, 100])
def test_more_than_a_reply_holds_is_not_recovered(count: int) -> None:
    fits = held([RSI] * count, payload=b"x" * (MAX_REPLY_BYTES // (count + 5) - 100))
    assert recover(fits, RSI, at(0)).recovered
    large = held([RSI] * count, payload=b"x" * (MAX_REPLY_BYTES // count))
    assert not recover(large, RSI, at(0)).recovered


@given(
    channels=st.lists(st.sampled_from([RSI, OTHER]), max_size=12),
    first=st.integers(1, 14),
    since=st.integers(0, 12),
    position=st.integers(0, 14),
)
def test_what_is_recovered_is_exactly_what_was_published_after_the_position(
    channels: list[str], first: int, since: int, position: int
) -> None:
    start = recover(held(channels, first=first, since=since), RSI, at(position))
    truth = [i for i, c in enumerate(channels, 1) if c == RSI and i > position]
    if start.recovered:
        assert [f.offset for f in start.publications] == truth
    else:
        assert start.publications == ()
        perhaps_lost = bool(truth) and first > position + 1
        assert perhaps_lost or position < since or position > len(channels)
