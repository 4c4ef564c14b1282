"""``signal-service subscribe`` prints the same in both codecs."""

import asyncio

from tests.gateway.service import BARS, running
from tests.system.commands import run_command


async def test_subscribe_prints_the_same_in_protobuf_as_in_json() -> None:
    async with running() as service:
        epoch, before = service.engine.position(BARS)
        await service.engine.compute(BARS)
        for t in (1, 2):
            await service.engine.publish(BARS, {"t": t, "v": None, "final": True}, final=True)
        asked = ("subscribe", BARS, "--since", f"{BARS}={epoch}:{before}", "--count", "2")
        where = ("--url", service.url, "--token", "all")
        plain, protobuf = await asyncio.gather(run_command(*asked, *where), run_command(*asked, *where, "--protobuf"))
        assert (protobuf.status, protobuf.error) == (0, "")
        assert protobuf.out == plain.out
        assert protobuf.lines == [
            {"channel": BARS, "offset": t, "data": {"t": t, "v": None, "final": True}} for t in (1, 2)
        ]


async def test_a_refusal_is_printed_with_its_code_in_protobuf_too() -> None:
    async with running() as service:
        refused = await run_command("subscribe", "nonsense", "--url", service.url, "--token", "all", "--protobuf")
        assert refused.status == 1
        assert "107" in refused.error
