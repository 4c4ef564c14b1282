"""The official SDKs and how connections end: who comes back misses nothing, and who may not come back stays out."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from prometheus_client import CollectorRegistry

from gateway.admin import API_KEY_HEADER, DISCONNECT_PATH
from gateway.app import RunningGateway, gateway
from gateway.config import DrainConfig, GatewayConfig, ListenConfig, OutboxConfig, UserServiceConfig
from runtime.admin import Admin
from runtime.clock import SystemClock
from runtime.redis_config import RedisConfig
from tests.conformance.balancer import Balancer, balancer
from tests.conformance.official_client import OfficialClient
from tests.conformance.sdks import SDKS, Sdk
from tests.gateway.service import BARS, KEY, RSI, RSI_CANONICAL, TOPICS, Service, running
from wire.revocation import Revocation, digest_of

TRADES = "trades:DEMO:S01"
DRAIN = DrainConfig(linger_s=0, period_s=0.05)


@dataclass
class Deployment:
    """Two gateways on one bus, and the address before them, which leads to the first for now."""

    first: Service
    second: RunningGateway
    address: Balancer

    async def publish(self, *times: int) -> None:
        for t in times:
            await self.first.engine.publish(BARS, {"t": t}, final=True)

    async def drain_the_first(self) -> None:
        await self.first.serving.drain(asyncio.Event())

    def lead_to_the_second(self) -> None:
        self.address.target = self.second.port


@asynccontextmanager
async def deployment() -> AsyncIterator[Deployment]:
    async with running(drain=DRAIN) as first:
        config = GatewayConfig(
            user_service=UserServiceConfig(api_key=KEY, url=first.users.url),
            redis=RedisConfig(url="memory://", topics=TOPICS),
            listen=ListenConfig(port=0, origins=("*",)),
            drain=DRAIN,
        )
        async with (
            gateway(config, first.broker, clock=SystemClock(), registry=CollectorRegistry(), version="test") as second,
            balancer(first.port) as address,
        ):
            yield Deployment(first, second, address)


@asynccontextmanager
async def subscribed(sdk: Sdk, url: str, *channels: str, token: str = "all") -> AsyncIterator[OfficialClient]:
    async with sdk(url, token=token) as client:
        await client.connect()
        await client.events.expect("connecting", code=0)
        await client.events.expect("connected")
        for channel in channels:
            await client.subscribe(channel)
            await client.events.expect("subscribed", channel=channel)
        yield client


async def heard_up_to(client: OfficialClient, last: int) -> list[int]:
    """The times of all bars that the client ever heard of, once it has heard of the last."""
    await client.events.expect("publication", channel=BARS, data={"t": last})
    return [event["data"]["t"] for event in client.events.of("publication", channel=BARS)]


async def operator(service: Service, order: dict[str, object]) -> None:
    async with (
        Admin(host="127.0.0.1", port=0, registry=service.registry, checks={}, routes=service.serving.routes) as admin,
        aiohttp.ClientSession(headers={API_KEY_HEADER: "a key between services"}) as http,
        http.post(f"http://127.0.0.1:{admin.port}{DISCONNECT_PATH}", data=json.dumps(order)) as response,
    ):
        assert (response.status, await response.json()) == (200, {"disconnected": 1})


@SDKS
async def test_a_client_that_is_cut_off_recovers_on_another_gateway_what_it_missed(sdk: Sdk) -> None:
    async with deployment() as service, subscribed(sdk, service.address.url, BARS, TRADES) as client:
        await service.publish(1, 2)
        await heard_up_to(client, 2)
        service.address.target = None
        await service.address.cut()
        await client.events.expect("connecting", code=1)
        await service.publish(3, 4, 5)
        service.lead_to_the_second()
        back = await client.events.expect("subscribed", channel=BARS)
        assert (back["was_recovering"], back["recovered"]) == (True, True)
        await client.events.expect("subscribed", channel=TRADES)
        await service.publish(6)
        assert await heard_up_to(client, 6) == [1, 2, 3, 4, 5, 6]


@SDKS
async def test_a_gateway_that_leaves_hands_its_clients_over_and_no_final_is_lost_or_repeated(sdk: Sdk) -> None:
    async with deployment() as service, subscribed(sdk, service.address.url, BARS) as client:
        await service.publish(1)
        await heard_up_to(client, 1)
        service.lead_to_the_second()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.drain_the_first(), name="drain")
            for t in range(2, 52):
                await service.publish(t)
                await asyncio.sleep(0.002)
        assert await client.events.expect("connecting", code=3001, reason="shutdown")
        assert (await client.events.expect("subscribed", channel=BARS))["recovered"]
        await service.publish(52)
        assert await heard_up_to(client, 52) == list(range(1, 53))
        assert service.first.sample("gateway_connections") == 0


@SDKS
async def test_a_client_that_stops_reading_is_dropped_and_misses_nothing_once_it_reads_again(sdk: Sdk) -> None:
    outbox = OutboxConfig(queue_bytes=65_536)
    async with running(outbox=outbox) as service, subscribed(sdk, service.url, BARS, RSI) as client:

        async def publish(t: int) -> None:
            await service.engine.publish(BARS, {"t": t}, final=True)

        def dropped() -> float:
            labels = ({"cause": cause} for cause in ("bytes", "age", "stalled"))
            return sum(service.sample("gateway_slow_consumers_total", each) or 0 for each in labels)

        await publish(1)
        await heard_up_to(client, 1)
        await client.stop_reading()
        await publish(2)
        while not dropped():
            await service.engine.publish(RSI_CANONICAL, "x" * 50_000, final=True)
            await asyncio.sleep(0.001)
        await publish(3)
        await client.read_again()
        left = await client.events.expect("connecting")
        assert left["code"] in (1, 3008)  # its socket may have been cut before it read the close
        assert (await client.events.expect("subscribed", channel=BARS))["recovered"]
        await publish(4)
        assert await heard_up_to(client, 4) == [1, 2, 3, 4]


@SDKS
async def test_a_revoked_subscriber_stays_out(sdk: Sdk) -> None:
    async def by_the_bus(service: Service) -> None:
        await service.broker.revoke(Revocation(sub="1"))

    async def by_the_token(service: Service) -> None:
        await service.broker.revoke(Revocation(token_sha256=digest_of("all").hex()))

    async def by_an_operator(service: Service) -> None:
        await operator(service, {"sub": "1", "revoke": True})

    ways: tuple[Callable[[Service], Awaitable[None]], ...] = (by_the_bus, by_the_token, by_an_operator)
    for revoke in ways:
        async with running() as service, subscribed(sdk, service.url, BARS) as client:
            await revoke(service)
            assert await client.events.expect("disconnected", code=3500, reason="invalid token: revoked")
            assert len(client.events.of("connecting")) == 1


@SDKS
async def test_who_is_disconnected_by_an_operator_stays_out_until_it_is_told_to_come(sdk: Sdk) -> None:
    async with running() as service, subscribed(sdk, service.url, BARS) as client:
        await operator(service, {"client": client.events.of("connected")[0]["client"]})
        assert await client.events.expect("disconnected", code=3503)
        assert len(client.events.of("connecting")) == 1
        await service.engine.publish(BARS, {"t": 1}, final=True)
        await client.connect()
        assert (await client.events.expect("subscribed", channel=BARS))["recovered"]
        assert await heard_up_to(client, 1) == [1]
