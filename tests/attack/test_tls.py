"""What TLS lets a client send that is no data, and no limit of frames or bytes sees: records of next to nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.config import NO_LIMITS, TimingConfig
from tests.attack.attacker import PING, frame, handshake, serves
from tests.gateway.certificates import issue
from tests.gateway.service import Service, running
from tests.gateway.slow_reader import TlsWire, tls_wire
from tests.waiting import until

PATIENT = TimingConfig(connect_s=3600.0)


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[tuple[Service, TlsWire]]:
    """A gateway that limits nothing else, and a socket behind its handshake."""
    loop = asyncio.get_running_loop()
    async with running(timing=PATIENT, limits=NO_LIMITS, tls=issue(directory)) as service:
        assert service.tls is not None
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", service.port))
            wire = await tls_wire(client, service.tls.client)
            await wire.send(handshake())
            assert (await wire.receive(4096)).startswith(b"HTTP/1.1 101 ")
            yield service, wire


def records(wire: TlsWire, pieces: list[bytes]) -> bytes:
    """A record for each."""
    for piece in pieces:
        wire._tls.write(piece)
    return wire._outgoing.read()


async def test_who_sends_more_that_wraps_its_data_than_data_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path) as (service, wire):
        sent = records(wire, [frame(size=60_000), *[b" "] * 20_000])
        with suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(wire._socket, sent)
        async with asyncio.timeout(20):
            await until(lambda: service.sample("gateway_connections") == 0)
        await serves(service)


async def test_data_in_records_of_its_own_size_is_read_however_much_it_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, wire):
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(wire._socket, records(wire, [frame(b"{}")] * 2_000))
        for _ in range(20):
            await loop.sock_sendall(wire._socket, records(wire, [frame(b"{}" + b" " * 60_000)]))
        await wire.send(frame(b"still here", PING))
        async with asyncio.timeout(20):
            assert (await wire.receive(4096)).endswith(b"still here")
