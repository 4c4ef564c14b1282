"""Who may come in: each limit by itself, all of them together, and none where none is set."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import MAX_TURNED_AWAY, Admission, Cause, Overload
from gateway.config import NO_LIMITS, LimitsConfig

NS = 1_000_000_000
A, B = "198.51.100.1", "198.51.100.2"


def admission(**limits: Any) -> Admission:
    return Admission(msgspec.structs.replace(NO_LIMITS, **limits))


def test_so_many_sockets_may_be_open() -> None:
    door = admission(connections=3)
    assert door.enter(2) is None
    assert door.enter(3) == Overload(Cause.CONNECTIONS, 10)


def test_those_that_were_turned_away_do_not_count_as_open() -> None:
    door = admission(connections=3)
    assert door.turn_away()
    assert door.enter(3) is None
    assert door.enter(4) == Overload(Cause.CONNECTIONS, 10)
    door.turned_away()
    assert door.enter(3) == Overload(Cause.CONNECTIONS, 10)


def test_not_more_than_some_that_were_turned_away_may_stay_for_their_answer() -> None:
    door = admission()
    assert all(door.turn_away() for _ in range(MAX_TURNED_AWAY))
    assert not door.turn_away()
    door.turned_away()
    assert door.turn_away()


def test_so_many_may_come_from_one_address() -> None:
    door = admission(connections_per_address=2)
    assert door.admit(A, 1, 0) is None
    assert door.admit(A, 2, 0) == Overload(Cause.CONNECTIONS_PER_ADDRESS, 10)


def test_so_many_may_come_from_one_address_at_once_and_then_so_many_a_second() -> None:
    door = admission(handshakes_per_address_per_s=0.5, handshake_burst_per_address=2)
    assert [door.admit(A, 0, 0) for _ in range(2)] == [None, None]
    assert door.admit(A, 0, 0) == Overload(Cause.HANDSHAKES_PER_ADDRESS, 2)
    assert door.admit(A, 0, NS + 1) == Overload(Cause.HANDSHAKES_PER_ADDRESS, 1)
    assert door.admit(B, 0, 0) is None
    assert door.admit(A, 0, 2 * NS) is None


def test_so_many_may_come_at_once_and_then_so_many_a_second() -> None:
    door = admission(handshakes_per_s=1, handshake_burst=2)
    assert [door.admit(each, 0, 0) for each in (A, B)] == [None, None]
    assert door.admit("another", 0, 0) == Overload(Cause.HANDSHAKES, 1)
    assert door.admit("another", 0, NS) is None


def test_an_address_that_comes_too_fast_takes_nothing_from_the_others() -> None:
    door = admission(
        handshakes_per_s=1, handshake_burst=3, handshakes_per_address_per_s=1, handshake_burst_per_address=1
    )
    assert door.admit(A, 0, 0) is None
    for _ in range(100):
        assert door.admit(A, 0, 0) == Overload(Cause.HANDSHAKES_PER_ADDRESS, 1)
    assert door.admit(B, 0, 0) is None


def test_one_that_has_too_many_connections_takes_nothing_from_its_own_rate() -> None:
    door = admission(connections_per_address=1, handshakes_per_address_per_s=1, handshake_burst_per_address=1)
    assert door.admit(A, 1, 0) == Overload(Cause.CONNECTIONS_PER_ADDRESS, 10)
    assert door.admit(A, 0, 0) is None


@given(st.integers(0, 10**6), st.lists(st.integers(0, NS), max_size=50))
def test_where_no_limit_is_set_everybody_comes_in(here: int, times_ns: list[int]) -> None:
    door = admission()
    for now_ns in sorted(times_ns):
        assert door.enter(here) is None
        assert door.admit(A, here, now_ns) is None


def test_the_address_behind_a_proxy_of_ours_counts_once_it_is_known() -> None:
    door = admission(trusted_proxies=("10.0.0.0/8",))
    assert door.address(A) == A
    assert door.address("10.0.0.1") is None
    assert door.forwarded("10.0.0.1", (f"{B}, {A}",)) == A
    assert door.forwarded("10.0.0.1", ("2001:db8::1",)) == "2001:db8::/64"


def test_a_configured_proxy_that_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(msgspec.ValidationError, match="has host bits set"):
        msgspec.convert({"trusted_proxies": ["10.0.0.1/8"]}, LimitsConfig)
