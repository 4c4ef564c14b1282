"""What recordings are called when they are played."""

import pytest

from engine.feeds.errors import FeedError
from engine.feeds.naming import named
from tests.engine.feeds.hand_recording import HandRecording
from wire.market import Instrument

AIG = Instrument("NYSE", "AIG")


def test_recordings_are_of_the_venue_that_they_name() -> None:
    names = named([HandRecording(("B", "C"), "X"), HandRecording(("A",), "X")], None, None)
    assert (names.venue, names.symbols) == ("X", ("A", "B", "C"))
    assert list(names.slots) == [{"B": 1, "C": 2}, {"A": 0}]


def test_the_option_venue_goes_before_what_they_name() -> None:
    assert named([HandRecording(("A",), "X"), HandRecording(("B",))], "Y", None).venue == "Y"


def test_the_option_instrument_gives_venue_and_symbol() -> None:
    names = named([HandRecording(("aig something",))], None, AIG)
    assert (names.venue, names.symbols, list(names.slots)) == ("NYSE", ("AIG",), [{"aig something": 0}])
    assert named([HandRecording()], "NYSE", AIG).venue == "NYSE"


def test_days_of_one_instrument_are_one_symbol() -> None:
    days = [HandRecording(("b",), last_ns=9), HandRecording(("a",), first_ns=10, last_ns=19)]
    names = named(days, None, AIG)
    assert (names.symbols, list(names.slots)) == (("AIG",), [{"b": 0}, {"a": 0}])


@pytest.mark.parametrize(
    ("recordings", "venue", "instrument", "message"),
    [
        ([HandRecording()], None, None, "hand: expected the option venue= or instrument=VENUE:SYMBOL, .* AIG was"),
        ([HandRecording(("A",), "X"), HandRecording(("B",))], None, None, "hand: expected the option venue="),
        ([HandRecording(("A",), "X"), HandRecording(("B",), "Y")], None, None, "option venue: .* found X and Y"),
        ([HandRecording()], "LSE", AIG, "option venue: expected NYSE, as in instrument=NYSE:AIG, found LSE"),
        ([HandRecording(("A", "B"))], None, AIG, "hand: option instrument: .* one symbol, found A, B"),
        ([HandRecording(("a b",))], "X", None, "hand: expected the option instrument=.* 'a b'"),
        (
            [HandRecording(), HandRecording(first_ns=10, last_ns=12)],
            "X",
            None,
            r"replay of hand\+hand: .* found AIG in",
        ),
        ([HandRecording(("A",)), HandRecording(("B",))], None, AIG, "expected each symbol in one file at a time"),
    ],
)
def test_what_remains_unknown_or_cannot_be_is_told_with_the_option(
    recordings: list[HandRecording], venue: str | None, instrument: Instrument | None, message: str
) -> None:
    with pytest.raises(FeedError, match=message):
        named(recordings, venue, instrument)


def test_recordings_overlap_in_whatever_order_they_are_given() -> None:
    later = HandRecording(first_ns=11, last_ns=20)
    named([HandRecording(), later], "X", None)
    named([later, HandRecording()], "X", None)
    with pytest.raises(FeedError, match="at a time"):
        named([later, HandRecording(), HandRecording(first_ns=15, last_ns=16)], "X", None)
