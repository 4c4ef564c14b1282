"""Trades, quotes and status over real sockets: what is now, without a position, a past, or anything to lose."""

import pytest

from tests.gateway.service import BARS, running
from tests.gateway.test_protocol import subscribe

TRADES, QUOTES, STATUS = "trades:DEMO:S01", "quotes:DEMO:S01", "status:DEMO"
KINDS = pytest.mark.parametrize("channel", [TRADES, QUOTES, STATUS])


@KINDS
async def test_a_subscription_and_its_values_have_no_position(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.publish(BARS, 1, final=True)
        data = {"channel": channel, "warming": True, "max_rate": None}
        assert await peer.ask(subscribe(channel)) == {"id": 2, "subscribe": {"data": data}}
        await service.engine.publish(BARS, 2, final=True)
        for value in ({"p": 1}, {"p": 2}):
            await service.engine.publish(channel, value, final=False)
            assert await peer.receive() == {"push": {"channel": channel, "pub": {"data": value}}}


async def test_bars_of_the_same_topic_keep_their_offsets() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(TRADES))
        await peer.ask(subscribe(BARS, 3))
        await service.engine.publish(BARS, 1, final=True)
        await service.engine.publish(TRADES, 2, final=False)
        await service.engine.publish(BARS, 3, final=False)
        pubs = [(await peer.receive())["push"]["pub"] for _ in range(3)]
    assert pubs == [{"data": 1, "offset": 1}, {"data": 2}, {"data": 3, "offset": 1}]


@KINDS
async def test_the_value_that_is_known_follows_the_reply_and_reaches_the_newcomer_alone(channel: str) -> None:
    async with running() as service, service.connected() as first, service.connected() as second:
        await first.ask(subscribe(channel))
        await service.engine.publish(channel, {"p": 1}, final=False)
        assert (await first.receive())["push"]["pub"] == {"data": {"p": 1}}
        service.engine.wanted_channels.clear()
        await second.send(subscribe(channel))
        await service.engine.repeat(channel)
        assert "subscribe" in await second.receive()
        assert await second.receive() == {"push": {"channel": channel, "pub": {"data": {"p": 1}}}}
        await service.engine.publish(channel, {"p": 2}, final=False)
        assert (await first.receive())["push"]["pub"] == {"data": {"p": 2}}


@pytest.mark.parametrize("flag", [0, 2])
async def test_a_position_that_a_client_brings_is_passed_over(flag: int) -> None:
    async with running() as service, service.connected() as peer, service.connected() as other:
        await other.ask(subscribe(TRADES))
        epoch, _ = service.engine.position(TRADES)
        reply = await peer.ask(subscribe(TRADES, recover=True, offset=0, epoch=epoch, flag=flag))
    assert list(reply["subscribe"]) == ["data"]


async def test_a_position_is_no_better_when_others_here_have_heard_all_since() -> None:
    async with running() as service, service.connected() as peer, service.connected() as other:
        await other.ask(subscribe(BARS))
        await other.ask(subscribe(TRADES, 3))
        await service.engine.publish(BARS, 1, final=True)
        epoch, top = service.engine.position(TRADES)
        reply = await peer.ask(subscribe(TRADES, recover=True, offset=top, epoch=epoch))
    assert list(reply["subscribe"]) == ["data"]
    assert service.sample("gateway_recalls_total") == 0


@KINDS
@pytest.mark.parametrize("limit", [0, 1, -1])
async def test_there_is_no_history(channel: str, limit: int) -> None:
    async with running() as service, service.connected() as peer:
        error = (await peer.ask({"id": 3, "history": {"channel": channel, "limit": limit}}))["error"]
    assert error == {"code": 108, "message": f"{channel.partition(':')[0]} channels have no history"}


@KINDS
async def test_a_lost_envelope_ends_nothing_and_the_engine_says_again_what_it_said_last(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(channel))
        service.broker.lose_next_envelope()
        await service.engine.publish(channel, {"p": 1}, final=False)
        service.engine.wanted_channels.clear()
        await service.engine.publish(channel, {"p": 2}, final=False)
        await service.engine.repeat(channel)
        assert await peer.receive() == {"push": {"channel": channel, "pub": {"data": {"p": 2}}}}
    assert service.sample("gateway_holes_total") == 1


async def test_a_new_epoch_has_the_client_subscribe_again() -> None:
    async with running() as service, service.connected() as peer:
        await peer.ask(subscribe(TRADES))
        await service.engine.publish(TRADES, 1, final=False)
        assert (await peer.receive())["push"]["pub"] == {"data": 1}
        await service.engine.begin_epoch(TRADES)
        await service.engine.publish(TRADES, 2, final=False)
        assert (await peer.receive())["push"]["unsubscribe"]["code"] == 2500
        service.engine.wanted_channels.clear()
        await peer.send(subscribe(TRADES, 3))
        await service.engine.repeat(TRADES)
        assert "subscribe" in await peer.receive()
        assert (await peer.receive())["push"]["pub"] == {"data": 2}


async def test_a_plan_may_cover_a_venue_without_its_instruments() -> None:
    async with running() as service, service.connected("venue") as peer:
        assert "subscribe" in await peer.ask(subscribe(STATUS))
        assert (await peer.ask(subscribe(TRADES, 3)))["error"]["code"] == 103


async def test_they_count_as_subscriptions_and_can_be_left() -> None:
    async with running() as service, service.connected("few") as peer:
        assert "subscribe" in await peer.ask(subscribe(TRADES))
        assert "subscribe" in await peer.ask(subscribe(STATUS, 3))
        assert (await peer.ask(subscribe(QUOTES, 4)))["error"]["code"] == 106
        await peer.ask({"id": 5, "unsubscribe": {"channel": TRADES}})
        assert "subscribe" in await peer.ask(subscribe(QUOTES, 6))
        await service.engine.publish(TRADES, 1, final=False)
        await service.engine.publish(QUOTES, 2, final=False)
        assert (await peer.receive())["push"]["channel"] == QUOTES
