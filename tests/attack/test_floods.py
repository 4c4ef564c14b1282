"""More of everything than is fair: it ends, is bounded, costs the others nothing, and leaves nothing behind."""

import asyncio
import gc
import sys
from collections import Counter
from itertools import cycle

from gateway.config import NO_LIMITS, LimitsConfig, TimingConfig
from tests.attack.attacker import (
    CLOSE,
    CONT,
    PING,
    PONG,
    Attacker,
    attacker,
    command,
    frame,
    handshake,
    known,
    opened,
    serves,
)
from tests.gateway.service import BARS, Service, running
from tests.waiting import until

GOODBYE = frame(b"\x03\xe8", CLOSE)
PATIENT = TimingConfig(connect_s=3600.0, ping_s=3600, pong_s=3599.0)
OURS = ("gateway.", "wire.", "websockets.")


def ours() -> Counter[str]:
    """What of ours is alive, by class."""
    gc.collect()
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        name = f"{type(each).__module__}.{type(each).__qualname__}"
        if name.startswith(OURS):
            found[name] += 1
    return found


async def come_and_go(service: Service, turns: int, endings: list[bytes | None]) -> None:
    """Connect, subscribe and leave, again and again; None is to leave without a word."""
    hello = handshake() + frame(command(1, connect={"token": "all"}) + b"\n" + command(2, subscribe={"channel": BARS}))
    for _, ending in zip(range(turns), cycle(endings), strict=False):
        async with attacker(service.port) as peer:
            peer.send(hello)
            await peer.head()
            assert "connect" in await peer.message()
            assert "subscribe" in await peer.message()
            if ending is not None:
                peer.send(ending)
                await peer.rest()


async def test_a_thousand_who_come_subscribe_and_go_leave_nothing_behind() -> None:
    endings = [None, GOODBYE, frame(b"nonsense") + GOODBYE, frame(rsv=1)]
    async with running(limits=NO_LIMITS) as service:
        await come_and_go(service, 120, endings)
        await until(lambda: service.sample("gateway_connections") == 0)
        service.engine.wanted_channels.clear()
        tasks, before, blocks = len(asyncio.all_tasks()), ours(), sys.getallocatedblocks()
        await asyncio.gather(*(come_and_go(service, 110, endings) for _ in range(8)))
        await until(lambda: service.sample("gateway_connections") == 0)
        assert service.sample("gateway_subscriptions") == 0
        assert len(asyncio.all_tasks()) == tasks
        grown = ours() - before
        assert grown.total() < 100, grown
        service.engine.wanted_channels.clear()
        assert sys.getallocatedblocks() - blocks < 800, "less than one a client"
        await serves(service)


async def test_one_who_subscribes_and_leaves_again_and_again_holds_nothing() -> None:
    async with running(limits=NO_LIMITS) as service, known(service) as peer:
        pair = frame(command(2, subscribe={"channel": BARS}) + b"\n" + command(3, unsubscribe={"channel": BARS}))

        async def turn(times: int) -> None:
            for _ in range(times):
                peer.send(pair * 10)
                for _ in range(20):
                    await peer.message()

        await turn(2)
        before = ours()
        await turn(50)
        grown = ours() - before
        assert grown.total() < 100, grown
        assert service.sample("gateway_subscriptions") == 0


# more than one may ask for

LINES = b"\n".join([b"{}"] * 20_000)
MANY = 100_000
FLOODS = {
    "pings": frame(opcode=PING) * 200_000,
    "pings of 125 bytes": frame(b"x" * 125, PING) * MANY,
    "pongs": frame(opcode=PONG) * 200_000,
    "pongs of the protocol": frame(b"{}") * 200_000,
    "pongs of the protocol, many in a frame": frame(LINES) * 200,
    "spaces behind a command": frame(command(2, unsubscribe={"channel": "x"}) + b" " * 60_000) * 200,
    "subscribes": b"".join(
        frame(command(n, subscribe={"channel": f"signals:DEMO:S01@1m:sma(close,{n})"})) for n in range(2, MANY)
    ),
    "subscribes, many in a frame": frame(
        b"\n".join(command(n, subscribe={"channel": f"bars:DEMO:S{n}@1m"}) for n in range(2, 900))
    )
    * 110,
    "subscribes to patterns": frame(command(2, subscribe={"channel": "*"})) * MANY,
    "unsubscribes": frame(command(2, unsubscribe={"channel": BARS})) * MANY,
    "history": frame(command(2, history={"channel": BARS, "limit": 1000})) * MANY,
    "expressions to validate": frame(
        command(2, rpc={"method": "validate", "data": {"expression": "(" * 30 + "close" + ")" * 30}})
    )
    * MANY,
    "messages in fragments": (frame(b"{", fin=False) + frame(b"", CONT, fin=False) * 200 + frame(b"}", CONT)) * 1000,
}


async def test_who_floods_is_cut_before_all_of_it_is_answered_and_others_are_served() -> None:
    async def attack(name: str, flood: bytes) -> None:
        async with running(timing=PATIENT) as service, service.connected() as good, known(service, "few") as peer:
            assert "subscribe" in await good.ask({"id": 2, "subscribe": {"channel": BARS}})
            peer.send(flood)
            ending = await peer.ending()
            assert ending.pongs + len(ending.messages) < 10_000, name
            await until(lambda: service.sample("gateway_connections") == 1)
            await service.engine.publish(BARS, 1, final=True)
            assert (await good.receive())["push"]["pub"]["data"] == 1

    async with asyncio.TaskGroup() as tasks:
        for name, flood in FLOODS.items():
            tasks.create_task(attack(name, flood), name=name)


async def test_a_flood_before_connect_is_cut_too() -> None:
    async with running(timing=PATIENT) as service, opened(service) as peer:
        peer.send(frame(opcode=PING) * 200_000)
        assert (await peer.ending()).pongs < 10_000
        await serves(service)


async def test_the_plan_bounds_subscriptions_whatever_else_is_not_limited() -> None:
    async with running(limits=NO_LIMITS) as service, known(service, "few") as peer:
        codes: Counter[int] = Counter()
        for first in range(2, 2002, 500):
            numbers = range(first, first + 500)
            commands = [command(n, subscribe={"channel": f"signals:DEMO:S01@1m:sma(close,{n})"}) for n in numbers]
            peer.send(frame(b"\n".join(commands)))
            for _ in numbers:
                codes[(await peer.message()).get("error", {}).get("code", 0)] += 1
        assert codes == {0: 2, 106: 1998}
        assert service.sample("gateway_subscriptions") == 2


async def test_a_storm_from_one_address_shuts_nobody_else_out() -> None:
    limits = LimitsConfig(handshakes_per_address_per_s=1.0, handshake_burst_per_address=20)
    async with running(limits=limits) as service:

        async def attack() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port, local_addr=("127.0.0.2", 0))
            peer = Attacker(reader, writer)
            peer.send(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
            try:
                return (await peer.rest())[9:12]
            finally:
                writer.transport.abort()

        answers = Counter(await asyncio.gather(*(attack() for _ in range(400))))
        assert answers[b"200"] < 30
        assert answers.total() == 400
        await serves(service)
