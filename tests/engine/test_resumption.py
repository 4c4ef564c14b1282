"""Going on after another owner: nothing is published twice, and what is missing is known."""

import pytest

from engine.resumption import MAX_MISSED, MAX_MISSED_FINALS, Closing, Missed, Resumption

BOUNDARY = "DEMO@1s"


def closing(second: int) -> Closing:
    return Closing(BOUNDARY, second * 1000, 1000, None)


@pytest.fixture
def resumption() -> Resumption:
    """Going on behind second 10; a was computed before, and is still."""
    resumption = Resumption({BOUNDARY: 10_000})
    resumption.go_on("a", BOUNDARY)
    return resumption


def test_boundaries_that_were_published_are_past(resumption: Resumption) -> None:
    assert resumption.reach(closing(9)) is None
    assert resumption.resumes(BOUNDARY)
    assert resumption.reach(closing(10)) is None
    assert not resumption.resumes(BOUNDARY)


def test_the_next_boundary_misses_nothing(resumption: Resumption) -> None:
    missed = resumption.reach(closing(11))
    assert missed is not None
    assert not missed.opens_ms


def test_a_later_boundary_misses_all_between_for_those_that_were_computed(resumption: Resumption) -> None:
    missed = resumption.reach(closing(13))
    assert missed == Missed(range(11_000, 13_000, 1000), ("a",))


def test_what_was_reached_once_is_not_asked_about_again(resumption: Resumption) -> None:
    assert resumption.reach(closing(10)) is None
    assert resumption.reach(closing(20)) == Missed(range(0), ())


def test_a_channel_that_is_dropped_meanwhile_misses_nothing(resumption: Resumption) -> None:
    resumption.drop("a")
    missed = resumption.reach(closing(13))
    assert missed is not None
    assert missed.channels == ()


def test_a_timeframe_that_was_never_published_has_nothing_to_go_on_from(resumption: Resumption) -> None:
    assert resumption.reach(Closing("DEMO@1m", 0, 60_000, None)) == Missed(range(0), ())
    assert not resumption.is_past("DEMO@1m", 0)


def test_live_values_are_past_until_the_boundary_was_reached(resumption: Resumption) -> None:
    assert [resumption.is_past(BOUNDARY, second * 1000) for second in (9, 10, 11)] == [True, True, False]
    resumption.reach(closing(10))
    assert not resumption.is_past(BOUNDARY, 10_000)


@pytest.mark.parametrize(
    ("boundaries", "channels", "too_many"),
    [
        (MAX_MISSED, 1, False),
        (MAX_MISSED + 1, 1, True),
        (MAX_MISSED + 1, 0, False),
        (10, MAX_MISSED_FINALS // 10, False),
        (10, MAX_MISSED_FINALS // 10 + 1, True),
    ],
)
def test_there_can_be_too_much_to_tell(boundaries: int, channels: int, too_many: bool) -> None:
    assert Missed(range(boundaries), ("a",) * channels).too_many is too_many
