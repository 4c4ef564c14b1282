"""Where a socket comes from, as limits count it: through proxies that are trusted, and no others. Pure; no I/O."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IPV6_CLIENT_BITS: Final = 64
"""What one customer has of IPv6 at least: limits count these networks, because the addresses in one are free."""


class Proxies:
    """The proxies in front of a gateway, whose word is taken for where a request comes from."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Take addresses and networks, as ``10.0.0.0/8``. Raises ValueError for what is none."""
        self._networks = tuple(ip_network(network) for network in networks)

    def trusted(self, address: str) -> bool:
        """Whether this is the address of one of them."""
        if not self._networks:
            return False
        found = _parse(address)
        return found is not None and any(found in network for network in self._networks)

    def client_of(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The address behind the proxies: the last that none of them has, of the peer's and those that it forwards.

        `forwarded_for`: the values of X-Forwarded-For, in order. What a proxy forwards that is no address is not taken.
        """
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        address = peer
        while hops and self.trusted(address) and _parse(hops[-1]) is not None:
            address = hops.pop()
        return address


@lru_cache(maxsize=4096)
def counted(address: str) -> str:
    """The name under which limits count an address: of IPv6 the network of 64 bits, of others all."""
    found = _parse(address) if ":" in address else None  # of IPv4 there is one way to write it
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, IPV6_CLIENT_BITS), strict=False))
    return address if found is None else str(found)


@lru_cache(maxsize=4096)
def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped
