"""Peer: a server to compare with, in a process of its own, that publishes what it is told. Does I/O."""

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from loadtest.dialects import Centrifuge, Plain
from loadtest.errors import LoadTestError
from loadtest.peers.catalogue import NODE_MODULES, command, why_not
from loadtest.peers.centrifugo import CHANNEL, Centrifugo
from loadtest.peers.processor import on_core
from loadtest.peers.publish import Publish
from loadtest.target import Address, Target

HOST: Final = "127.0.0.1"
_START_S: Final = 15.0
_END_S: Final = 5.0


class Peer(Protocol):
    """A server that runs."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def target(self) -> Target:
        """Where it listens, and how one speaks there."""

    @property
    def channels(self) -> Sequence[str]:
        """What a client subscribes to; nothing where it need not."""

    async def publish(self, publish: Publish) -> None:
        """Have it publish to all who are connected, until it has handed over the last message."""


class _Obedient:
    """A process that obeys its standard input."""

    channels: Sequence[str] = ()

    def __init__(self, name: str, process: Process, port: int) -> None:
        self.pid = process.pid
        self.target = Target((Address(HOST, port),), Plain(), path="/")
        self._name = name
        self._process = process

    async def publish(self, publish: Publish) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise LoadTestError(f"{self._name}: expected pipes, found none")
        stdin.write(f"{publish.line()}\n".encode())
        if await stdout.readline() != b"published %d\n" % publish.count:
            raise LoadTestError(f"{self._name}: expected it to publish, found its end")


class _Published:
    """Centrifugo, to which somebody publishes over HTTP: this process."""

    channels: Sequence[str] = (CHANNEL,)

    def __init__(self, server: Centrifugo, session: aiohttp.ClientSession) -> None:
        self.pid = server.pid
        self.target = Target((Address(HOST, server.port),), Centrifuge())
        self._url = f"http://{HOST}:{server.port}/api/publish"
        self._session = session

    async def publish(self, publish: Publish) -> None:
        due_s = time.monotonic()
        for number in range(publish.count):
            message = publish.message(number, time.time_ns() // 1000)
            body = b'{"channel":%b,"data":%b}' % (json.dumps(CHANNEL).encode(), message)
            async with self._session.post(self._url, data=body) as response:
                said = await response.read()
                if response.status != 200 or b'"error"' in said:
                    raise LoadTestError(f"centrifugo: expected it to publish, found {response.status} {said!r}")
            due_s += publish.interval_us / 1e6
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))


@asynccontextmanager
async def peer(name: str, *, core: int | None = None, centrifugo: Path | None = None) -> AsyncIterator[Peer]:
    """Run one, on one core, from entering to leaving. Raises LoadTestError when it cannot be had."""
    if (why := why_not(name, centrifugo)) is not None:
        raise LoadTestError(f"{name}: {why}")
    if name == "centrifugo" and centrifugo is not None:
        async with Centrifugo(centrifugo, core) as server, aiohttp.ClientSession() as session:
            yield _Published(server, session)
        return
    environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
    process = await asyncio.create_subprocess_exec(
        *on_core(core, command(name)), stdin=PIPE, stdout=PIPE, env=environment
    )
    try:
        yield _Obedient(name, process, await _port(name, process))
    finally:
        await _end(process)


async def _port(name: str, process: Process) -> int:
    if process.stdout is None:
        raise LoadTestError(f"{name}: expected a pipe, found none")
    async with asyncio.timeout(_START_S):
        said, _, port = (await process.stdout.readline()).decode().partition(" ")
    if said != "listening":
        raise LoadTestError(f"{name}: expected it to listen, found its end with {await process.wait()}")
    return int(port)


async def _end(process: Process) -> None:
    """End its standard input; a process that stays is killed."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
