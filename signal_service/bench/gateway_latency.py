"""The rows of how late a delivery comes: under a steady load, and beside readers that stall. Does I/O."""

from contextlib import AsyncExitStack
from typing import Final

from loadtest.reports import Sample
from signal_service.bench.figures import Figure
from signal_service.bench.gateway_scale import GatewayScale
from signal_service.bench.gateway_servers import Loaded, Ours, ours, theirs
from signal_service.bench.machine import resident_bytes

_SUBSCRIBERS: Final = 1_000
_SHARE: Final = 0.7
"""Of the highest rate that a server could reach on its core."""
_WATCHED_S: Final = 5.0
_STALLED_S: Final = 8.0
_PROBE_ROUNDS: Final = 30
_CROWD_ROUNDS: Final = 200
_BYTES: Final = 220
"""Of a frame; ours has about as many."""
_RUNS: Final = 3
_PERCENTS: Final = (50, 99, 99.9)


async def latency(scale: GatewayScale) -> list[Figure]:
    """Publish to client, at a share of the highest rate; Centrifugo likewise at the same share of its own."""
    clients = scale.clients(_SUBSCRIBERS)
    async with AsyncExitStack() as exits:
        _, loaded = await exits.enter_async_context(ours())
        servers = {"latency": loaded}
        if scale.centrifugo is not None:
            servers["latency/centrifugo"] = await exits.enter_async_context(theirs("centrifugo", scale.centrifugo))
        for each in servers.values():
            await each.connect(clients)
        found = {name: await _best_latency(scale, each) for name, each in servers.items()}
    method = (
        f"{clients:,} sockets, one channel, {_WATCHED_S:g} s at {_SHARE:.0%} of the highest rate: by the CPU of a "
        "delivery, or what all here can do, if less; from the stamp in the payload to the reader, whose core also has "
        f"Redis and who publishes; the best of {_RUNS} runs"
    )
    return [
        Figure(
            name=name,
            what="publish to client, p99",
            figure=sample.histogram.percentile_us(99) / 1e3,
            unit="ms",
            goal=10 if name == "latency" else None,
            also={
                **sample.histogram.percentiles_ms(_PERCENTS),
                "deliveries/s": rate,
                "reader's core": sample.cpu_s / sample.span_s if sample.span_s else 0.0,
            },
            method=method,
        )
        for name, (sample, rate) in found.items()
    ]


async def _best_latency(scale: GatewayScale, loaded: Loaded) -> tuple[Sample, float]:
    """The sample with the least p99, and its deliveries a second."""
    interval_us = await _interval_us(loaded)
    rounds = max(3, round(scale.seconds(_WATCHED_S) * 1e6 / interval_us))
    samples = [await loaded.publish(rounds, interval_us, _BYTES) for _ in range(scale.runs(_RUNS))]
    return min(samples, key=_p99), loaded.clients * 1e6 / interval_us


async def _interval_us(loaded: Loaded) -> int:
    """From round to round, at _SHARE of the highest rate.

    That is what the server's core could do by the CPU of a delivery, or what all of this machine does when it is less.
    """
    cost_us = min([await loaded.cost_us(_PROBE_ROUNDS, _BYTES) for _ in range(3)])
    crowd = await loaded.publish(_CROWD_ROUNDS, 0, _BYTES)
    took_us = crowd.span_s * 1e6 / crowd.deliveries
    return max(1, round(loaded.clients * max(cost_us, took_us) / _SHARE))


def _p99(sample: Sample) -> int:
    return sample.histogram.percentile_us(99)


async def stalled(scale: GatewayScale) -> list[Figure]:
    """One in a hundred subscribers stalls: what that does to the others' latency."""
    clients = scale.clients(_SUBSCRIBERS)
    few = max(1, clients // 100)
    pairs: list[tuple[Sample, Sample]] = []
    memory: list[int] = []
    async with ours() as (server, loaded):
        await loaded.connect(clients)
        interval_us = await _interval_us(loaded)
        rounds = max(3, round(scale.seconds(_STALLED_S) * 1e6 / interval_us))
        for _ in range(scale.runs(_RUNS)):
            without = await loaded.publish(rounds, interval_us)
            before = _resident(server)
            pairs.append((without, await _with_stalled(loaded, rounds, interval_us, few)))
            memory.append(_resident(server) - before)
    without, beside = min(pairs, key=lambda pair: _p99(pair[1]) / max(1, _p99(pair[0])))
    return [
        Figure(
            name="stalled",
            what="the others' p99 when 1 % of the subscribers stall, beside that when none does",
            figure=_p99(beside) / max(1, _p99(without)),
            unit="x",
            goal=1.1,
            also={
                "p99 ms": _p99(without) / 1e3,
                "beside p99 ms": _p99(beside) / 1e3,
                "closed": float(beside.closed),
                "grew MB": max(memory) / 1e6,
            },
            method=f"{clients:,} sockets, {few} of which stop reading, {_STALLED_S:g} s each without and with them at "
            f"{_SHARE:.0%} of the highest rate, in turns; the best of {_RUNS} pairs",
        )
    ]


async def _with_stalled(loaded: Loaded, rounds: int, interval_us: int, few: int) -> Sample:
    """Publish while `few` of the subscribers read nothing; others take their place before, and they leave behind."""
    await loaded.connect(few)
    loaded.clients -= few
    await loaded.swarm.stall(few)
    sample = await loaded.publish(rounds, interval_us)
    await loaded.swarm.drop(few, stalled=True)
    return sample


def _resident(server: Ours) -> int:
    return sum(resident_bytes(pid) for pid in server.pids)
