"""A connection is found by its subscriber, its token and its name, for as long as it is there."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.holders import Holder, Holders
from wire.close import Close


class Held:
    def __init__(self, client_id: str) -> None:
        self.client_id = client_id

    def shut(self, reason: Close) -> None:
        pass


HOLDERS = [Held(str(n)) for n in range(4)]
STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"]), st.sampled_from([b"a", b"b"])), max_size=40
)


@given(STEPS)
def test_each_is_found_by_what_it_was_added_with_until_it_is_removed(
    steps: list[tuple[bool, int, str, bytes]],
) -> None:
    holders = Holders()
    there: dict[Holder, tuple[str, bytes]] = {}
    for is_added, n, sub, digest in steps:
        holder = HOLDERS[n]
        if is_added and holder not in there:
            holders.add(holder, sub, digest)
            there[holder] = (sub, digest)
        elif not is_added and holder in there:
            holders.remove(holder, *there.pop(holder))
        for key in ("a", "b", b"a", b"b"):
            found = holders.of(key)
            assert len(found) == len(set(found))
            assert set(found) == {each for each, keys in there.items() if key in keys}
        for each in HOLDERS:
            assert holders.of_client(each.client_id) == ((each,) if each in there else ())
    for last, keys in there.items():
        holders.remove(last, *keys)
    assert holders._held == {}


def test_removing_what_is_not_there_changes_nothing() -> None:
    holders = Holders()
    holders.add(HOLDERS[0], "a", b"a")
    holders.remove(HOLDERS[1], "a", b"a")
    holders.remove(HOLDERS[1], "c", b"c")
    assert holders.of("a") == holders.of(b"a") == (HOLDERS[0],)
