"""A proxy in front: what it reads as one request the gateway does not read as two, and nobody speaks for others."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.config import NO_LIMITS, LimitsConfig
from tests.attack.attacker import CLOSE, CONNECT, Attacker, attacker, command, frame, handshake
from tests.attack.haproxy import HaProxy
from tests.attack.test_handshakes import SMUGGLED, STATUS
from tests.gateway.service import BARS, Service, running
from tests.waiting import until

PROXY = "127.0.0.9"
HEALTH = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
MARKED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
OK = b'{"status":"ok"}'


@asynccontextmanager
async def proxied(limits: LimitsConfig | None = None) -> AsyncIterator[tuple[Service, HaProxy]]:
    async with running(limits=limits) as service, HaProxy(service.port) as proxy:
        yield service, proxy


async def health(proxy: HaProxy) -> bytes:
    """What the next client gets, who asks for /health alone."""
    async with attacker(proxy.port) as peer:
        peer.send(HEALTH)
        peer.writer.write_eof()
        return await peer.rest()


async def test_a_client_is_served_through_it() -> None:
    async with proxied() as (_, proxy), attacker(proxy.port) as peer:
        peer.send(handshake(connection="keep-alive, Upgrade"))
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        peer.send(CONNECT, frame(command(2, subscribe={"channel": BARS})))
        assert "connect" in await peer.message()
        assert "subscribe" in await peer.message()


async def test_whatever_is_smuggled_the_next_client_gets_its_own_answer() -> None:
    async with proxied() as (_, proxy):
        for name, (sent, _) in SMUGGLED.items():
            for behind in (MARKED, b"5\r\nGET /\r\n0\r\n\r\n" + MARKED, handshake() + CONNECT):
                async with attacker(proxy.port) as peer:
                    peer.send(sent, behind)
                    peer.writer.write_eof()
                    await peer.rest()
                    for _ in range(2):
                        answer = await health(proxy)
                        assert STATUS.findall(answer) == [b"200"], name
                        assert answer.endswith(OK), name


@pytest.mark.parametrize(
    "sent",
    [
        handshake().replace(b"Version: 13", b"Version: 777"),
        handshake().replace(b"Sec-WebSocket-Key", b"X"),
        handshake(path="/health"),
        handshake(path="/nowhere"),
        handshake("Content-Length: 44"),
    ],
)
async def test_an_upgrade_that_fails_opens_no_tunnel(sent: bytes) -> None:
    async with proxied() as (service, proxy), attacker(proxy.port) as peer:
        peer.send(sent)
        head = await peer.head()
        assert not head.startswith(b"HTTP/1.1 101 ")
        peer.send(CONNECT, MARKED)
        rest = await peer.rest()
        assert b"Nothing is served at this address" not in rest.partition(b"\r\n\r\n")[2]
        assert b'"connect"' not in rest
        assert service.users.requests["all"] == 0


async def test_what_is_in_a_tunnel_is_no_request_of_anybody() -> None:
    async with proxied() as (_, proxy), attacker(proxy.port) as peer:
        peer.send(handshake())
        await peer.head()
        peer.send(MARKED)
        assert (await peer.ending()).code == 1002
        assert (await health(proxy)).endswith(OK)


async def test_clients_that_share_a_proxy_never_get_each_others_frames() -> None:
    async with proxied(NO_LIMITS) as (service, proxy):

        async def one(token: str, channel: str) -> set[str]:
            async with attacker(proxy.port) as peer:
                peer.send(handshake())
                await peer.head()
                peer.send(
                    frame(command(1, connect={"token": token}) + b"\n" + command(2, subscribe={"channel": channel}))
                )
                assert "connect" in await peer.message()
                assert "subscribe" in await peer.message()
                ready.release()
                await published.wait()
                first = await peer.message()
                peer.send(frame(b"\x03\xe8", CLOSE))
                return {message["push"]["channel"] for message in [first, *(await peer.ending()).messages]}

        ready, published = asyncio.Semaphore(0), asyncio.Event()
        names = [f"bars:DEMO:S0{1 + n % 3}@1m" for n in range(30)]
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(one("all", name)) for name in names]
            for _ in names:
                await ready.acquire()
            for name in set(names):
                await service.engine.publish(name, name, final=True)
            published.set()
        assert [client.result() for client in clients] == [{name} for name in names]


# where a client comes from

TWO_EACH = LimitsConfig(connections_per_address=2, trusted_proxies=(PROXY,))
DISTRUSTING = LimitsConfig(connections_per_address=2)


async def admitted(peer: Attacker, *lines: str) -> bool:
    peer.send(handshake(*lines))
    head = await peer.head()
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    assert status is not None
    assert status[1] in {b"101", b"503"}
    if status[1] == b"503":
        assert b"\r\nretry-after: " in head.lower()
    return status[1] == b"101"


async def count_admitted(port: int, hosts: list[str], *lines: str) -> int:
    """How many of so many clients, each from its own address, are here at once."""
    let_in: list[bool] = []
    async with asyncio.TaskGroup() as tasks:
        done = asyncio.Event()
        answered = asyncio.Semaphore(0)

        async def one(number: int, host: str) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
            try:
                let_in.append(await admitted(Attacker(reader, writer), *(line.format(number) for line in lines)))
                answered.release()
                await done.wait()
            finally:
                writer.transport.abort()

        for number, host in enumerate(hosts):
            tasks.create_task(one(number, host))
        for _ in hosts:
            await answered.acquire()
        done.set()
    return sum(let_in)


FORGED = "X-Forwarded-For: 10.9.8.{}"


@pytest.mark.parametrize(
    "line", [FORGED, "X-Forwarded-For: 10.9.8.{}, 127.0.0.9", "Forwarded: for=10.9.8.{}", "X-Real-IP: 10.9.8.{}"]
)
async def test_nobody_but_a_trusted_proxy_says_where_a_client_comes_from(line: str) -> None:
    for limits in (TWO_EACH, DISTRUSTING):
        async with running(limits=limits) as service:
            assert await count_admitted(service.port, ["127.0.0.1"] * 5, line) == 2


async def test_a_trusted_proxy_is_believed_and_what_its_client_forged_before_it_is_not() -> None:
    async with proxied(TWO_EACH) as (service, proxy):
        for lines in (
            (),
            (FORGED,),
            (FORGED, FORGED),
            ("X-Forwarded-For: 127.0.0.9",),
            ("X-Forwarded-For: nonsense {}",),
        ):
            hosts = ["127.0.0.2"] * 3 + ["127.0.0.3"] * 4
            assert await count_admitted(proxy.port, hosts, *lines) == 4
            await until(lambda: service.sample("gateway_connections") == 0)  # the proxy takes a moment to hang up


async def test_a_proxy_that_is_not_trusted_is_one_client() -> None:
    async with proxied(DISTRUSTING) as (_, proxy):
        assert await count_admitted(proxy.port, ["127.0.0.2", "127.0.0.3", "127.0.0.4"], FORGED) == 2


async def test_a_client_that_comes_itself_from_an_address_it_forges_is_counted_as_itself() -> None:
    async with proxied(TWO_EACH) as (service, proxy):
        direct = count_admitted(service.port, ["127.0.0.2"] * 3, "X-Forwarded-For: 127.0.0.3")
        through = count_admitted(proxy.port, ["127.0.0.3"] * 2)
        assert sum(await asyncio.gather(direct, through)) == 4
