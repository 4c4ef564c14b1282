"""An engine that is stopped and started again on a real Redis goes on from its snapshot."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.python_client import PythonClient
from tests.system.spine import TOKEN, finals_of, spine

BARS = "bars:DEMO:S01@1s"
EMA = "signals:DEMO:S01@1s:ema(close,50)"
SECOND_MS = 1000
WAIT_S = 60.0
pytestmark = pytest.mark.timeout(150)  # three processes start, one of them twice


async def finals(client: PythonClient, channel: str, count: int) -> list[dict[str, Any]]:
    """All finals so far, once there are so many."""
    async with asyncio.timeout(WAIT_S):
        while len(finals_of(client.events, channel)) < count:
            await client.events.expect("publication", WAIT_S, channel=channel)
    return [event["data"] for event in finals_of(client.events, channel)]


async def test_an_average_goes_on_where_it_was_when_the_engine_has_been_stopped(tmp_path: Path) -> None:
    tables = f'[snapshots]\ndirectory = "{tmp_path / "snapshots"}"\n'
    feed = "synthetic:instruments=2,rate=10"
    async with (
        spine(tmp_path, feed, gateways=1, engine_tables=tables) as deployment,
        PythonClient(deployment.gateways[0].url, token=TOKEN) as client,
    ):
        await client.connect()
        for channel in (BARS, EMA):
            await client.subscribe(channel)
            await client.events.expect("subscribed", channel=channel)
        before = len(await finals(client, EMA, 3))
        stopped = await deployment.engine.stop()
        assert stopped.status == 0
        await deployment.engine.start()
        values = await finals(client, EMA, before + 8)
        bars = {data["t"]: data for data in await finals(client, BARS, len(values) + 1)}
        again = await deployment.engine.stop()
    assert "snapshot.written" in stopped.out + stopped.error
    assert "snapshot.restored" in again.out + again.error
    compared = 0
    for old, new in pairwise(values):
        assert new["t"] == old["t"] + SECOND_MS
        if new["t"] in bars:
            average = old["v"] + (bars[new["t"]]["c"] - old["v"]) * 2 / 51
            assert new["v"] == pytest.approx(average, rel=1e-12)
            compared += 1
    assert compared > 8, "no average begins anew"
    assert any(data.get("gap", False) for data in values), "nobody looked while it was down"
