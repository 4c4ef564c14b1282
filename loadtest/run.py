"""Runs a scenario: the servers on one core, the load on the others. Does I/O."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from loadtest.conductor import OURS, Conductor, measured
from loadtest.deployment import bars, deployment
from loadtest.peers.peer import peer
from loadtest.peers.publish import Publish
from loadtest.report import Run
from loadtest.scenario import Scenario
from loadtest.servers import Cores, Servers
from loadtest.swarm import Swarm

_SETTLE_S: Final = 15.0
_SIZE_BYTES: Final = 240
"""A publication of ours in its frame, when the scenario asks for no more."""


async def run_gateways(scenario: Scenario, cores: Cores, told: Callable[[str], None]) -> list[Run]:
    """All runs of a scenario against gateways."""
    runs = []
    with _pinned(cores.load):
        async with (
            deployment(
                bars(scenario.channels),
                gateways=scenario.gateways,
                settings=scenario.settings,
                cores=(cores.servers, cores.load[0] if cores.load else None),
            ) as place,
            Swarm(processes=scenario.processes, cores=cores.load) as swarm,
        ):
            conductor = Conductor(scenario, place, swarm, told)
            for clients in scenario.clients:
                told(f"{OURS}: {clients:,} clients")
                runs.append(await conductor.run(clients))
    return runs


async def run_peer(
    name: str, scenario: Scenario, cores: Cores, told: Callable[[str], None], centrifugo: Path | None
) -> list[Run]:
    """All runs of a scenario that can compare, against a server that sends everything to everybody."""
    publishing, runs, before = scenario.publishing, [], 0
    rounds = max(1, round(publishing.rounds_per_s * scenario.run_s))
    publish = Publish(rounds, round(1e6 / publishing.rounds_per_s), max(_SIZE_BYTES, publishing.size_bytes))
    with _pinned(cores.load):
        async with (
            peer(name, core=cores.servers, centrifugo=centrifugo) as server,
            Swarm(processes=scenario.processes, cores=cores.load) as swarm,
        ):
            servers = Servers([server.pid])
            for clients in scenario.clients:
                told(f"{name}: {clients:,} clients")
                empty_bytes = servers.resident_bytes()
                connected = await swarm.connect(server.target, clients - before, server.channels)
                before_bytes = servers.resident_bytes()
                connection_bytes = (before_bytes - empty_bytes) / max(1, clients - before)
                before = clients
                await swarm.measure()
                before_s = servers.look()
                await server.publish(publish)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SETTLE_S):
                        await swarm.wait_for(rounds * clients)
                cpu_s = servers.look() - before_s
                run = measured(name, clients, connected, await swarm.measure(), cpu_s, scenario.run_s)
                runs.append(
                    msgspec.structs.replace(
                        run,
                        expected=rounds * clients,
                        before_bytes=before_bytes,
                        resident_bytes=servers.resident_bytes(),
                        connection_bytes=connection_bytes,
                    )
                )
    return runs


@contextmanager
def _pinned(cores: Sequence[int]) -> Iterator[None]:
    """This process, and those that it starts, are on these cores from entering to leaving; none given: on any."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
