"""Whatever comes on a socket of a whole gateway, it is never a fault of ours: no connection is closed with 3004."""

import asyncio

from gateway.config import NO_LIMITS
from tests.fuzz.mutation import chance, mutated
from tests.fuzz.sockets import stream
from tests.gateway.service import Service, running
from tests.waiting import until

INPUTS = 300
TURNS = 20
"""Turns of the loop that the gateway has for an input; most are done with by then."""


async def test_no_input_is_a_fault_of_ours() -> None:
    async with running(limits=NO_LIMITS) as service:
        async with service.connected() as peer:  # its token is known from now on: nobody waits for the user service
            for number in range(INPUTS):
                random = chance(number)
                data = stream(random)
                await _feed(service, data if number % 2 else mutated(data, random))
            assert "rpc" in await peer.ask({"id": 2, "rpc": {"method": "time"}})
        await until(lambda: service.sample("gateway_connections") == 0)
        assert service.sample("gateway_closes_total", {"code": "3004"}) is None
        assert service.sample("gateway_closes_total", {"code": "3501"}), "most of them are closed for what they are"
        assert service.sample("gateway_subscriptions") == 0


async def _feed(service: Service, data: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(data)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    writer.transport.abort()
