"""The real thing for tests: a Redis server, one engine and two gateways in processes of their own."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from runtime.secret import Secret
from standins.redis import RedisServer
from standins.user_service import TokenRecord, UserServiceStandIn
from tests.conformance.official_client import Event, Events
from tests.system.commands import Ended, Running, run_command, serving

KEY = "a key between services"
TOKEN = "everything"
READY_S = 30.0
AT_ONCE = "[drain]\nlinger_s = 0\nperiod_s = 0\n"
"""A gateway that is terminated does not take its time."""


class Node:
    """One process of ours, that can be ended in any way and started again on the same ports."""

    def __init__(self, command: str, config: Path, admin_port: int, port: int = 0) -> None:
        self.port = port
        self._command = command
        self._config = config
        self._admin_port = admin_port
        self._exits = AsyncExitStack()
        self.process: Running | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.process.pid

    async def start(self) -> None:
        environment = {**os.environ, "INTERNAL_API_KEY": KEY}
        running = serving(self._command, "--config", str(self._config), environment=environment)
        self.process = await self._exits.enter_async_context(running)
        await self.process.line("admin at")

    async def kill(self) -> None:
        """End it as a crash does."""
        assert self.process is not None
        self.process.process.kill()
        await self.process.process.communicate()

    async def stop(self) -> Ended:
        """End it as an orchestrator does."""
        assert self.process is not None
        return await self.process.end(signal.SIGTERM)

    async def close(self) -> None:
        await self._exits.aclose()

    async def is_ready(self) -> tuple[bool, dict[str, Any]]:
        """What its readiness probe says."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{self._admin_port}/ready") as response:
                    said = await response.json()
                    return response.status == 200, said
            except aiohttp.ClientConnectionError as error:
                return False, {"error": str(error)}

    async def ready(self, *, expected: bool = True) -> None:
        """Wait until its readiness probe says so."""
        said: dict[str, Any] = {}
        try:
            async with asyncio.timeout(READY_S):
                while True:
                    ready, said = await self.is_ready()
                    if ready is expected:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"expected ready to be {expected} within {READY_S} s, found {said}") from None

    async def counted(self, name: str) -> None:
        """Wait until its metrics have counted one of these."""
        async with asyncio.timeout(READY_S):
            while not await self.metric(name):  # noqa: ASYNC110 - there is no event
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> float:
        """One sample of its metrics, by its name with labels; 0 while there is none."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self._admin_port}/metrics") as response,
        ):
            for line in (await response.text()).splitlines():
                if line.startswith(f"{name} "):
                    return float(line.rsplit(" ", 1)[1])
        return 0.0


class Spine:
    """All processes of a deployment."""

    def __init__(self, redis: RedisServer, engine: Node, gateways: list[Node]) -> None:
        self.redis = redis
        self.engine = engine
        self.gateways = gateways

    async def ready(self) -> None:
        for node in (self.engine, *self.gateways):
            await node.ready()


@asynccontextmanager
async def spine(
    directory: Path,
    feed: str,
    *,
    appendonly: bool = True,
    gateways: int = 2,
    gateway_tables: str = "",
    engine_tables: str = "",
) -> AsyncIterator[Spine]:
    """A deployment on free ports; nothing of it outlives the context. The tables are more of their TOML.

    Without a ``[drain]`` among them gateways leave at once.
    """
    drain = "" if "[drain]" in gateway_tables else AT_ONCE
    async with AsyncExitStack() as exits:
        redis = await exits.enter_async_context(RedisServer(appendonly=appendonly))
        users = UserServiceStandIn({TOKEN: TokenRecord(sub="1", channels=("*",))}, api_key=Secret(KEY))
        await exits.enter_async_context(users)
        ports = _free_ports(1 + 2 * gateways)
        bus = f'[redis]\nurl = "{redis.url}"\n'
        config = directory / "engine.toml"
        config.write_text(f'{bus}[admin]\nport = {ports[0]}\n[[feeds]]\nfeed = "{feed}"\n{engine_tables}')
        engine = Node("engine", config, ports[0])
        nodes = []
        for i in range(gateways):
            port, admin_port = ports[1 + 2 * i : 3 + 2 * i]
            config = directory / f"gateway{i}.toml"
            config.write_text(
                f"{bus}[listen]\nport = {port}\n[admin]\nport = {admin_port}\n"
                f'[user_service]\nurl = "{users.url}"\n{drain}{gateway_tables}'
            )
            nodes.append(Node("gateway", config, admin_port, port))
        for node in (engine, *nodes):
            exits.push_async_callback(node.close)
        await asyncio.gather(*(node.start() for node in (engine, *nodes)))
        deployment = Spine(redis, engine, nodes)
        await deployment.ready()
        yield deployment


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, below those that the system gives to whoever connects."""
    found: list[int] = []
    for port in random.sample(range(12_000, 32_000), 20 * count):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found[:count]


async def computed_finals(channel: str, feed: str) -> list[dict[str, Any]]:
    """The true sequence of a channel's finals, as `signal-service compute` gives it."""
    ended = await run_command("compute", channel, "--feed", feed)
    assert ended.status == 0, ended.error
    return [line["data"] for line in ended.lines]


def finals_of(events: Events, channel: str) -> list[Event]:
    """The publications of a channel so far that are final, in their order."""
    return [event for event in events.of("publication", channel=channel) if event["data"]["final"]]


def check_unbroken(found: list[dict[str, Any]], truth: list[dict[str, Any]]) -> None:
    """Every final from the first one on is there, once, in order, to the last digit, up to the newest one found."""
    assert found, "no final came"
    times = [data["t"] for data in truth]
    first = times.index(found[0]["t"])
    expected = truth[first : first + len(found)]
    assert [data["t"] for data in found] == [data["t"] for data in expected]
    assert found == expected
