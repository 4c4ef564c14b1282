"""The contract of the bus: what is revoked is told to every gateway, once, in order."""

from tests.contract.pair import Pair
from wire.revocation import Place, Revocation

ONE, TWO = Revocation(sub="one"), Revocation(token_sha256="ab" * 32)


async def _all(pair: Pair, place: Place | None) -> tuple[list[Revocation], Place]:
    found: list[Revocation] = []
    while True:
        revoked = await pair.broker.revoked(place)
        assert not revoked.missed
        found += revoked.revocations
        place = revoked.place
        if not revoked.more:
            return found, place


async def test_nothing_is_revoked_at_first(pair: Pair) -> None:
    found, place = await _all(pair, None)
    assert found == []
    assert (await _all(pair, place))[0] == []


async def test_what_was_revoked_just_before_the_first_read_is_given(pair: Pair) -> None:
    await pair.broker.revoke(ONE)
    await pair.broker.revoke(TWO)
    assert (await _all(pair, None))[0] == [ONE, TWO]


async def test_a_revocation_is_given_once_in_order_to_each_reader(pair: Pair) -> None:
    (_, here), (_, there) = await _all(pair, None), await _all(pair, None)
    await pair.broker.revoke(ONE)
    found, here = await _all(pair, here)
    assert found == [ONE]
    await pair.broker.revoke(TWO)
    await pair.broker.revoke(ONE)
    assert (await _all(pair, here))[0] == [TWO, ONE]
    assert (await _all(pair, there))[0] == [ONE, TWO, ONE]


async def test_a_place_can_be_read_from_again(pair: Pair) -> None:
    _, place = await _all(pair, None)
    await pair.broker.revoke(ONE)
    assert (await _all(pair, place))[0] == (await _all(pair, place))[0] == [ONE]


async def test_a_subscriber_may_have_any_name(pair: Pair) -> None:
    _, place = await _all(pair, None)
    names = [Revocation(sub=name) for name in ("ü \n\x00", "sub", "ab" * 32, "x" * 255)]
    for revocation in names:
        await pair.broker.revoke(revocation)
    assert (await _all(pair, place))[0] == names
