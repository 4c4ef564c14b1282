"""Who may not come in is told so before the upgrade, whatever it asks for, and is gone within a second."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.config import NO_LIMITS, LimitsConfig, TimingConfig
from tests.gateway.service import Service, running
from tests.gateway.test_reception import HANDSHAKE, PLAIN, Client, client, connections

OURS = ("127.0.0.1",)


def only(**limits: Any) -> LimitsConfig:
    return msgspec.structs.replace(NO_LIMITS, **limits)


def from_(*hops: str) -> bytes:
    """A handshake that names where it was forwarded from."""
    return HANDSHAKE.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: " + ", ".join(hops).encode() + b"\r\n\r\n")


def turned_away(service: Service) -> dict[str, float]:
    limits = ("connections", "connections_per_address", "handshakes", "handshakes_per_address")
    counts = {limit: service.sample("gateway_turned_away_total", {"limit": limit}) for limit in limits}
    return {limit: count for limit, count in counts.items() if count}


async def answer_of(peer: Client, sent: bytes = HANDSHAKE) -> bytes:
    peer.send(sent)
    return await peer.head()


async def statuses(service: Service, stack: AsyncExitStack, *sent: bytes) -> list[int]:
    """The answers to sockets that come one after the other and stay."""
    found = []
    for each in sent:
        peer = await stack.enter_async_context(client(service))
        found.append(int((await answer_of(peer, each)).split()[1]))
    return found


async def test_one_too_many_is_answered_503_with_the_time_to_come_back_and_closed() -> None:
    async with running(limits=only(connections=1)) as service, client(service) as first, client(service) as second:
        assert (await answer_of(first)).startswith(b"HTTP/1.1 101 ")
        head = await answer_of(second)
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 10\r\n" in head
        assert b"\r\nConnection: close\r\n" in head
        assert await second.rest() == b"Too many connections, or too fast: try again later.\n"
        assert turned_away(service) == {"connections": 1}


@pytest.mark.parametrize("sent", [PLAIN, b"nonsense", HANDSHAKE[:5]])
async def test_whatever_it_asks_for_is_not_read(sent: bytes) -> None:
    async with running(limits=only(connections=1)) as service, client(service), client(service) as second:
        assert (await answer_of(second, sent)).startswith(b"HTTP/1.1 503 ")


async def test_who_goes_makes_room() -> None:
    async with running(limits=only(connections=1, connections_per_address=1)) as service:
        for _ in range(3):
            async with client(service) as peer:
                assert (await answer_of(peer)).startswith(b"HTTP/1.1 101 ")
            await connections(service, 0)
        async with client(service) as peer:
            assert (await answer_of(peer, PLAIN)).startswith(b"HTTP/1.1 200 ")
            await peer.rest()
        async with client(service) as peer:
            peer.send(b"nonsense\r\n\r\n")
            assert (await peer.rest()).startswith(b"HTTP/1.1 400 ")
        await connections(service, 0)
        assert turned_away(service) == {}


async def test_who_is_turned_away_and_says_nothing_is_cut_within_a_second_or_so() -> None:
    timing = TimingConfig(connect_s=60)
    async with running(limits=only(connections=1), timing=timing) as service, client(service), client(service) as late:
        async with asyncio.timeout(5):
            assert await late.rest() == b""
        await connections(service, 1)


async def test_one_address_may_have_so_many_and_a_silent_socket_counts() -> None:
    limits = only(connections_per_address=3)
    async with running(limits=limits) as service, AsyncExitStack() as stack, client(service):
        await connections(service, 1)
        assert await statuses(service, stack, HANDSHAKE, HANDSHAKE, HANDSHAKE) == [101, 101, 503]
        assert turned_away(service) == {"connections_per_address": 1}


async def test_so_many_may_come_at_once_and_no_more_are_told_when_to_come() -> None:
    limits = only(handshakes_per_s=0.01, handshake_burst=2)
    async with running(limits=limits) as service, AsyncExitStack() as stack, client(service) as late:
        assert await statuses(service, stack, PLAIN) == [200]
        last = await stack.enter_async_context(client(service))
        head = await answer_of(last)
        assert head.startswith(b"HTTP/1.1 503 ")
        (retry_s,) = (int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Retry-After"))
        assert 90 <= retry_s <= 100
        assert (await answer_of(late)).startswith(b"HTTP/1.1 101 "), "it came before"
        assert turned_away(service) == {"handshakes": 1}


async def test_one_address_may_come_so_often() -> None:
    limits = only(handshakes_per_address_per_s=0.01, handshake_burst_per_address=2)
    async with running(limits=limits) as service, AsyncExitStack() as stack:
        assert await statuses(service, stack, PLAIN, HANDSHAKE, HANDSHAKE) == [200, 101, 503]
        assert turned_away(service) == {"handshakes_per_address": 1}


async def test_behind_a_proxy_of_ours_the_address_that_it_forwards_counts() -> None:
    limits = only(connections_per_address=1, trusted_proxies=OURS)
    sent = (from_("203.0.113.1"), from_("203.0.113.2"), from_("203.0.113.9", "203.0.113.1"), from_("::1"))
    async with running(limits=limits) as service, AsyncExitStack() as stack:
        assert await statuses(service, stack, *sent) == [101, 101, 503, 101]


async def test_who_comes_through_a_proxy_and_goes_makes_room() -> None:
    limits = only(connections_per_address=1, trusted_proxies=OURS)
    async with running(limits=limits) as service:
        for _ in range(3):
            async with client(service) as peer:
                assert (await answer_of(peer, from_("203.0.113.1"))).startswith(b"HTTP/1.1 101 ")
            await connections(service, 0)


async def test_what_anybody_else_forwards_does_not_count() -> None:
    async with running(limits=only(connections_per_address=1)) as service, AsyncExitStack() as stack:
        assert await statuses(service, stack, from_("203.0.113.1"), from_("203.0.113.2")) == [101, 503]


async def test_sockets_of_a_proxy_that_say_nothing_are_not_one_address() -> None:
    limits = only(connections_per_address=1, trusted_proxies=OURS)
    async with running(limits=limits) as service, AsyncExitStack() as stack, client(service), client(service):
        await connections(service, 2)
        assert await statuses(service, stack, from_("203.0.113.1")) == [101]


async def test_those_that_were_turned_away_and_have_gone_make_no_room() -> None:
    async with running(limits=only(connections=1)) as service, client(service) as first:
        assert (await answer_of(first)).startswith(b"HTTP/1.1 101 ")
        for _ in range(5):
            async with client(service) as peer:
                assert (await answer_of(peer)).startswith(b"HTTP/1.1 503 ")
            await connections(service, 1)


async def test_a_storm_of_sockets_is_turned_away_and_leaves_nothing() -> None:
    limits = only(handshakes_per_s=0.01, handshake_burst=1)
    async with running(limits=limits) as service:
        for _ in range(20):
            async with AsyncExitStack() as stack:
                peers = [await stack.enter_async_context(client(service)) for _ in range(20)]
                for peer in peers:
                    peer.send(HANDSHAKE)
                for peer in peers[1:]:
                    assert (await peer.head()).startswith(b"HTTP/1.1 503 ")
        await connections(service, 0)
        async with client(service) as peer:
            assert (await answer_of(peer)).startswith(b"HTTP/1.1 503 ")


async def test_a_library_sees_the_status() -> None:
    async with running(limits=only(connections=1)) as service, service.connected():
        with pytest.raises(InvalidStatus) as refused:
            await connect(service.url, proxy=None)
        assert refused.value.response.status_code == 503


async def test_by_default_a_few_hundred_come_from_one_address_at_once() -> None:
    async with running() as service, AsyncExitStack() as stack:
        assert set(await statuses(service, stack, *[HANDSHAKE] * 300)) == {101}
