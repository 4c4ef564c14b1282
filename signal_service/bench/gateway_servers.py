"""The servers that are measured: our gateway, and its peers, each on one core with its load on the other. Does I/O."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from loadtest.deployment import Deployment, bars, deployment
from loadtest.peers.peer import Peer, peer
from loadtest.peers.processor import cpu_ns
from loadtest.peers.publish import Publish
from loadtest.reports import Sample
from loadtest.swarm import Connected, Swarm
from loadtest.target import Target
from signal_service.errors import CommandError

SERVER_CORE: Final = 0
_WAIT_S: Final = 60.0
_TRIES: Final = 10
_PING_S: Final = "3600"
"""Nobody is pinged by any server here: what is measured is what publications cost."""
_FRAME_HEAD_BYTES: Final = 4
_WRAPPING: Final = '{"push":{"channel":"","pub":{"data":,"offset":100}}}'


def load_core() -> int:
    """The core of all that puts a load on the server: the last."""
    return (os.cpu_count() or 1) - 1


class Server(Protocol):
    """What is measured."""

    @property
    def pids(self) -> Sequence[int]:
        """Its processes."""

    @property
    def target(self) -> Target:
        """Where it listens, and how one speaks there."""

    @property
    def channels(self) -> Sequence[str]:
        """What there is to subscribe to."""

    async def publish(self, rounds: int, interval_us: int, message_bytes: int) -> None:
        """Publish once on each channel in each round, in frames of so many bytes; 0: whatever it is."""


class Ours:
    """A deployment whose every publication is a final."""

    def __init__(self, deployed: Deployment, channels: Sequence[str]) -> None:
        self.pids = [gateway.program.pid for gateway in deployed.gateways]
        self.target = deployed.target()
        self.channels = channels
        self.deployment = deployed

    async def publish(self, rounds: int, interval_us: int, message_bytes: int) -> None:  # noqa: ARG002 - as it comes
        """Through Redis."""
        await self.deployment.publisher.play(rounds, 1e6 / interval_us if interval_us else 0, finals_every=1)


class Theirs:
    """A peer. What it sends is as long as what we send, with what it adds by itself."""

    def __init__(self, running: Peer) -> None:
        self.pids = [running.pid]
        self.target = running.target
        self.channels = running.channels
        self._peer = running
        self._wrapping_bytes = sum(len(_WRAPPING) + len(channel) for channel in running.channels)

    async def publish(self, rounds: int, interval_us: int, message_bytes: int) -> None:
        """By itself, or over its own API."""
        size = max(64, message_bytes - self._wrapping_bytes - _FRAME_HEAD_BYTES)
        await self._peer.publish(Publish(rounds, interval_us, size))


class Loaded:
    """A server and its subscribers, which are a swarm of their own."""

    def __init__(self, name: str, server: Server, swarm: Swarm, channels_per_client: int = 1) -> None:
        self.name = name
        self.server = server
        self.swarm = swarm
        self.clients = 0
        self._channels_per_client = channels_per_client

    async def connect(self, count: int) -> Connected:
        """Add so many subscribers, as `reconnect` does."""
        self.clients += count
        target, channels = self.server.target, self.server.channels
        return await self._all(count, await self.swarm.connect(target, count, channels, self._channels_per_client))

    async def reconnect(self, count: int) -> Connected:
        """Bring back so many that were dropped. Who is refused tries again; CommandError when that does not help."""
        return await self._all(count, await self.swarm.reconnect())

    async def _all(self, count: int, first: Connected) -> Connected:
        elapsed_s, opened, failures = first.elapsed_s, first.opened, Counter(first.failures)
        for _ in range(_TRIES):
            if opened == count:
                break
            more = await self.swarm.reconnect()
            elapsed_s, opened = elapsed_s + more.elapsed_s, opened + more.opened
            failures.update(more.failures)
        if opened != count:
            raise CommandError(f"{self.name}: expected {count} subscribers, found {opened}: {dict(failures)}")
        return Connected(elapsed_s, opened, dict(failures))

    async def publish(self, rounds: int, interval_us: int, message_bytes: int = 0) -> Sample:
        """Publish, and wait until all has come. Raises CommandError when it does not."""
        await self.swarm.measure()
        await self.server.publish(rounds, interval_us, message_bytes)
        wanted = rounds * self.clients * self._channels_per_client
        try:
            async with asyncio.timeout(_WAIT_S):
                await self.swarm.wait_for(wanted)
        except TimeoutError:
            found = await self.swarm.measure()
            raise CommandError(
                f"{self.name}: expected {wanted:,} deliveries, found {found.deliveries:,} in {_WAIT_S:g} s, and closed "
                f"{found.by_code}"
            ) from None
        return await self.swarm.measure()

    async def cost_us(self, rounds: int, message_bytes: int = 0) -> float:
        """Processor time that the server takes for a delivery, when each round begins once the one before has come.

        A round that came early would be written together with the one before, and cost less.
        """
        before_ns, deliveries = self.cpu_ns(), 0
        for _ in range(rounds):
            sample = await self.publish(1, 0, message_bytes)
            deliveries += sample.deliveries
        return (self.cpu_ns() - before_ns) / 1e3 / deliveries

    def cpu_ns(self) -> int:
        """Processor time that the server has taken so far."""
        return sum(cpu_ns(pid) for pid in self.server.pids)


@asynccontextmanager
async def ours(
    channels: int = 1, *, channels_per_client: int = 1, gateways: int = 1
) -> AsyncIterator[tuple[Ours, Loaded]]:
    """A deployment of ours, and nobody connected yet, from entering to leaving."""
    names = bars(channels)
    async with (
        deployment(
            names, gateways=gateways, settings={"SIGNAL_TIMING_PING_S": _PING_S}, cores=(SERVER_CORE, load_core())
        ) as deployed,
        Swarm(cores=(load_core(),)) as swarm,
    ):
        server = Ours(deployed, names)
        yield server, Loaded("gateway", server, swarm, channels_per_client)


@asynccontextmanager
async def theirs(name: str, centrifugo: Path | None) -> AsyncIterator[Loaded]:
    """A peer, and nobody connected yet, from entering to leaving."""
    async with AsyncExitStack() as exits:
        running = await exits.enter_async_context(peer(name, core=SERVER_CORE, centrifugo=centrifugo))
        swarm = await exits.enter_async_context(Swarm(cores=(load_core(),)))
        yield Loaded(name, Theirs(running), swarm)
