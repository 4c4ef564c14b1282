"""What one connection may send, over real sockets: commands are refused for a while, floods end it."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from gateway.config import NO_LIMITS, LimitsConfig
from tests.gateway.service import BARS, Peer, Service, running
from tests.gateway.test_reception import CONNECT, HANDSHAKE, Client, client, frame
from tests.waiting import until

TOO_FAST = {"code": 111, "message": "too many requests", "temporary": True}


def only(**limits: Any) -> LimitsConfig:
    return msgspec.structs.replace(NO_LIMITS, **limits)


def subscribe(command_id: int, channel: str = BARS, **more: object) -> dict[str, Any]:
    return {"id": command_id, "subscribe": {"channel": channel, **more}}


def time(command_id: int) -> dict[str, Any]:
    return {"id": command_id, "rpc": {"method": "time"}}


def floods(service: Service, of: str) -> float | None:
    return service.sample("gateway_floods_total", {"of": of})


async def replies(peer: Peer, *commands: dict[str, Any]) -> list[Any]:
    """The kind of each reply, or its error."""
    await peer.send(*commands)
    found = [await peer.receive() for _ in commands]
    assert [reply["id"] for reply in found] == [command["id"] for command in commands]
    return [reply.get("error") or next(kind for kind in reply if kind != "id") for reply in found]


async def send_for_ever(peer: Peer) -> None:
    async with asyncio.timeout(10):
        while True:
            await peer.socket.send("{}" + " " * 60_000)


async def until_cut(peer: Client) -> bytes:
    """All that comes, also when the socket is cut off behind it."""
    got = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while part := await peer.reader.read(65_536):
                got += part
    return got


async def lose(service: Service, peer: Peer) -> None:
    """Have the position of BARS lost, and the client told of it."""
    await service.engine.begin_epoch(BARS)
    await service.engine.publish(BARS, 0, final=True)
    while True:
        push = (await peer.receive())["push"]
        if "unsubscribe" in push:
            assert push["unsubscribe"]["code"] == 2500
            return


# commands


async def test_commands_that_come_too_fast_are_refused_for_a_while_and_the_client_stays() -> None:
    async with running(limits=only(commands_per_s=0.001, command_burst=2)) as service, service.connected() as peer:
        assert await replies(peer, *(time(n) for n in range(2, 6))) == ["rpc", "rpc", TOO_FAST, TOO_FAST]
        assert await replies(peer, subscribe(6)) == ["subscribe"]
        assert service.sample("gateway_refusals_total", {"code": "111"}) == 2


async def test_with_time_commands_run_again() -> None:
    async with running(limits=only(commands_per_s=200, command_burst=1)) as service, service.connected() as peer:
        assert TOO_FAST in await replies(peer, *(time(n) for n in range(2, 20)))
        async with asyncio.timeout(10):
            while await replies(peer, time(20)) != ["rpc"]:
                pass


async def test_subscribes_that_come_too_fast_are_refused_for_a_while_and_other_commands_run() -> None:
    limits = only(subscribes_per_s=0.001, subscribe_burst=1)
    channels = [f"trades:DEMO:S0{n}" for n in range(1, 4)]
    async with running(limits=limits) as service, service.connected("few") as peer:
        sent = [subscribe(n, channel) for n, channel in enumerate(channels, 2)]
        assert await replies(peer, *sent, time(9)) == ["subscribe", "subscribe", TOO_FAST, "rpc"], "its plan allows 2"
        assert await replies(peer, {"id": 10, "unsubscribe": {"channel": channels[0]}}) == ["unsubscribe"]


async def test_all_that_the_plan_allows_is_subscribed_in_the_first_frame_by_default() -> None:
    async with running() as service, service.raw() as peer:
        sent = [subscribe(n, f"signals:DEMO:S01@1m:sma({n})") for n in range(2, 202)]
        answers = await replies(peer, {"id": 1, "connect": {"token": "all"}}, *sent)
        assert answers == ["connect", *["subscribe"] * 200]


async def test_what_ends_a_connection_ends_it_however_fast_it_comes() -> None:
    async with running(limits=only(commands_per_s=0.001, command_burst=1)) as service, service.connected() as peer:
        assert await replies(peer, time(2), time(3)) == ["rpc", TOO_FAST]
        await peer.send({"id": 0, "rpc": {"method": "time"}})
        assert (await peer.closed())[0] == 3501


# a channel that was lost


async def test_who_loses_a_channel_twice_within_10_s_is_refused_it_for_a_while() -> None:
    async with running() as service, service.connected() as peer, service.connected() as other:
        await service.engine.compute(BARS)
        assert await replies(peer, subscribe(2)) == ["subscribe"]
        await lose(service, peer)
        assert await replies(peer, subscribe(3)) == ["subscribe"]
        await lose(service, peer)
        assert await replies(peer, subscribe(4)) == [TOO_FAST]
        assert await replies(peer, subscribe(5, "trades:DEMO:S01")) == ["subscribe"]
        assert await replies(other, subscribe(2)) == ["subscribe"]


# floods


@pytest.mark.parametrize("opcode", [0x9, 0xA])
async def test_a_flood_of_control_frames_is_closed_3013_and_read_no_further(opcode: int) -> None:
    limits = only(frames_per_s=0.001, frame_burst=100)
    async with running(limits=limits) as service, client(service) as peer, service.connected() as good:
        peer.send(HANDSHAKE + frame(1, CONNECT) + 50_000 * frame(opcode))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        rest = await until_cut(peer)
        assert (3013).to_bytes(2, "big") + b"too many requests: frames" in rest
        assert rest.count(b"\x8a\x00") <= 3_000
        assert floods(service, "frames") == 1
        assert service.sample("gateway_closes_total", {"code": "3013"}) == 1
        assert await replies(good, time(2)) == ["rpc"]


async def test_a_flood_of_empty_fragments_or_of_messages_is_closed_3013() -> None:
    async with running(limits=only(frames_per_s=0.001, frame_burst=100)) as service:
        for each in (bytes((0x00, 0x80)) + bytes(4), frame(1, b"{}")):
            async with client(service) as peer:
                peer.send(HANDSHAKE + frame(1, CONNECT) + bytes((0x01, 0x80)) + bytes(4) + 50_000 * each)
                await peer.head()
                await peer.rest()
        assert (floods(service, "frames") or 0) >= 1


async def test_a_flood_of_bytes_is_closed_3013() -> None:
    async with running(limits=only(bytes_per_s=1_000, byte_burst=262_144)) as service, service.connected() as peer:
        with pytest.raises(ConnectionClosed):
            await send_for_ever(peer)
        await until(lambda: service.sample("gateway_closes_total", {"code": "3013"}) == 1)
        assert floods(service, "bytes") == 1


async def test_a_flood_that_does_not_stop_is_cut_within_a_second_or_so() -> None:
    limits = only(frames_per_s=0.001, frame_burst=100)
    async with running(limits=limits) as service, client(service) as peer:
        peer.send(HANDSHAKE + 1_000 * frame(9))
        async with asyncio.timeout(10):
            while not peer.writer.transport.is_closing():
                peer.send(1_000 * frame(9))
                await asyncio.sleep(0)
                if peer.writer.transport.get_write_buffer_size() > 10_000_000:
                    break
            await until(lambda: service.sample("gateway_connections") == 0)


async def test_by_default_a_thousand_frames_may_come_at_once() -> None:
    async with running() as service, client(service) as peer:
        peer.send(HANDSHAKE + 1_000 * frame(9, b"x"))
        await peer.head()
        got = b""
        async with asyncio.timeout(10):
            while got.count(b"\x8a\x01x") < 1_000:
                got += await peer.reader.read(65_536)
        assert not floods(service, "frames")
