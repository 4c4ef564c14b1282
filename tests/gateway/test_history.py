"""A chart over a real socket: from the bus and from the channel's engine, or an honest refusal."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.gateway.service import BARS, RSI, RSI_CANONICAL, Peer, Service, running
from wire.envelope import Chart, ClosedValue


def bar(t: int) -> dict[str, int]:
    return {"t": t, "c": t}


def older(*times: int) -> Chart:
    return Chart(tuple(ClosedValue(t, json.dumps(bar(t)).encode()) for t in times))


async def history(peer: Peer, channel: str = BARS, **request: Any) -> dict[str, Any]:
    return await peer.ask({"id": 3, "history": {"channel": channel, **request}})


async def result(peer: Peer, **request: Any) -> Any:
    return (await history(peer, **request))["history"]


@asynccontextmanager
async def charted() -> AsyncIterator[tuple[Service, Peer, str]]:
    """Bars 1 to 6, of which the bus holds the last three, at offsets 1, 3 and 4; and the topic's epoch."""
    async with running() as service, service.connected() as peer:
        await service.engine.compute(BARS)
        for channel, t in ((BARS, 4), (RSI_CANONICAL, 4), (BARS, 5), (BARS, 6)):
            await service.engine.publish(channel, bar(t), final=True)
        service.engine.charts[BARS] = older(1, 2, 3, 4, 5, 6)
        yield service, peer, service.engine.position(BARS)[0]


WHOLE = [
    {"data": bar(1)},
    {"data": bar(2)},
    {"data": bar(3)},
    {"data": bar(4), "offset": 1},
    {"data": bar(5), "offset": 3},
    {"data": bar(6), "offset": 4},
]


async def test_without_a_limit_only_the_position_is_given() -> None:
    async with charted() as (_, peer, epoch):
        for request in ({}, {"limit": 0}):
            assert await result(peer, **request) == {"publications": [], "epoch": epoch, "offset": 4}


async def test_the_newest_bars_come_oldest_first_or_newest_first() -> None:
    async with charted() as (_, peer, epoch):
        assert await result(peer, limit=5) == {"publications": WHOLE[1:], "epoch": epoch, "offset": 4}
        assert (await result(peer, limit=5, reverse=True))["publications"] == WHOLE[:0:-1]
        for limit in (-1, 1000, 2**31 - 1):
            assert (await result(peer, limit=limit))["publications"] == WHOLE


async def test_what_the_bus_holds_is_given_without_asking_the_engine() -> None:
    async with charted() as (service, peer, _):
        service.engine.charts.clear()
        assert (await result(peer, limit=3))["publications"] == WHOLE[3:]


async def test_what_follows_a_position_and_what_precedes_it() -> None:
    async with charted() as (_, peer, epoch):
        since = {"offset": 3, "epoch": epoch}
        assert (await result(peer, limit=9, since=since))["publications"] == WHOLE[5:]
        assert (await result(peer, limit=2, since=since, reverse=True))["publications"] == [WHOLE[3], WHOLE[2]]
        assert (await result(peer, limit=1, since={"offset": 1, "epoch": ""}))["publications"] == WHOLE[4:5]


async def test_another_epoch_is_error_112() -> None:
    async with charted() as (_, peer, _):
        requests: list[dict[str, Any]] = [{}, {"limit": 9}, {"limit": 9, "reverse": True}]
        for request in requests:
            reply = await history(peer, since={"offset": 3, "epoch": "another"}, **request)
            assert reply["error"] == {"code": 112, "message": "unrecoverable position"}


async def test_a_position_that_is_not_held_is_error_112() -> None:
    async with charted() as (_, peer, epoch):
        assert (await history(peer, limit=9, since={"offset": 9, "epoch": epoch}))["error"]["code"] == 112


async def test_the_answer_fits_what_is_recovered_from_its_position() -> None:
    async with charted() as (service, peer, epoch):
        position = await result(peer, limit=9)
        await service.engine.publish(BARS, bar(7), final=True)
        command = {"channel": BARS, "recover": True, "epoch": epoch, "offset": position["offset"]}
        reply = await peer.ask({"id": 4, "subscribe": command})
    assert reply["subscribe"]["publications"] == [{"data": bar(7), "offset": 5}]


async def test_a_channel_that_nobody_watches_has_a_past_and_is_computed_from_now_on() -> None:
    async with running() as service, service.connected("bars") as peer:
        service.engine.charts[RSI_CANONICAL] = older(1, 2)
        reply = await history(peer, RSI, limit=9)
        assert reply["history"]["publications"] == WHOLE[:2]
        assert RSI_CANONICAL in service.engine.wanted_channels


@pytest.mark.parametrize(
    ("token", "channel", "code"),
    [
        ("bars", "nonsense", 107),
        ("none", "bars:DEMO:S01@7m", 102),
        ("none", "trades:DEMO:S01", 108),
        ("all", "quotes:DEMO:S01", 108),
        ("all", "status:OTHER", 108),
        ("bars", "screens:DEMO@1m:close>open", 103),
        ("all", "screens:OTHER@1m:close>open", 102),
        ("none", BARS, 103),
        ("bars", "signals:DEMO:S01@1m:rsi(15)", 103),
        ("all", "bars:DEMO:S99@1m", 102),
        ("all", "bars:OTHER:S01@1m", 102),
    ],
)
async def test_history_is_refused_as_a_subscribe_is(token: str, channel: str, code: int) -> None:
    async with running() as service, service.connected(token) as peer:
        error = (await history(peer, channel, limit=9))["error"]
    assert error["code"] == code
    assert error["message"]
    assert "temporary" not in error


async def test_history_without_a_channel_is_closed_with_3501() -> None:
    async with running() as service, service.connected() as peer:
        await peer.send({"id": 2, "history": {"limit": 1}})
        assert (await peer.closed())[0] == 3501


async def test_a_channel_that_the_engine_refuses_is_error_111_and_temporary() -> None:
    async with running() as service, service.connected() as peer:
        service.engine.charts[BARS] = Chart((), refused="no memory for one more expression")
        error = (await history(peer, limit=9))["error"]
    assert error == {"code": 111, "message": "no memory for one more expression", "temporary": True}


async def test_an_engine_that_does_not_answer_is_error_100_and_temporary_and_the_next_command_runs() -> None:
    async with running() as service, service.connected() as peer:
        for topic in service.broker._topics:
            topic.owner = None
        await peer.send({"id": 3, "history": {"channel": BARS, "limit": 9}}, {"id": 4, "rpc": {"method": "time"}})
        error = (await peer.receive())["error"]
        assert (error["code"], error["temporary"]) == (100, True)
        assert error["message"]
        assert "rpc" in await peer.receive()


async def test_a_thousand_long_bars_fit_a_frame_and_are_cut_at_their_old_end() -> None:
    async with running() as service, service.connected() as peer:
        service.engine.charts[BARS] = Chart(
            tuple(ClosedValue(t, json.dumps({"t": t, "v": "x" * 500}).encode()) for t in range(1, 1001))
        )
        await peer.socket.send(json.dumps({"id": 3, "history": {"channel": BARS, "limit": 1000}}))
        message = await peer.socket.recv()
    assert len(message) <= 192 * 1024
    times = [each["data"]["t"] for each in json.loads(message)["history"]["publications"]]
    assert 300 < len(times) < 1000
    assert times == list(range(1001 - len(times), 1001))
