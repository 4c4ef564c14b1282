"""One engine and two gateways on a real Redis, in processes of their own, and what becomes of them when one dies.

A checking client compares what it was sent with what `signal-service compute` makes of the same recording.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance.javascript_client import JavaScriptClient
from tests.conformance.official_client import Event, OfficialClient
from tests.conformance.python_client import PythonClient
from tests.system.spine import TOKEN, Spine, check_unbroken, computed_finals, finals_of, spine

RECORDING = "binance-usdm-btcusdt-20240808.gz"
BARS = "bars:BINANCE:BTCUSDT@1s"
RSI = "signals:BINANCE:BTCUSDT@1s:rsi(14)"
SPEED = 20
WAIT_S = 40.0
SDKS = pytest.mark.parametrize("sdk", [PythonClient, JavaScriptClient], ids=["python", "javascript"])
Sdk = type[PythonClient] | type[JavaScriptClient]
pytestmark = pytest.mark.timeout(150)  # four processes start, and a lease may have to run out


@dataclass
class Truth:
    """A recording, and the finals that it has to give."""

    feed: str
    bars: list[dict[str, Any]]
    rsi: list[dict[str, Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def truth(recordings: Path) -> Truth:
    feed = f"replay:{recordings / RECORDING}"
    return Truth(f"{feed},speed={SPEED}", await computed_finals(BARS, feed), await computed_finals(RSI, feed))


async def subscribed(client: OfficialClient, *channels: str) -> None:
    await client.connect()
    for channel in channels:
        await client.subscribe(channel)
        await client.events.expect("subscribed", channel=channel)


async def more_finals(client: OfficialClient, channel: str, count: int) -> Event:
    """Wait for so many finals more than there were; the last of them."""
    wanted = len(finals_of(client.events, channel)) + count
    async with asyncio.timeout(WAIT_S):
        while len(finals_of(client.events, channel)) < wanted:
            await client.events.expect("publication", WAIT_S, channel=channel)
    return finals_of(client.events, channel)[-1]


def data_of(client: OfficialClient, channel: str) -> list[dict[str, Any]]:
    return [event["data"] for event in finals_of(client.events, channel)]


def epoch_of(client: OfficialClient, channel: str) -> str:
    epoch: str = client.events.of("subscribed", channel=channel)[-1]["position"]["epoch"]
    return epoch


def told(client: OfficialClient) -> list[Event]:
    """What a client was told about lost positions."""
    return client.events.of("subscribing", code=2500)


@SDKS
async def test_a_client_whose_gateway_is_killed_goes_on_at_the_other_with_exactly_what_it_missed(
    sdk: Sdk, truth: Truth, tmp_path: Path
) -> None:
    async with (
        spine(tmp_path, truth.feed) as deployment,
        sdk(deployment.gateways[0].url, token=TOKEN) as before,
        sdk(deployment.gateways[1].url, token=TOKEN) as after,
        PythonClient(deployment.gateways[1].url, token=TOKEN) as witness,
        sdk(deployment.gateways[0].url, token=TOKEN) as again,
    ):
        killed = deployment.gateways[0]
        await subscribed(before, BARS, RSI)
        await subscribed(witness, BARS, RSI)
        last = {channel: await more_finals(before, channel, 5) for channel in (BARS, RSI)}
        await killed.kill()
        await before.events.expect("connecting")
        await more_finals(witness, BARS, 20)

        await after.connect()
        for channel in (BARS, RSI):
            await after.subscribe(channel, since=(epoch_of(before, channel), last[channel]["offset"]))
            assert (await after.events.expect("subscribed", channel=channel))["recovered"]
        for channel, finals in ((BARS, truth.bars), (RSI, truth.rsi)):
            await more_finals(after, channel, 10)
            seen = data_of(before, channel)
            at = [data["t"] for data in seen].index(last[channel]["data"]["t"])
            check_unbroken(seen[: at + 1] + data_of(after, channel), finals)
            check_unbroken(data_of(witness, channel), finals)

        await killed.start()
        await killed.ready()
        await subscribed(again, BARS)
        await more_finals(again, BARS, 5)
        check_unbroken(data_of(again, BARS), truth.bars)


async def survives(deployment: Spine, client: OfficialClient, truth: Truth) -> None:
    """Whatever happened: more finals come, none was lost, and nobody had to be told anything."""
    await more_finals(client, BARS, 30)
    await more_finals(client, RSI, 5)
    assert told(client) == []
    check_unbroken(data_of(client, BARS), truth.bars)
    check_unbroken(data_of(client, RSI), truth.rsi)
    await deployment.ready()


@pytest_asyncio.fixture
async def deployment(truth: Truth, tmp_path: Path) -> AsyncIterator[Spine]:
    async with spine(tmp_path, truth.feed) as deployment:
        yield deployment


async def test_an_engine_that_is_killed_comes_back_and_goes_on_where_it_was(deployment: Spine, truth: Truth) -> None:
    async with PythonClient(deployment.gateways[0].url, token=TOKEN) as client:
        await subscribed(client, BARS, RSI)
        await more_finals(client, BARS, 20)
        await deployment.engine.kill()
        await deployment.engine.start()
        await survives(deployment, client, truth)


async def test_an_engine_that_is_stopped_gives_its_topics_up_at_once(deployment: Spine, truth: Truth) -> None:
    async with PythonClient(deployment.gateways[0].url, token=TOKEN) as client:
        await subscribed(client, BARS, RSI)
        await more_finals(client, BARS, 20)
        assert (await deployment.engine.stop()).status == 0
        await deployment.engine.start()
        await survives(deployment, client, truth)


async def test_a_redis_that_is_killed_and_keeps_its_data_loses_nothing(deployment: Spine, truth: Truth) -> None:
    async with (
        PythonClient(deployment.gateways[0].url, token=TOKEN) as client,
        JavaScriptClient(deployment.gateways[1].url, token=TOKEN) as other,
    ):
        for each in (client, other):
            await subscribed(each, BARS, RSI)
            await more_finals(each, BARS, 10)
        await deployment.redis.kill()
        await deployment.engine.ready(expected=False)
        await deployment.redis.restart()
        for each in (client, other):
            await survives(deployment, each, truth)


async def test_a_redis_that_loses_its_data_is_a_new_epoch_and_everybody_is_told(truth: Truth, tmp_path: Path) -> None:
    async with (
        spine(tmp_path, truth.feed, appendonly=False) as deployment,
        PythonClient(deployment.gateways[0].url, token=TOKEN) as client,
        JavaScriptClient(deployment.gateways[1].url, token=TOKEN) as other,
    ):
        for each in (client, other):
            await subscribed(each, BARS)
            await more_finals(each, BARS, 10)
        before = epoch_of(client, BARS)
        await deployment.redis.kill()
        await deployment.redis.restart()
        for each in (client, other):
            await each.events.expect("subscribing", WAIT_S, channel=BARS, code=2500)
            again = await each.events.expect("subscribed", WAIT_S, channel=BARS)
            assert not again["recovered"]
            assert again["position"]["epoch"] != before
            await more_finals(each, BARS, 10)
            check_told_or_unbroken(each, BARS, truth.bars)
        await deployment.ready()


async def test_a_redis_that_hangs_for_a_while_loses_nothing(deployment: Spine, truth: Truth) -> None:
    async with PythonClient(deployment.gateways[0].url, token=TOKEN) as client:
        await subscribed(client, BARS, RSI)
        await more_finals(client, BARS, 10)
        deployment.redis.pause()
        await deployment.engine.ready(expected=False)
        deployment.redis.resume()
        await survives(deployment, client, truth)


def check_told_or_unbroken(client: OfficialClient, channel: str, truth: list[dict[str, Any]]) -> None:
    """Between two times that a client was told that it has lost something, it has lost nothing."""
    spans: list[list[dict[str, Any]]] = [[]]
    for event in client.events.all:
        if event.get("channel") != channel:
            continue
        if event["event"] == "subscribed" and not event["recovered"]:
            spans.append([])
        elif event["event"] == "publication" and event["data"]["final"]:
            spans[-1].append(event["data"])
    for span in spans:
        if span:
            check_unbroken(span, truth)
