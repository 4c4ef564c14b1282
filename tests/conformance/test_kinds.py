"""The official SDKs and the kinds of channels that are no bars: what is only now, and what is told once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.conformance.official_client import OfficialClient
from tests.conformance.sdks import SDKS, Sdk
from tests.gateway.service import BARS, Service, running
from wire.envelope import Description

TRADES, QUOTES, STATUS = "trades:DEMO:S01", "quotes:DEMO:S01", "status:DEMO"
ALERT, SCREEN = "alerts:DEMO:S01@1m:close>open", "screens:DEMO@1m:close>open"


@asynccontextmanager
async def connected(sdk: Sdk, service: Service) -> AsyncIterator[OfficialClient]:
    async with sdk(service.url, token="all") as client:
        await client.connect()
        await client.events.expect("connected")
        yield client


@SDKS
async def test_what_is_only_now_is_subscribed_without_a_position_and_again_without_recovery(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        await service.engine.publish(BARS, {"t": 1}, final=True)
        for channel in (TRADES, QUOTES, STATUS):
            await client.subscribe(channel)
            told = await client.events.expect("subscribed", channel=channel)
            assert (told["recoverable"], told["positioned"], told["position"]) == (False, False, None)
            for n in (1, 2):
                await service.engine.publish(channel, {"n": n}, final=False)
                assert await client.events.expect("publication", channel=channel, offset=None, data={"n": n})
        await client.disconnect()
        await client.events.expect("disconnected")
        await client.connect()
        for channel in (TRADES, QUOTES, STATUS):
            back = await client.events.expect("subscribed", channel=channel)
            assert (back["was_recovering"], back["recovered"], back["position"]) == (False, False, None)
            await service.engine.publish(channel, {"n": 3}, final=False)
            assert await client.events.expect("publication", channel=channel, offset=None, data={"n": 3})


@SDKS
async def test_a_position_given_for_what_is_only_now_does_no_harm(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        epoch, _ = service.engine.position(TRADES)
        await client.subscribe(TRADES, (epoch, 0))
        assert not (await client.events.expect("subscribed", channel=TRADES))["recovered"]
        await service.engine.publish(TRADES, {"n": 1}, final=False)
        assert await client.events.expect("publication", channel=TRADES, data={"n": 1})


@SDKS
async def test_after_a_new_epoch_a_client_comes_back_by_itself_to_what_is_only_now(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        await client.subscribe(TRADES)
        await client.events.expect("subscribed", channel=TRADES)
        await service.engine.begin_epoch(TRADES)
        await service.engine.publish(TRADES, {"n": 1}, final=False)
        await client.events.expect("subscribing", channel=TRADES, code=2500)
        await client.events.expect("subscribed", channel=TRADES)
        await service.engine.publish(TRADES, {"n": 2}, final=False)
        assert await client.events.expect("publication", channel=TRADES, data={"n": 2})


@SDKS
async def test_an_event_missed_while_away_is_recovered_and_the_newest_is_told_to_who_is_new(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        for channel in (ALERT, SCREEN):
            await service.engine.compute(channel)
            await client.subscribe(channel)
            told = await client.events.expect("subscribed", channel=channel)
            assert (told["recoverable"], told["positioned"]) == (True, True)
        await client.disconnect()
        await client.events.expect("disconnected")
        for channel in (ALERT, SCREEN):
            for t in (1, 2):
                await service.engine.publish(channel, {"t": t}, final=True)
        await client.connect()
        for channel in (ALERT, SCREEN):
            assert (await client.events.expect("subscribed", channel=channel))["recovered"]
            assert [each["data"]["t"] for each in await client.events.publications(channel, 2)] == [1, 2]
        async with connected(sdk, service) as other:
            await other.subscribe(ALERT)
            assert (await other.events.expect("publication", channel=ALERT))["data"] == {"t": 2}


@SDKS
async def test_events_have_a_history_and_what_is_only_now_has_none(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        for t in (1, 2):
            await service.engine.publish(ALERT, {"t": t}, final=True)
        await client.history(ALERT, 9)
        assert [each["data"]["t"] for each in (await client.events.expect("history"))["publications"]] == [1, 2]
        await client.history(QUOTES, 9)
        assert await client.events.expect("refused", code=108)


@SDKS
async def test_a_refusal_that_may_pass_is_tried_again_and_one_that_will_not_is_final(sdk: Sdk) -> None:
    async with running() as service, connected(sdk, service) as client:
        service.engine.description = Description(warming=False, refused="no memory for it", temporary=True)
        await client.subscribe(ALERT)
        assert await client.events.expect("subscription_error", channel=ALERT, code=111, message="no memory for it")
        service.engine.description = Description(warming=True)
        await client.events.expect("subscribed", channel=ALERT)
        service.engine.description = Description(warming=False, refused="DEMO has no quotes")
        await client.subscribe(QUOTES)
        assert await client.events.expect("unsubscribed", channel=QUOTES, code=108, reason="DEMO has no quotes")
