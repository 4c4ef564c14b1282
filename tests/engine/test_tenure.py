"""Owning a topic: one name for each acquisition, and another epoch whenever it is not sure what was published."""

import pytest

from engine.tenure import Claimed, Tenure
from wire.envelope import Ownership
from wire.position import Epoch, Offset


def own(tenure: Tenure, *, epoch: str = "e", next_offset: int = 7, number: int = 3) -> Ownership:
    return Ownership(tenure.identity, Epoch(epoch), Offset(next_offset), number)


@pytest.fixture
def tenure() -> Tenure:
    """A topic that was acquired, and then lost."""
    tenure = Tenure("engine")
    assert not tenure.claim().fresh
    assert tenure.find(own(tenure)) == (Claimed.FIRST, None)
    assert tenure.owned
    tenure.lose(Ownership("another-1", Epoch("e"), Offset(7), 3))
    return tenure


def test_a_topic_that_nobody_has_published_to_goes_on(tenure: Tenure) -> None:
    tenure.claim()
    assert tenure.find(own(tenure)) == (Claimed.SAME, None)
    assert tenure.owned


def test_a_topic_of_another_epoch_goes_on_with_it(tenure: Tenure) -> None:
    tenure.claim()
    assert tenure.find(own(tenure, epoch="f")) == (Claimed.ANEW, "bus")
    assert tenure.owned


@pytest.mark.parametrize(("next_offset", "number"), [(8, 3), (7, 4)])
def test_a_topic_that_somebody_has_published_to_is_claimed_in_another_epoch(
    tenure: Tenure, next_offset: int, number: int
) -> None:
    tenure.claim()
    assert tenure.find(own(tenure, next_offset=next_offset, number=number)) == (Claimed.DOUBTFUL, None)
    assert not tenure.owned
    before = tenure.identity
    claim = tenure.claim()
    assert (claim.fresh, claim.release, claim.known) == (True, before, tenure.stands)
    assert tenure.find(own(tenure, epoch="f", next_offset=9)) == (Claimed.ANEW, "taken")


def test_a_claim_keeps_its_name_until_it_is_answered_and_the_next_has_another(tenure: Tenure) -> None:
    first = tenure.claim()
    assert tenure.claim() == first
    tenure.find(own(tenure))
    tenure.lose(own(tenure, next_offset=1))
    second = tenure.claim()
    assert second.identity != first.identity
    assert second.release == first.identity


def test_another_epoch_is_asked_for_until_it_was_given(tenure: Tenure) -> None:
    tenure.renew("overflow")
    assert tenure.claim().fresh
    assert tenure.claim().fresh
    assert tenure.find(own(tenure, epoch="f")) == (Claimed.ANEW, "overflow")
    tenure.lose(own(tenure, epoch="f"))
    assert not tenure.claim().fresh


def test_another_epoch_that_is_needed_while_a_claim_is_on_its_way_is_asked_for_again(tenure: Tenure) -> None:
    tenure.claim()
    tenure.renew("overflow")
    tenure.find(own(tenure))
    assert not tenure.owned
    assert tenure.claim().fresh


def test_only_a_topic_under_a_name_of_ours_is_given_up(tenure: Tenure) -> None:
    assert tenure.claim().release is None
    tenure.lose(Ownership("engine-1", Epoch("e"), Offset(7), 3))
    assert tenure.claim().release == "engine-1"
    tenure.lose(Ownership("engineer-1", Epoch("e"), Offset(7), 3))
    assert tenure.claim().release is None
