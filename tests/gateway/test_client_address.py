"""Where a client comes from: proxies are believed if they are ours, and nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client_address import Proxies, counted

OURS = Proxies(("10.0.0.0/8", "192.0.2.7", "fd00::/8"))
FORGED = st.lists(st.sampled_from(["203.0.113.9", "10.9.9.9", "evil", "", "::1", "1.2.3.4:80"]), max_size=5)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("198.51.100.1", ("203.0.113.9",), "198.51.100.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("203.0.113.9, 10.0.0.2",), "203.0.113.9"),
        ("10.0.0.1", ("203.0.113.9", "192.0.2.7,10.0.0.2"), "203.0.113.9"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("203.0.113.9, unknown",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.9,",), "10.0.0.1"),
        ("fd00::1", ("2001:db8::1",), "2001:db8::1"),
        ("::ffff:10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("no address", ("203.0.113.9",), "no address"),
    ],
)
def test_the_last_address_that_no_proxy_of_ours_has_is_the_clients(
    peer: str, forwarded_for: tuple[str, ...], client: str
) -> None:
    assert OURS.client_of(peer, forwarded_for) == client


@given(FORGED)
def test_whatever_a_client_writes_our_proxy_says_who_it_is(forged: list[str]) -> None:
    assert OURS.client_of("10.0.0.1", (*forged, "198.51.100.1")) == "198.51.100.1"
    assert OURS.client_of("10.0.0.1", (", ".join((*forged, "198.51.100.1")),)) == "198.51.100.1"


@given(FORGED)
def test_who_is_no_proxy_of_ours_is_itself_whatever_it_writes(forged: list[str]) -> None:
    assert OURS.client_of("198.51.100.1", tuple(forged)) == "198.51.100.1"
    assert Proxies(()).client_of("10.0.0.1", tuple(forged)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("no address", "no address"),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(address: str, name: str) -> None:
    assert counted(address) == name


def test_a_proxy_that_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Proxies(("nonsense",))
