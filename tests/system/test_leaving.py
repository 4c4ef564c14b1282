"""A gateway that is terminated leads its clients away: they go on at another one, and come there spread over time."""

import asyncio
import json
import signal
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.system.spine import TOKEN, Node, spine
from tests.waiting import until

BARS = "bars:DEMO:S01@1s"
FEED = "synthetic:instruments=2,rate=20"
CLIENTS = 200
PERIOD_S = 4.0
WAIT_S = 60.0
pytestmark = pytest.mark.timeout(150)  # four processes start


class Follower:
    """A client that follows one channel, and goes on at the next gateway with its position when it is sent away."""

    def __init__(self, gateways: list[Node]) -> None:
        self.finals: list[tuple[int, int]] = []
        """The offset and the open time of each."""
        self.closes: list[tuple[int | None, float]] = []
        """The code of each (None: it was cut), and when."""
        self.at = -1
        self.recovered: list[bool] = []
        self._gateways = gateways
        self._position: dict[str, Any] = {}

    async def run(self) -> None:
        for place, gateway in enumerate(self._gateways):
            with suppress(ConnectionClosed):
                async with connect(gateway.url) as socket:
                    try:
                        await self._follow(socket, place)
                    except ConnectionClosed as closed:
                        code = None if closed.rcvd is None else closed.rcvd.code
                        self.closes.append((code, asyncio.get_running_loop().time()))

    async def _follow(self, socket: Any, place: int) -> None:
        await socket.send(json.dumps({"id": 1, "connect": {"token": TOKEN}}))
        await socket.send(json.dumps({"id": 2, "subscribe": {"channel": BARS, **self._position}}))
        async for raw in socket:
            message = json.loads(raw)
            if not message:
                await socket.send("{}")
            elif message.get("id") == 2:
                self._subscribed(message["subscribe"], place)
            elif "push" in message:
                self._published(message["push"]["pub"])

    def _subscribed(self, reply: dict[str, Any], place: int) -> None:
        if place:
            self.recovered.append(reply.get("recovered", False))
        self._position = {"recover": True, "epoch": reply["epoch"], "offset": reply.get("offset", 0)}
        for publication in reply.get("publications", []):
            self._published(publication)
        self.at = place

    def _published(self, publication: dict[str, Any]) -> None:
        self._position["offset"] = max(self._position["offset"], publication["offset"])
        if publication["data"]["final"]:
            self.finals.append((publication["offset"], publication["data"]["t"]))


async def test_clients_of_a_terminated_gateway_go_on_at_another_without_a_loss_and_come_one_by_one(
    tmp_path: Path,
) -> None:
    tables = f"[drain]\nlinger_s = 1\nperiod_s = {PERIOD_S:g}\n[limits]\nconnects_per_user_per_s = 0\n"
    async with spine(tmp_path, FEED, gateways=2, gateway_tables=tables) as deployment:
        first, second = deployment.gateways
        followers = [Follower([first, second]) for _ in range(CLIENTS)]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each.run()) for each in followers]
            async with asyncio.timeout(WAIT_S):
                await until(lambda: all(each.at == 0 and len(each.finals) >= 2 for each in followers))
            ended = await first.stop()
            async with asyncio.timeout(WAIT_S):
                await until(lambda: all(each.at == 1 for each in followers))
            wanted = {each: len(each.finals) + 2 for each in followers}
            async with asyncio.timeout(WAIT_S):
                await until(lambda: all(len(each.finals) >= wanted[each] for each in followers))
            for task in running:
                task.cancel()
    assert ended.status == 0
    for each in followers:
        assert each.recovered == [True]
        assert all(later[1] - earlier[1] == 1000 for earlier, later in pairwise(each.finals)), each.finals
        assert [code for code, _ in each.closes] == [3001]
    times = sorted(time_s for each in followers for _, time_s in each.closes)
    seconds = Counter(int(time_s - times[0]) for time_s in times)
    assert max(seconds.values()) < 3 * CLIENTS / PERIOD_S, seconds


async def test_a_gateway_that_lingers_says_that_it_is_not_ready_and_leaves_at_once_when_it_is_told_again(
    tmp_path: Path,
) -> None:
    tables = "[drain]\nlinger_s = 600\nperiod_s = 600\ngrace_s = 2000\n"
    async with spine(tmp_path, FEED, gateways=1, gateway_tables=tables) as deployment:
        (gateway,) = deployment.gateways
        assert gateway.process is not None
        async with connect(gateway.url) as before:
            gateway.process.process.send_signal(signal.SIGTERM)
            await gateway.ready(expected=False)
            _, said = await gateway.is_ready()
            assert said["checks"]["listen"] == {"ready": False, "why": "draining"}
            async with connect(gateway.url) as after:
                for client in (before, after):
                    await client.send(json.dumps({"id": 1, "connect": {"token": TOKEN}}))
                    assert "connect" in json.loads(await client.recv())
                ended = await gateway.stop()
                for client in (before, after):
                    await client.wait_closed()
                    assert client.close_code == 3001
    assert ended.status == 0


async def test_a_gateway_that_is_interrupted_does_not_linger(tmp_path: Path) -> None:
    tables = "[drain]\nlinger_s = 600\nperiod_s = 600\ngrace_s = 2000\n"
    async with spine(tmp_path, FEED, gateways=1, gateway_tables=tables) as deployment:
        (gateway,) = deployment.gateways
        assert gateway.process is not None
        async with connect(gateway.url) as client:
            ended = await gateway.process.end(signal.SIGINT)
            await client.wait_closed()
            assert client.close_code == 3001
    assert ended.status == 0
