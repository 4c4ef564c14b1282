"""The rows of how many fit: memory of a connection, handshakes, several gateways, publications for nobody. Does I/O."""

import asyncio
from typing import Final

from signal_service.bench.figures import Figure
from signal_service.bench.gateway_scale import GatewayScale
from signal_service.bench.gateway_servers import Loaded, Ours, ours
from signal_service.bench.machine import resident_bytes

_IDLE: Final = 5_000
_WARM: Final = 200
_NEWCOMERS: Final = 5_000
_SHARED: Final = 2_000
_DELIVERIES: Final = 25_000
_RUNS: Final = 5
_UNWANTED: Final = 2_000
_UNWANTED_ROUNDS: Final = 100
_SETTLE_S: Final = 2.0


async def memory_1(scale: GatewayScale) -> list[Figure]:
    """An idle connection with one channel."""
    return [await _memory(scale, 1, goal=8)]


async def memory_10(scale: GatewayScale) -> list[Figure]:
    """An idle connection with ten channels."""
    return [await _memory(scale, 10, goal=12)]


async def _memory(scale: GatewayScale, channels: int, goal: float) -> Figure:
    clients = scale.clients(_IDLE)
    async with ours(10 * channels, channels_per_client=channels) as (server, loaded):
        await loaded.connect(scale.clients(_WARM))
        await loaded.publish(3, 0)
        await asyncio.sleep(scale.seconds(_SETTLE_S))
        before = _resident(server)
        await loaded.connect(clients)
        await asyncio.sleep(scale.seconds(_SETTLE_S))
        grown = _resident(server) - before
        await loaded.publish(3, 100_000)
        used = _resident(server) - before
    return Figure(
        name=f"memory-{channels}",
        what=f"memory of an idle connection with {channels} channel{'s' if channels > 1 else ''}",
        figure=grown / clients / 1e3,
        unit="kB",
        goal=goal,
        also={"after three finals kB": used / clients / 1e3},
        method=f"what the resident set grew by {clients:,} subscribers, {_SETTLE_S:g} s after the last, less those of "
        "the kernel's buffers, which are not in it",
    )


async def handshakes(scale: GatewayScale) -> list[Figure]:
    """Handshake, connect and subscribe, with tokens cached."""
    clients = scale.clients(_NEWCOMERS)
    rates: list[float] = []
    costs_us: list[float] = []
    refused = 0
    async with ours() as (_, loaded):
        await loaded.connect(scale.clients(_WARM))
        await loaded.connect(clients)
        for _ in range(scale.runs(_RUNS)):
            await loaded.swarm.drop(clients)
            await asyncio.sleep(scale.seconds(_SETTLE_S))
            before_ns = loaded.cpu_ns()
            came = await loaded.reconnect(clients)
            rates.append(clients / came.elapsed_s)
            refused += came.failed
            costs_us.append((loaded.cpu_ns() - before_ns) / 1e3 / clients)
    return [
        Figure(
            name="handshakes",
            what="handshake, connect and subscribe, tokens cached",
            figure=max(rates),
            unit="/s",
            goal=2_000,
            at_most=False,
            also={"CPU us each": min(costs_us), "a core's /s": 1e6 / min(costs_us), "refused": float(refused)},
            method=f"{clients:,} clients come at once, 256 in the handshake at a time, until the last is subscribed; "
            f"best of {_RUNS}",
        )
    ]


async def processes(scale: GatewayScale) -> list[Figure]:
    """The same subscribers on one gateway, two and four, which share one core here."""
    clients = scale.clients(_SHARED)
    rounds = max(3, _DELIVERIES // _SHARED)
    costs: dict[int, float] = {}
    for count in (1, 2, 4):
        async with ours(gateways=count) as (_, loaded):
            await loaded.connect(clients)
            await loaded.publish(3, 0)
            costs[count] = min([await loaded.cost_us(rounds) for _ in range(scale.runs(_RUNS))])
    return [
        Figure(
            name="processes",
            what="CPU of a delivery over all processes, four gateways beside one",
            figure=costs[4] / costs[1],
            unit="x",
            goal=1.1,
            also={f"us of {count}": cost_us for count, cost_us in costs.items()},
            method=f"{clients:,} sockets spread over 1, 2 and 4 gateways on one core, {rounds} rounds a run through "
            f"Redis, best of {_RUNS}; as long as it stays the same, each further core adds as many deliveries",
        )
    ]


async def unwanted(scale: GatewayScale) -> list[Figure]:
    """Publications that nobody wants here."""
    channels = scale.clients(_UNWANTED)
    async with ours(channels) as (server, loaded):
        await loaded.connect(0)
        idle_us = await _idle_us(scale, loaded)
        runs = [await _unwanted_us(server, loaded, channels, idle_us) for _ in range(scale.runs(_RUNS))]
    return [
        Figure(
            name="unwanted",
            what="CPU of a publication that nobody wants here",
            figure=min(runs),
            unit="us",
            goal=0.25,
            also={"idle us/s": idle_us},
            method=f"{_UNWANTED_ROUNDS} rounds of finals on {channels:,} channels through Redis, nobody connected; "
            f"less what an idle gateway takes; best of {_RUNS}",
        )
    ]


async def _idle_us(scale: GatewayScale, loaded: Loaded) -> float:
    """Processor time that the server takes in a second while nothing is published."""
    before_ns, watched_s = loaded.cpu_ns(), scale.seconds(_SETTLE_S)
    await asyncio.sleep(watched_s)
    return (loaded.cpu_ns() - before_ns) / 1e3 / watched_s


async def _unwanted_us(server: Ours, loaded: Loaded, channels: int, idle_us: float) -> float:
    loop = asyncio.get_running_loop()
    before_ns, began_s = loaded.cpu_ns(), loop.time()
    await server.publish(_UNWANTED_ROUNDS, 20_000, 0)
    await asyncio.sleep(_SETTLE_S / 10)  # until what is under way has been read
    took_us = (loaded.cpu_ns() - before_ns) / 1e3 - idle_us * (loop.time() - began_s)
    return max(0.0, took_us) / (_UNWANTED_ROUNDS * channels)


def _resident(server: Ours) -> int:
    return sum(resident_bytes(pid) for pid in server.pids)
