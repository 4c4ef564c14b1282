"""Subscription options over a real socket: what is granted stands in the reply, and is what happens."""

from tests.gateway.service import BARS, Peer, Service, running
from tests.waiting import until

TRADES = "trades:DEMO:S01"


def subscribe(channel: str, data: object, command_id: int = 2) -> dict[str, object]:
    return {"id": command_id, "subscribe": {"channel": channel, "data": data}}


async def values(peer: Peer, count: int) -> list[int]:
    return [(await peer.receive())["push"]["pub"]["data"]["c"] for _ in range(count)]


async def publish(service: Service, *closes: int, final: bool = False) -> None:
    for close in closes:
        await service.engine.publish(BARS, {"t": 0, "c": close, "final": final}, final=final)


async def test_who_wants_finals_only_gets_finals_only() -> None:
    async with running() as service, service.connected() as peer:
        assert "subscribe" in await peer.ask(subscribe(BARS, {"final_only": True}))
        await publish(service, 1, 2)
        await publish(service, 3, final=True)
        await publish(service, 4)
        await publish(service, 5, final=True)
        assert await values(peer, 2) == [3, 5]


async def test_live_values_come_no_faster_than_granted_and_finals_all() -> None:
    async with running() as service, service.connected() as peer:
        reply = await peer.ask(subscribe(BARS, {"max_rate": 0.01}))
        assert reply["subscribe"]["data"]["max_rate"] == 0.01
        await publish(service, 1, 2, 3)
        await publish(service, 4, 5, final=True)
        await publish(service, 6)
        await publish(service, 7, final=True)
        assert await values(peer, 4) == [1, 4, 5, 7]


async def test_the_newest_live_value_comes_when_its_turn_has_come() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(BARS, {"max_rate": 20}))
        await publish(service, 1, 2, 3)
        assert await values(peer, 2) == [1, 3]


async def test_without_a_snapshot_nothing_comes_but_what_is_new() -> None:
    async with running() as service, service.connected() as one, service.connected() as two:
        await one.ask(subscribe(BARS, None))
        await publish(service, 1, final=True)
        assert await values(one, 1) == [1]
        assert (await two.ask(subscribe(BARS, {"snapshot": False})))["subscribe"]["offset"] == 1
        await publish(service, 2)
        assert await values(two, 1) == [2]


async def test_a_plan_limits_the_rate_whatever_is_asked_for() -> None:
    async with running() as service, service.connected("slow") as peer:
        assert (await peer.ask(subscribe(BARS, {"max_rate": 50})))["subscribe"]["data"]["max_rate"] == 10
        assert (await peer.ask(subscribe(TRADES, None, 3)))["subscribe"]["data"]["max_rate"] == 10


async def test_an_option_that_is_none_is_refused_by_name_and_nothing_is_subscribed() -> None:
    async with running() as service, service.connected() as peer:
        error = (await peer.ask(subscribe(BARS, {"max_rates": 2})))["error"]
        assert error["code"] == 107
        assert "max_rates" in error["message"]
        assert (await peer.ask(subscribe(TRADES, {"final_only": True}, 3)))["error"]["code"] == 107
        assert "subscribe" in await peer.ask(subscribe(BARS, {}, 4))
        await until(lambda: service.sample("gateway_subscriptions") == 1)
