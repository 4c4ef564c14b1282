"""A client that stops reading, among others that read on: a gateway in a process of its own, on a real bus."""

import asyncio
import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from gateway.websocket import PATH
from tests.system.spine import TOKEN, spine
from tests.waiting import until

INSTRUMENTS = 100
CHANNELS = [f"bars:DEMO:S{i:02}@1s" for i in range(1, INSTRUMENTS + 1)]
QUEUE_BYTES = 64 * 1024
LIMITS = f"[outbox]\nqueue_bytes = {QUEUE_BYTES}\noldest_s = 1.0\nstalled_s = 1.0\n"
FLOW_BYTES_PER_S = 50_000
WAIT_S = 40.0
pytestmark = pytest.mark.timeout(150)  # three processes start


def requests(channels: Sequence[str]) -> list[dict[str, Any]]:
    subscribes = [{"id": i + 2, "subscribe": {"channel": channel}} for i, channel in enumerate(channels)]
    return [{"id": 1, "connect": {"token": TOKEN}}, *subscribes]


def stalled_client(port: int) -> socket.socket:
    """A client that subscribes to everything and reads nothing at all."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(
        f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    for request in requests(CHANNELS):
        client.sendall(Frame(Opcode.TEXT, json.dumps(request).encode()).serialize(mask=True))
    return client


class Reader:
    """A client that reads everything: its bytes, and the open times of one channel's finals."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self.received_bytes = 0
        self.finals: list[int] = []

    async def run(self) -> None:
        for request in requests(CHANNELS):
            await self._client.send(json.dumps(request))
        async for message in self._client:
            self.received_bytes += len(message)
            if message == "{}":
                await self._client.send("{}")
                continue
            push = json.loads(message).get("push", {})
            if push.get("channel") == CHANNELS[0] and push["pub"]["data"]["final"]:
                self.finals.append(push["pub"]["data"]["t"])

    async def more(self, finals: int) -> None:
        """Wait until it has had so many finals more."""
        wanted = len(self.finals) + finals
        async with asyncio.timeout(WAIT_S):
            await until(lambda: len(self.finals) >= wanted)


async def test_a_client_that_stops_reading_is_dropped_costs_little_and_slows_nobody(tmp_path: Path) -> None:
    feed = f"synthetic:instruments={INSTRUMENTS},rate=2000"
    loop = asyncio.get_running_loop()
    async with spine(tmp_path, feed, gateways=1, gateway_tables=LIMITS) as deployment:
        (gateway,) = deployment.gateways
        async with connect(gateway.url) as client, asyncio.TaskGroup() as tasks:
            reader = Reader(client)
            reading = tasks.create_task(reader.run())
            await reader.more(3)
            began_s, before = loop.time(), reader.received_bytes
            with stalled_client(gateway.port):
                await gateway.counted('gateway_closes_total{code="3008"}')
                flow = (reader.received_bytes - before) / (loop.time() - began_s)
                await reader.more(3)
            reading.cancel()
        ended = await gateway.stop()
    assert flow >= FLOW_BYTES_PER_S, "the test has to offer more than that"
    assert reader.finals == list(range(reader.finals[0], reader.finals[-1] + 1, 1000)), "the reader missed a bar"
    (line,) = [line for line in ended.error.splitlines() if "code=3008" in line]
    assert "cause=slow_consumer" in line
    held = {name: int(number) for name, number in re.findall(r"(\w+_bytes)=(\d+)", line)}
    assert held["queued_bytes"] <= QUEUE_BYTES + 4096, line
    assert held["live_bytes"] <= len(CHANNELS) * 512, line
    assert held["unaccepted_bytes"] <= 512 * 1024, line
