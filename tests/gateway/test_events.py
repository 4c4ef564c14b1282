"""Alerts and screens over real sockets: finals alone, told once, and the bus is all that knows their past."""

import json
from typing import Any

import pytest

from tests.gateway.service import BARS, running
from tests.gateway.test_protocol import subscribe
from wire.envelope import Chart

ALERT, SCREEN = "alerts:DEMO:S01@1m:rsi(14) > 70", "screens:DEMO@1m:close>open"
CANONICAL = {ALERT: "alerts:DEMO:S01@1m:rsi(close,14)>70", SCREEN: SCREEN}
KINDS = pytest.mark.parametrize("channel", [ALERT, SCREEN], ids=["alert", "screen"])


def event(t: int) -> dict[str, Any]:
    return {"t": t, "final": True}


def screen(t: int, count: int) -> dict[str, Any]:
    """All instruments of a large venue hold, and half of them came in."""
    symbols = [f"SYM{n:05}" for n in range(count)]
    return {"t": t, "in": symbols, "entered": symbols[::2], "left": [], "final": True}


async def history(peer: Any, channel: str, **request: Any) -> dict[str, Any]:
    reply = await peer.ask({"id": 9, "history": {"channel": channel, **request}})
    assert isinstance(reply, dict)
    return reply


@KINDS
async def test_a_channel_that_never_said_anything_has_a_position_from_which_all_is_recovered(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(CANONICAL[channel])
        result = (await peer.ask(subscribe(channel)))["subscribe"]
        assert (result["recoverable"], result["positioned"], result.get("offset", 0)) == (True, True, 0)
        assert result["data"]["channel"] == CANONICAL[channel]
        await peer.ask({"id": 3, "unsubscribe": {"channel": channel}})
        await service.engine.publish(CANONICAL[channel], event(1), final=True)
        await service.engine.publish(CANONICAL[channel], event(2), final=True)
        back = (await peer.ask(subscribe(channel, 4, recover=True, epoch=result["epoch"], offset=0)))["subscribe"]
        assert back["recovered"]
        assert [each["data"]["t"] for each in back["publications"]] == [1, 2]


@KINDS
async def test_the_newest_follows_the_reply_however_long_ago_it_was(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.publish(CANONICAL[channel], event(1), final=True)
        for t in range(2, 5):
            await service.engine.publish(BARS, event(t), final=True)
        assert "subscribe" in await peer.ask(subscribe(channel))
        _, top = service.engine.position(CANONICAL[channel])
        assert await peer.receive() == {"push": {"channel": channel, "pub": {"data": event(1), "offset": top}}}


@KINDS
async def test_the_past_is_what_the_bus_holds_and_the_engine_is_not_asked(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        service.engine.charts[CANONICAL[channel]] = Chart((), refused="there is no chart of it")
        assert (await history(peer, channel, limit=5))["history"]["publications"] == []
        for t in (1, 2, 3):
            await service.engine.publish(CANONICAL[channel], event(t), final=True)
        for t in (8, 9):
            await service.engine.publish(BARS, event(t), final=True)
        newest = (await history(peer, channel, limit=2, reverse=True))["history"]
        assert [each["data"]["t"] for each in newest["publications"]] == [3, 2]
        assert (newest["epoch"], newest["offset"]) == service.engine.position(CANONICAL[channel])
        whole = (await history(peer, channel, limit=-1))["history"]["publications"]
        assert [each["data"]["t"] for each in whole] == [1, 2, 3]
        since = {"offset": whole[0]["offset"], "epoch": newest["epoch"]}
        later = (await history(peer, channel, limit=9, since=since))["history"]["publications"]
        assert later == whole[1:]


@KINDS
async def test_what_was_lost_on_the_way_is_read_and_told_in_order(channel: str) -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(CANONICAL[channel])
        await peer.ask(subscribe(channel))
        service.broker.lose_next_envelope()
        for t in (1, 2, 3):
            await service.engine.publish(CANONICAL[channel], event(t), final=True)
        assert [(await peer.receive())["push"]["pub"]["data"]["t"] for _ in range(3)] == [1, 2, 3]


async def test_a_plan_that_covers_one_instrument_covers_no_screen_of_its_venue() -> None:
    async with running() as service:
        async with service.connected("bars") as peer:
            assert (await peer.ask(subscribe(SCREEN)))["error"]["code"] == 103
        async with service.connected("venue") as peer:
            assert "subscribe" in await peer.ask(subscribe(SCREEN))


async def test_a_screen_of_five_thousand_instruments_fits_a_frame_and_so_does_what_is_recovered_of_many() -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(SCREEN)
        epoch, _ = service.engine.position(SCREEN)
        await peer.ask(subscribe(SCREEN))
        for t in range(1, 5):
            await service.engine.publish(SCREEN, screen(t, 5000), final=True)
            message = await peer.socket.recv()
            assert len(message) < 192 * 1024
            assert json.loads(message)["push"]["pub"]["data"] == screen(t, 5000)
        await peer.ask({"id": 3, "unsubscribe": {"channel": SCREEN}})
        some = (await peer.ask(subscribe(SCREEN, 4, recover=True, epoch=epoch, offset=2)))["subscribe"]
        assert [each["data"]["t"] for each in some["publications"]] == [3, 4]
        await peer.ask({"id": 5, "unsubscribe": {"channel": SCREEN}})
        many = (await peer.ask(subscribe(SCREEN, 6, recover=True, epoch=epoch, offset=0)))["subscribe"]
        assert "recovered" not in many
        assert (await peer.receive())["push"]["pub"]["data"]["t"] == 4
        page = await history(peer, SCREEN, limit=9, since={"epoch": epoch, "offset": 0})
        assert [each["data"]["t"] for each in page["history"]["publications"]] == [1, 2]
