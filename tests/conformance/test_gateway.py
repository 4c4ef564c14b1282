"""The official SDKs against the whole service: engine, bus, gateway and user service; the test plays the feed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from runtime.clock import SystemClock
from standins.demo import TOKEN, demo
from tests.conformance.official_client import Event, OfficialClient
from tests.conformance.python_client import PythonClient
from tests.conformance.sdks import SDKS, Sdk
from tests.engine.hand_feed import START_NS, HandFeed

BARS = "bars:DEMO:S01@1s"
SMA = "signals:DEMO:S01@1s:sma(2)"


@dataclass
class Played:
    """The whole service, and the feed that the test plays."""

    feed: HandFeed
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def seconds(self, first: int, last: int) -> None:
        """One trade in each second, at a price that names it; all but the last two seconds are closed by them."""
        for second in range(first, last + 1):
            self.feed.trade(second + 0.1, 100.0 + second)


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    feed = HandFeed()
    async with demo(
        [feed], host="127.0.0.1", port=0, clock=SystemClock(), registry=CollectorRegistry(), version="test"
    ) as running:
        yield Played(feed, running.port)


def second_of(data: dict[str, Any]) -> int:
    return int((data["t"] - START_NS // 1_000_000) // 1000)


def finals(client: OfficialClient, channel: str) -> list[Event]:
    return [event for event in client.events.of("publication", channel=channel) if event["data"]["final"]]


async def final_of(client: OfficialClient, channel: str, second: int) -> Event:
    """Wait for the final of one second; publications before it stay taken."""
    while True:
        event = await client.events.expect("publication", channel=channel)
        if event["data"]["final"] and second_of(event["data"]) == second:
            return event


@SDKS
async def test_the_newest_value_then_live_values_and_every_final_in_order(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token=TOKEN) as first, sdk(service.url, token=TOKEN) as late:
        await first.connect()
        await first.subscribe(BARS)
        await first.subscribe(SMA)
        await first.events.expect("subscribed", channel=BARS)
        await first.events.expect("subscribed", channel=SMA)
        service.seconds(0, 20)
        await final_of(first, BARS, 18)
        await final_of(first, SMA, 18)

        await late.connect()
        await late.subscribe(BARS)
        subscribed = await late.events.expect("subscribed", channel=BARS)
        newest, live = await late.events.publications(BARS, 2)
        service.seconds(21, 24)
        await final_of(first, BARS, 22)
        await final_of(late, BARS, 22)

    seen = finals(first, BARS)
    assert [second_of(event["data"]) for event in seen] == list(range(23))
    assert [event["data"]["c"] for event in seen] == [100.0 + second for second in range(23)]
    offsets = [event["offset"] for event in seen]
    assert offsets == sorted(set(offsets))
    assert [event["data"]["v"] for event in finals(first, SMA)][:3] == [None, 100.5, 101.5]
    assert [event for event in first.events.of("publication", channel=BARS) if not event["data"]["final"]]

    assert second_of(newest["data"]) == 18
    assert newest["data"]["final"]
    assert newest["offset"] == subscribed["position"]["offset"]
    assert not live["data"]["final"]
    assert second_of(live["data"]) > second_of(newest["data"])
    after = [second_of(event["data"]) for event in finals(late, BARS)]
    assert after == list(range(second_of(newest["data"]), 23))


@SDKS
async def test_a_client_that_was_away_gets_exactly_the_finals_it_missed(sdk: Sdk) -> None:
    async with (
        played() as service,
        PythonClient(service.url, token=TOKEN) as witness,
        sdk(service.url, token=TOKEN) as client,
    ):
        for each in (witness, client):
            await each.connect()
            for channel in (BARS, SMA):
                await each.subscribe(channel)
                await each.events.expect("subscribed", channel=channel)
        service.seconds(0, 10)
        for channel in (BARS, SMA):
            await final_of(client, channel, 8)
        await client.disconnect()
        await client.events.expect("disconnected")
        before = len(client.events.all)

        service.seconds(11, 30)
        for channel in (BARS, SMA):
            await final_of(witness, channel, 28)
        await client.connect()
        for channel in (BARS, SMA):
            back = await client.events.expect("subscribed", channel=channel)
            assert back["recovered"]
            await final_of(client, channel, 28)
        service.seconds(31, 34)
        for channel in (BARS, SMA):
            await final_of(client, channel, 32)

    for channel in (BARS, SMA):
        assert [second_of(event["data"]) for event in finals(client, channel)] == list(range(33))
        recovered = [e for e in client.events.all[before:] if e["event"] == "publication" and e["channel"] == channel]
        assert second_of(recovered[0]["data"]) == 9


@SDKS
async def test_a_position_that_a_client_kept_is_taken_up(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token=TOKEN) as first, sdk(service.url, token=TOKEN) as second:
        await first.connect()
        await first.subscribe(BARS)
        epoch = (await first.events.expect("subscribed"))["position"]["epoch"]
        service.seconds(0, 6)
        kept = await final_of(first, BARS, 2)
        await final_of(first, BARS, 4)

        await second.connect()
        await second.subscribe(BARS, since=(epoch, kept["offset"]))
        assert (await second.events.expect("subscribed"))["recovered"]
        await final_of(second, BARS, 4)
    assert [second_of(event["data"]) for event in finals(second, BARS)] == [3, 4]


@SDKS
async def test_a_wrong_token_stops_the_client(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token="wrong") as client:
        await client.connect()
        stopped = await client.events.expect("disconnected")
    assert stopped["code"] in (1, 109)


@SDKS
async def test_no_token_stops_the_client_with_3500(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url) as client:
        await client.connect()
        assert (await client.events.expect("disconnected"))["code"] == 3500


@SDKS
async def test_a_client_that_can_get_another_token_goes_on_with_it(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token="expired", next_token=TOKEN) as client:
        await client.connect()
        await client.events.expect("connected")


@SDKS
async def test_a_refused_channel_ends_that_subscription_and_no_other(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token=TOKEN) as client:
        await client.connect()
        for channel, code in (
            ("nonsense", 107),
            ("signals:DEMO:S01@1m:nonsense(", 107),
            ("candles:DEMO:S01@1m", 102),
            ("bars:DEMO:S99@1m", 102),
            ("bars:OTHER:S01@1m", 102),
            ("status:OTHER", 102),
        ):
            await client.subscribe(channel)
            assert (await client.events.expect("unsubscribed", channel=channel))["code"] == code
        await client.subscribe(BARS)
        await client.events.expect("subscribed", channel=BARS)


@SDKS
async def test_an_unsubscribed_channel_is_silent_and_can_be_had_again(sdk: Sdk) -> None:
    async with played() as service, sdk(service.url, token=TOKEN) as client:
        await client.connect()
        await client.subscribe(BARS)
        await client.subscribe(SMA)
        await client.events.expect("subscribed", channel=BARS)
        await client.events.expect("subscribed", channel=SMA)
        service.seconds(0, 3)
        await final_of(client, BARS, 1)
        await client.unsubscribe(BARS)
        await client.events.expect("unsubscribed", channel=BARS)
        seen = len(client.events.of("publication", channel=BARS))
        service.seconds(4, 8)
        await final_of(client, SMA, 6)
        assert len(client.events.of("publication", channel=BARS)) == seen
        await client.subscribe(BARS)
        await client.events.expect("subscribed", channel=BARS)


@SDKS
async def test_clients_are_told_3001_when_the_service_leaves_and_try_to_come_back(sdk: Sdk) -> None:
    async with AsyncExitStack() as clients:
        async with played() as service:
            client = await clients.enter_async_context(sdk(service.url, token=TOKEN))
            await client.connect()
            await client.events.expect("connected")
        connecting = await client.events.expect("connecting", code=3001)
    assert connecting["reason"] == "shutdown"
