"""The rows of what a delivery costs: processor time of the server, beside that of its peers. Does I/O."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from loadtest.peers.catalogue import KINDS, why_not
from signal_service.bench.figures import Figure
from signal_service.bench.gateway_scale import GatewayScale
from signal_service.bench.gateway_servers import Loaded, ours, theirs

RUNS: Final = 10
_DELIVERIES: Final = 25_000
"""Of one run."""
_RIVALS: Final = ("bare", "broadcast", "centrifugo")
_GOALS: Final[Mapping[str, float]] = {"broadcast": 0.65, "centrifugo": 0.5}
_CHANNELS: Final = 10


async def delivery_1000(scale: GatewayScale) -> list[Figure]:
    """One channel, 1,000 subscribers, beside all peers."""
    return await _delivery(scale, 1_000, tuple(KINDS))


async def delivery_5000(scale: GatewayScale) -> list[Figure]:
    """One channel, 5,000 subscribers."""
    return await _delivery(scale, 5_000, _RIVALS)


async def delivery_10000(scale: GatewayScale) -> list[Figure]:
    """One channel, 10,000 subscribers."""
    return await _delivery(scale, 10_000, _RIVALS)


async def _delivery(scale: GatewayScale, subscribers: int, peers: tuple[str, ...]) -> list[Figure]:
    clients = scale.clients(subscribers)
    rounds = max(3, _DELIVERIES // subscribers)
    async with AsyncExitStack() as exits:
        _, loaded = await exits.enter_async_context(ours())
        servers = {"gateway": loaded}
        for name in peers:
            if why_not(name, scale.centrifugo) is None:
                servers[name] = await exits.enter_async_context(theirs(name, scale.centrifugo))
        for each in servers.values():
            await each.connect(clients)
        sample = await loaded.publish(3, 0)
        frame_bytes = sample.bytes // sample.deliveries
        best = await _best_us(scale, servers, rounds, frame_bytes)
    return _compared(f"delivery-{subscribers}", best, clients, rounds, frame_bytes)


async def _best_us(
    scale: GatewayScale, servers: Mapping[str, Loaded], rounds: int, frame_bytes: int
) -> dict[str, float]:
    """What a delivery costs each server: the best of several runs, in which they take turns."""
    best: dict[str, float] = {}
    for _ in range(scale.runs(RUNS)):
        for name, each in servers.items():
            cost_us = await each.cost_us(rounds, frame_bytes)
            best[name] = min(cost_us, best.get(name, cost_us))
    return best


def _compared(name: str, best: Mapping[str, float], clients: int, rounds: int, frame_bytes: int) -> list[Figure]:
    """The ratio to the bare loop, and to each other."""
    took = best["gateway"]
    method = (
        f"{clients:,} sockets, {rounds} rounds of {frame_bytes} bytes a run, each when the one before has come; CPU of "
        f"the whole process, best of {RUNS} runs in turn; ours through Redis"
    )
    figures = [
        Figure(
            name=name,
            what=f"CPU of a delivery, one channel to {clients:,} subscribers, beside a bare loop of send",
            figure=took / best["bare"],
            unit="x bare",
            goal=1.15,
            also={"us": took, "bare us": best["bare"]},
            method=method,
        )
    ]
    figures.extend(
        Figure(
            name=f"{name}/{peer}",
            what=f"the same beside {KINDS[peer].what}",
            figure=took / cost_us,
            unit="x",
            goal=_GOALS.get(peer),
            also={"their us": cost_us},
            method="as above, in the same runs",
        )
        for peer, cost_us in best.items()
        if peer not in {"gateway", "bare"}
    )
    return figures


async def channels(scale: GatewayScale) -> list[Figure]:
    """Ten channels a subscriber, all of them in one round."""
    clients, rounds = scale.clients(1_000), max(3, _DELIVERIES // 1_000)
    async with ours(_CHANNELS, channels_per_client=_CHANNELS) as (_, loaded), theirs("bare", None) as bare:
        await loaded.connect(clients)
        await bare.connect(clients)
        sample = await loaded.publish(3, 0)
        frame_bytes = sample.bytes // sample.deliveries
        best_us = floor_us = float("inf")
        for _ in range(scale.runs(RUNS)):
            best_us = min(best_us, await loaded.cost_us(rounds))
            floor_us = min(floor_us, await bare.cost_us(rounds, frame_bytes * _CHANNELS) / _CHANNELS)
    return [
        Figure(
            name="channels",
            what=f"CPU of a delivery, {_CHANNELS} channels a subscriber, one round",
            figure=best_us,
            unit="us",
            goal=0.6,
            also={"M deliveries/s": 1 / best_us, "bare us": floor_us, "x bare": best_us / floor_us},
            method=f"{clients:,} sockets, {rounds} rounds of {_CHANNELS} finals of {frame_bytes} bytes a run through "
            f"Redis, best of {RUNS}; bare: a tenth of a bare send of as many bytes",
        )
    ]
