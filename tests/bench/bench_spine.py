"""What a whole deployment costs: memory and CPU of each process, idle and with 1,000 subscribers.

Method: a Redis server, one engine on a synthetic market, two gateways and a user service are started as processes;
what the kernel has counted for each of them over a while gives CPU, its resident set gives memory. The subscribers are
sockets of this process, half of them on either gateway, which count bytes and answer nothing but pings. The market
stands still in the idle case but for its own ticks: nobody wants a channel, so nothing is computed.

    .venv/bin/python -m tests.bench.bench_spine --subscribers 1000 --seconds 20
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import uvloop
from websockets.frames import Frame, Opcode

from gateway.websocket import PATH
from tests.system.spine import TOKEN, Spine, spine

FEED = "synthetic:instruments=100,rate=500"
CHANNELS = 3
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Reading:
    """One process at one moment."""

    cpu_s: float
    resident_bytes: int


def read(pid: int) -> Reading:
    """What the kernel has counted of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Reading((int(fields[11]) + int(fields[12])) / TICKS, pages * PAGE_BYTES)


class Subscriber(asyncio.Protocol):
    """A client that reads and counts, and says now and then that it is there."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.received_bytes = 0
        self.writes = 0
        self.lost = False
        self._channels = channels
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self._send({"id": 1, "connect": {"token": TOKEN}})
        for i, channel in enumerate(self._channels):
            self._send({"id": i + 2, "subscribe": {"channel": channel}})

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        self.writes += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def pong(self) -> None:
        """Answer the ping that has come, or comes next."""
        self._send({})

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _send(self, message: object) -> None:
        assert self._transport is not None
        self._transport.write(Frame(Opcode.TEXT, json.dumps(message).encode()).serialize(mask=True))


async def subscribe(deployment: Spine, count: int) -> list[Subscriber]:
    """So many subscribers, half on either gateway, each with channels of three neighbouring instruments."""
    loop = asyncio.get_running_loop()
    subscribers = []
    for i in range(count):
        names = [f"S{(i + j) % 100 + 1:02d}" for j in range(CHANNELS)]
        channels = [f"signals:DEMO:{name}@1s:ema(close,9) - ema(close,21)" for name in names]
        port = deployment.gateways[i % len(deployment.gateways)].port
        _, subscriber = await loop.create_connection(partial(Subscriber, channels), "127.0.0.1", port)
        subscribers.append(subscriber)
    return subscribers


async def measure(deployment: Spine, seconds: float, subscribers: Sequence[Subscriber]) -> dict[str, object]:
    """CPU as a share of one core, and memory, of every process over so many seconds."""
    pids = {
        "engine": deployment.engine.pid,
        **{f"gateway {i}": node.pid for i, node in enumerate(deployment.gateways)},
        "redis": deployment.redis.pid,
    }
    before = {name: read(pid) for name, pid in pids.items()}
    bytes_before = sum(subscriber.received_bytes for subscriber in subscribers)
    deliveries = await delivered(deployment)
    began = asyncio.get_running_loop().time()
    while (elapsed := asyncio.get_running_loop().time() - began) < seconds:
        await asyncio.sleep(min(4.0, seconds - elapsed))
        for subscriber in subscribers:
            subscriber.pong()
    after = {name: read(pid) for name, pid in pids.items()}
    received = sum(subscriber.received_bytes for subscriber in subscribers) - bytes_before
    return {
        "seconds": round(elapsed, 1),
        "processes": {name: costs(before[name], after[name], elapsed) for name in pids},
        "subscribers": len(subscribers),
        "lost": sum(subscriber.lost for subscriber in subscribers),
        "deliveries_per_s": round((await delivered(deployment) - deliveries) / elapsed),
        "received_bytes_per_s": round(received / elapsed),
    }


async def delivered(deployment: Spine) -> float:
    """Publications that the gateways have handed to connections so far."""
    return sum([await node.metric("gateway_deliveries_total") for node in deployment.gateways])


def costs(before: Reading, after: Reading, elapsed_s: float) -> Mapping[str, float]:
    """One process over a while."""
    return {
        "cpu_percent": round(100 * (after.cpu_s - before.cpu_s) / elapsed_s, 1),
        "resident_mb": round(after.resident_bytes / 1e6, 1),
    }


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def run(subscribers: int, seconds: float) -> None:
    """Measure and print."""
    with TemporaryDirectory() as directory:
        async with spine(Path(directory), FEED, appendonly=False) as deployment:
            await asyncio.sleep(3)
            say(json.dumps({"case": "idle", **await measure(deployment, seconds, ())}))
            clients = await subscribe(deployment, subscribers)
            await asyncio.sleep(5)
            say(json.dumps({"case": "subscribed", **await measure(deployment, seconds, clients)}))
            for client in clients:
                client.close()


def main() -> int:
    """Read the arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.subscribers, arguments.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
