"""What a delivery costs a gateway: one channel to many sockets. Run by hand: ``python -m tests.bench.bench_fanout``.

Method: a second process holds the sockets and only reads; this one publishes finals through bus, relay, hub and round,
and then the same bytes by a bare loop of ``transport.write`` to the same sockets; processor time a delivery, best of
five rounds of each, taken in turns.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import selectors
import socket
import sys
import time
from multiprocessing.connection import Connection as Pipe
from typing import Final, cast

import uvloop

from gateway.config import TimingConfig
from gateway.connection import Connection
from gateway.form import JSON
from tests.gateway.service import BARS, Service, running
from wire import codec_json

HANDSHAKE: Final = (
    "GET /connection/websocket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ROUNDS: Final = 5


def masked(text: str) -> bytes:
    """A client's text frame, masked with zeros."""
    data = text.encode()
    return bytes((0x81, 0xFE)) + len(data).to_bytes(2, "big") + bytes(4) + data


def swarm(port: int, count: int, pipe: Pipe) -> None:
    """Hold `count` subscribed sockets; tell the pipe the bytes read whenever it asks for that many."""
    selector, total = selectors.DefaultSelector(), 0
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(HANDSHAKE.encode())
        client.sendall(masked('{"id":1,"connect":{"token":"all"}}'))
        client.sendall(masked(json.dumps({"id": 2, "subscribe": {"channel": BARS}})))
        answer = b""
        while b'"subscribe"' not in answer:
            answer += client.recv(65536)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    pipe.send("ready")
    while (wanted := pipe.recv()) is not None:
        total = 0
        while total < wanted:
            for key, _ in selector.select():
                total += len(cast("socket.socket", key.fileobj).recv(1 << 20))
        pipe.send(total)


async def measure(service: Service, pipe: Pipe, subscribers: int, publications: int) -> dict[str, float]:
    """Microseconds of processor time a delivery, by what delivers."""
    payload = {"t": 1723161256000, "o": 61800.3, "h": 61800.3, "l": 61800.0, "c": 61800.0, "v": 4.2, "final": True}
    best: dict[str, float] = {}
    transports = [each._transport for each in gc.get_objects() if isinstance(each, Connection)]
    frame = JSON.frame(codec_json.encode_publication(b'"%s"' % BARS.encode(), json.dumps(payload).encode(), 1000))

    async def publish() -> None:
        await service.engine.publish(BARS, payload, final=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def bare() -> None:
        for transport in transports:
            if transport is not None:
                transport.write(frame)
        await asyncio.sleep(0)

    for _ in range(ROUNDS):
        for name, deliver in (("gateway", publish), ("bare loop", bare)):
            pipe.send(len(frame) * subscribers * publications * 95 // 100)
            began = time.process_time()
            for _ in range(publications):
                await deliver()
            spent = time.process_time() - began
            await asyncio.to_thread(pipe.recv)
            cost = spent / (subscribers * publications) * 1e6
            best[name] = min(cost, best.get(name, cost))
    return best


async def main(subscribers: int, publications: int) -> None:
    """Print the cost of a delivery and its ratio to the bare loop."""
    os.sched_setaffinity(0, {0})
    async with running(timing=TimingConfig(ping_s=3600)) as service:
        here, there = multiprocessing.Pipe()
        reader = multiprocessing.get_context("spawn").Process(
            target=swarm, args=(service.port, subscribers, there), daemon=True
        )
        reader.start()
        os.sched_setaffinity(reader.pid or 0, {1 % (os.cpu_count() or 1)})
        await asyncio.to_thread(here.recv)
        best = await measure(service, here, subscribers, publications)
        here.send(None)
        await asyncio.to_thread(reader.join)
    ours, bare = best["gateway"], best["bare loop"]
    sys.stdout.write(f"{subscribers} subscribers: {ours:.2f} us a delivery, bare {bare:.2f}, ratio {ours / bare:.2f}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--publications", type=int, default=200)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(given.subscribers, given.publications))
