"""The official SDKs and what a session offers beside subscriptions: a token's refresh, history, rpc."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from standins.demo import TOKEN
from standins.user_service import TokenRecord
from tests.conformance.official_client import OfficialClient
from tests.conformance.sdks import SDKS, Sdk
from tests.conformance.test_gateway import BARS as WHOLE_BARS
from tests.conformance.test_gateway import SMA as WHOLE_SMA
from tests.conformance.test_gateway import final_of, finals, played, second_of
from tests.gateway.service import BARS, RSI, RSI_CANONICAL, Service, running
from wire.envelope import Chart, ClosedValue


@asynccontextmanager
async def connected(sdk: Sdk, service: Service) -> AsyncIterator[OfficialClient]:
    async with sdk(service.url, token="all") as client:
        await client.connect()
        await client.events.expect("connected")
        yield client


@SDKS
async def test_a_token_callback_keeps_a_client_connected_past_its_tokens_end(sdk: Sdk) -> None:
    async with running() as service, sdk(service.url, "short", "fresh") as client:
        now_s = int(time.time())
        service.users.tokens["short"] = TokenRecord(sub="9", channels=("*",), exp=now_s + 3)
        service.users.tokens["fresh"] = TokenRecord(sub="9", channels=(RSI_CANONICAL,), exp=now_s + 600)
        async with service.connected("short") as control:
            await client.connect()
            await client.events.expect("connected")
            for channel in (BARS, RSI):
                await client.subscribe(channel)
                await client.events.expect("subscribed", channel=channel)
            assert await client.events.expect("unsubscribed", channel=BARS, code=2100)
            assert (await control.closed())[0] == 3005
            await service.engine.publish(RSI_CANONICAL, 7, final=True)
            assert (await client.events.expect("publication", channel=RSI))["data"] == 7
            assert len(client.events.of("connected")) == 1
            assert service.users.requests["fresh"] == 1


@SDKS
async def test_a_client_draws_a_chart_and_goes_on_from_its_position(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        await service.engine.compute(BARS)
        for t in (3, 4):
            await service.engine.publish(BARS, {"t": t}, final=True)
        values = tuple(ClosedValue(t, json.dumps({"t": t}).encode()) for t in range(1, 5))
        service.engine.charts[BARS] = Chart(values)
        await client.history(BARS, 3, reverse=True)
        found = await client.events.expect("history")
        assert [each["data"]["t"] for each in found["publications"]] == [4, 3, 2]
        assert [each["offset"] for each in found["publications"]] == [2, 1, None]
        assert (found["epoch"], found["offset"]) == service.engine.position(BARS)
        await service.engine.publish(BARS, {"t": 5}, final=True)
        await client.history(BARS, 9, (found["epoch"], found["offset"]))
        assert (await client.events.expect("history"))["publications"] == [{"offset": 3, "data": {"t": 5}}]
        await client.subscribe(BARS, (found["epoch"], found["offset"]))
        assert (await client.events.expect("publication"))["data"] == {"t": 5}


@SDKS
async def test_a_position_of_another_epoch_is_refused_with_112(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        await client.history(BARS, 9, ("another", 1))
        assert await client.events.expect("refused", code=112)


@SDKS
async def test_a_client_calls_methods_and_hears_of_what_is_refused(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        await client.rpc("validate", {"expression": "rsi"})
        assert (await client.events.expect("rpc"))["data"]["canonical"] == "rsi(close,14)"
        await client.rpc("instruments", {"q": "s0", "limit": 1})
        assert (await client.events.expect("rpc"))["data"] == [{"venue": "DEMO", "symbol": "S01"}]
        await client.rpc("nothing", {})
        assert await client.events.expect("refused", code=104)


# against the whole service: the engine draws what the bus does not hold


@SDKS
async def test_a_chart_is_what_was_published_and_before_that_what_the_engine_computes_now(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token=TOKEN) as client:
        await client.connect()
        await client.subscribe(WHOLE_BARS)
        await client.events.expect("subscribed")
        service.seconds(0, 20)
        await final_of(client, WHOLE_BARS, 10)
        await client.subscribe(WHOLE_SMA)
        await client.events.expect("subscribed", channel=WHOLE_SMA)
        service.seconds(21, 40)
        await final_of(client, WHOLE_BARS, 38)
        await final_of(client, WHOLE_SMA, 38)
        await client.history(WHOLE_BARS, 1000)
        bars = (await client.events.expect("history"))["publications"]
        await client.history(WHOLE_SMA, 1000)
        averages = (await client.events.expect("history"))["publications"]
        await client.history(WHOLE_SMA, 5, reverse=True)
        newest = (await client.events.expect("history"))["publications"]

    published = [(event["offset"], event["data"]) for event in finals(client, WHOLE_BARS)]
    assert [(each["offset"], each["data"]) for each in bars] == published
    assert [second_of(each["data"]) for each in averages] == list(range(39))
    assert [each["data"]["v"] for each in averages] == [None, *(99.5 + second for second in range(1, 39))]
    computed = [each for each in averages if each["offset"] is None]
    assert computed
    assert averages[: len(computed)] == computed
    assert newest == averages[:-6:-1]
