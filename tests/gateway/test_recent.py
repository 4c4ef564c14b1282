"""What is remembered of a topic is every final above its beginning, and no more bytes than it may be."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.recent import FINAL_BYTES, RECENT_BYTES, Recent
from wire.envelope import HeldFinal, Publication
from wire.position import Offset


def final(offset: int, channel: str = "a", size_bytes: int = 1) -> HeldFinal:
    return HeldFinal(Offset(offset), Publication(channel, b"x" * size_bytes))


@given(st.lists(st.sampled_from("ab"), max_size=30), st.integers(0, 100), st.integers(0, 30))
def test_the_finals_of_a_channel_above_an_offset_are_found(channels: list[str], begin: int, back: int) -> None:
    recent = Recent()
    recent.clear(Offset(begin))
    finals = [final(begin + 1 + i, channel) for i, channel in enumerate(channels)]
    for each in finals:
        recent.add(each)
    since = begin + min(back, len(finals))
    wanted = tuple(each for each in finals if each.offset > since and each.publication.channel == "a")
    assert recent.after(Offset(since), "a") == wanted
    assert recent.begin == begin


def test_a_final_that_does_not_follow_makes_a_new_beginning() -> None:
    recent = Recent()
    recent.add(final(1))
    recent.add(final(3))
    assert recent.begin == 2
    assert recent.after(Offset(2), "a") == (final(3),)


def test_the_oldest_go_when_there_is_too_much() -> None:
    recent = Recent()
    size_bytes = RECENT_BYTES // 4 - FINAL_BYTES
    for offset in range(1, 8):
        recent.add(final(offset, size_bytes=size_bytes))
    assert len(recent) == 4
    assert recent.begin == 3
    assert [each.offset for each in recent.after(Offset(3), "a")] == [4, 5, 6, 7]


def test_after_the_newest_there_is_nothing() -> None:
    recent = Recent()
    recent.add(final(1))
    assert recent.after(Offset(1), "a") == ()
    assert recent.after(Offset(9), "a") == ()
