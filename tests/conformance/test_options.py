"""The official SDKs and what they may wish of a subscription: a rate, finals only, no snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.conformance.official_client import OfficialClient
from tests.conformance.sdks import SDKS, Sdk
from tests.gateway.service import BARS, Service, running


@asynccontextmanager
async def subscribed(sdk: Sdk, service: Service, options: object) -> AsyncIterator[tuple[OfficialClient, Any]]:
    """A client and the granted rate."""
    async with sdk(service.url, token="all") as client:
        await client.connect()
        await client.subscribe(BARS, options=options)
        told = await client.events.expect("subscribed", channel=BARS)
        assert told["data"]["channel"] == BARS
        yield client, told["data"]["max_rate"]


async def publish(service: Service, *values: int, final: bool = False) -> None:
    for value in values:
        await service.engine.publish(BARS, {"c": value, "final": final}, final=final)


async def values(client: OfficialClient, count: int) -> list[int]:
    return [each["data"]["c"] for each in await client.events.publications(BARS, count)]


@SDKS
async def test_who_wants_finals_only_gets_finals_only(sdk: Sdk) -> None:
    async with running() as service, subscribed(sdk, service, {"final_only": True}) as (client, _):
        await publish(service, 1)
        await publish(service, 2, final=True)
        await publish(service, 3)
        await publish(service, 4, final=True)
        assert await values(client, 2) == [2, 4]


@SDKS
async def test_a_rate_is_granted_and_kept_and_finals_are_not_bound_by_it(sdk: Sdk) -> None:
    async with running() as service, subscribed(sdk, service, {"max_rate": 0.01}) as (client, rate):
        assert rate == 0.01
        await publish(service, 1, 2, 3)
        await publish(service, 4, 5, final=True)
        await publish(service, 6)
        await publish(service, 7, final=True)
        assert await values(client, 4) == [1, 4, 5, 7]


@SDKS
async def test_without_a_snapshot_the_newest_value_is_not_told(sdk: Sdk) -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        await publish(service, 1, final=True)
        async with subscribed(sdk, service, {"snapshot": False}) as (client, _):
            await publish(service, 2, final=True)
            assert await values(client, 1) == [2]


@SDKS
async def test_options_hold_after_a_reconnect_and_what_was_missed_is_recovered(sdk: Sdk) -> None:
    async with running() as service, subscribed(sdk, service, {"final_only": True}) as (client, _):
        await client.disconnect()
        await client.events.expect("disconnected")
        await publish(service, 1)
        await publish(service, 2, 3, final=True)
        await client.connect()
        assert (await client.events.expect("subscribed", channel=BARS))["recovered"]
        await publish(service, 4)
        await publish(service, 5, final=True)
        assert await values(client, 3) == [2, 3, 5]


@SDKS
async def test_options_that_there_are_not_are_refused_with_107(sdk: Sdk) -> None:
    async with running() as service, sdk(service.url, token="all") as client:
        await client.connect()
        for timeframe, options in (("1m", {"max_rate": -1}), ("5m", {"rate": 1}), ("1h", [1]), ("1d", "fast")):
            channel = f"bars:DEMO:S01@{timeframe}"
            await client.subscribe(channel, options=options)
            assert await client.events.expect("unsubscribed", channel=channel, code=107)
