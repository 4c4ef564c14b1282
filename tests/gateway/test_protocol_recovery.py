"""What a client that was away is given, over real sockets: all that it missed, or the word that this cannot be."""

from typing import Any

from tests.gateway.service import BARS, running
from tests.gateway.test_protocol import subscribe


async def recover(service: Any, offset: int, *, epoch: str | None = None, flag: int = 0) -> list[dict[str, Any]]:
    known, _ = service.engine.position(BARS)
    async with service.connected() as peer:
        command = subscribe(BARS, 2, recover=True, offset=offset, epoch=known if epoch is None else epoch, flag=flag)
        messages = [await peer.ask(command)]
        await peer.send({"id": 9, "unsubscribe": {"channel": "bars:DEMO:S02@1m"}})
        while (message := await peer.receive()).get("id") != 9:
            messages.append(message)
        return messages


async def test_a_client_that_was_away_gets_exactly_the_finals_it_missed() -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        for n in range(1, 6):
            await service.engine.publish(BARS, n, final=True)
        await service.engine.publish(BARS, "live", final=False)
        (reply,) = await recover(service, 2)
    result = reply["subscribe"]
    assert (result["recovered"], result["was_recovering"], result["offset"]) == (True, True, 2)
    assert result["publications"] == [{"data": n, "offset": n} for n in (3, 4, 5)]


async def test_a_client_that_missed_nothing_gets_the_top() -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        await service.engine.publish(BARS, 1, final=True)
        (reply,) = await recover(service, 1)
    result = reply["subscribe"]
    assert (result["recovered"], result["offset"], result.get("publications")) == (True, 1, None)


async def test_what_cannot_be_recovered_says_so_and_the_newest_final_follows() -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        await service.engine.publish(BARS, 1, final=True)
        reply, newest = await recover(service, 0, epoch="another")
    assert "recovered" not in reply["subscribe"]
    assert reply["subscribe"]["was_recovering"] is True
    assert reply["subscribe"]["offset"] == 1
    assert newest["push"]["pub"] == {"data": 1, "offset": 1}


async def test_what_cannot_be_recovered_is_error_112_if_the_client_wants_that() -> None:
    async with running() as service:
        await service.engine.compute(BARS)
        (reply,) = await recover(service, 9, flag=2)
    assert reply["error"] == {"code": 112, "message": "unrecoverable position"}


async def test_a_lost_position_is_told_and_nothing_follows_until_the_client_is_back() -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(BARS)
        await peer.ask(subscribe(BARS))
        await service.engine.publish(BARS, 1, final=True)
        assert (await peer.receive())["push"]["pub"]["offset"] == 1
        epoch, _ = service.engine.position(BARS)
        await service.engine.begin_epoch(BARS)
        await service.engine.publish(BARS, 2, final=True)
        told = await peer.receive()
        assert told["push"]["channel"] == BARS
        assert told["push"]["unsubscribe"]["code"] == 2500
        assert told["push"]["unsubscribe"]["reason"]
        reply = await peer.ask(subscribe(BARS, 3, recover=True, offset=1, epoch=epoch))
        assert reply["subscribe"]["was_recovering"]
        assert "recovered" not in reply["subscribe"]
        assert reply["subscribe"]["epoch"] != epoch
        assert (await peer.receive())["push"]["pub"] == {"data": 2, "offset": 2}
    assert service.sample("gateway_resets_total") == 1


async def test_what_was_lost_on_the_way_is_read_and_handed_on_in_order() -> None:
    async with running() as service, service.connected() as peer:
        await service.engine.compute(BARS)
        await peer.ask(subscribe(BARS))
        service.broker.lose_next_envelope()
        for value in (1, 2, 3):
            await service.engine.publish(BARS, value, final=True)
        assert [(await peer.receive())["push"]["pub"] for _ in range(3)] == [
            {"data": value, "offset": value} for value in (1, 2, 3)
        ]
    assert service.sample("gateway_holes_total") == 1
    assert service.sample("gateway_resets_total") == 0
