"""The official SDKs and every code with which they are refused: they stop at what will not pass, and retry what may."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config import LimitsConfig
from standins.user_service import Fault, Limits, TokenRecord
from tests.conformance.official_client import OfficialClient
from tests.conformance.sdks import SDKS, Sdk
from tests.gateway.service import BARS, RSI, Service, running
from wire.envelope import Description

OTHER_BARS = "bars:DEMO:S02@1m"


@asynccontextmanager
async def connected(sdk: Sdk, service: Service, token: str = "all") -> AsyncIterator[OfficialClient]:
    async with sdk(service.url, token=token) as client:
        await client.connect()
        await client.events.expect("connected")
        yield client


@SDKS
async def test_what_a_plan_does_not_cover_and_what_is_not_computed_is_refused_for_good(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service, "bars") as client:
        for channel in ("bars:OTHER:S01@1m", "trades:DEMO:S01"):
            await client.subscribe(channel)
            assert await client.events.expect("unsubscribed", channel=channel, code=103, reason="permission denied")
        service.engine.description = Description(warming=False, refused="not computed here")
        await client.subscribe(OTHER_BARS)
        assert await client.events.expect("unsubscribed", channel=OTHER_BARS, code=108, reason="not computed here")
        service.engine.description = Description(warming=True)
        await client.subscribe(BARS)
        assert await client.events.expect("subscribed", channel=BARS)
        assert client.events.of("disconnected") == []


@SDKS
async def test_one_subscription_more_than_the_plan_allows_is_refused_with_106(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service, "few") as client:
        for channel in (BARS, RSI):
            await client.subscribe(channel)
            await client.events.expect("subscribed", channel=channel)
        await client.subscribe(OTHER_BARS)
        assert await client.events.expect("unsubscribed", channel=OTHER_BARS, code=106, reason="limit exceeded")


@SDKS
async def test_subscribes_that_come_too_fast_are_tried_again_and_succeed(sdk: Sdk) -> None:
    limits = LimitsConfig(subscribes_per_s=10, subscribe_burst=1)
    async with running(limits=limits) as service, connected(sdk, service, "few") as client:
        for channel in (BARS, RSI):
            await client.subscribe(channel)
        for channel in (BARS, RSI):
            await client.events.expect("subscribed", channel=channel)


@SDKS
async def test_a_user_service_that_does_not_answer_is_told_as_100_and_asked_again(sdk: Sdk) -> None:
    async with running() as service, sdk(service.url, token="all") as client:
        service.users.misbehave(Fault(status=503))
        await client.connect()
        assert await client.events.expect("error", code=100)
        service.users.behave()
        await client.events.expect("connected")
        assert client.events.of("disconnected") == []


@SDKS
async def test_one_connection_more_than_the_plan_allows_is_told_as_111_and_let_in_once_there_is_room(sdk: Sdk) -> None:
    async with running() as service:
        service.users.tokens["one"] = TokenRecord(sub="9", channels=("*",), limits=Limits(connections=1))
        async with sdk(service.url, token="one") as second:
            async with service.connected("one"):
                await second.connect()
                assert await second.events.expect("error", code=111)
            await second.events.expect("connected")
            assert second.events.of("disconnected") == []


@SDKS
async def test_calls_and_histories_are_refused_with_their_codes(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service, "bars") as client:
        for method, data, code in (
            ("nothing", {}, 104),
            ("validate", {}, 107),
            ("validate", {"expression": 1}, 107),
            ("instruments", [], 107),
        ):
            await client.rpc(method, data)
            assert await client.events.expect("refused", code=code)
        for channel, code in (("nonsense", 107), ("candles:DEMO:S01@1m", 102), ("bars:DEMO:S99@1m", 102)):
            await client.history(channel, 1)
            assert await client.events.expect("refused", code=code)
        for channel, code in (("trades:DEMO:S01", 108), ("bars:OTHER:S01@1m", 103)):
            await client.history(channel, 1)
            assert await client.events.expect("refused", code=code)
        await client.history(BARS, 1, ("another", 1))
        assert await client.events.expect("refused", code=112)
