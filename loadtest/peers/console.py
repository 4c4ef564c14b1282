"""The console of a peer in Python: orders from standard input, carried out one after the other. Does I/O."""

import asyncio
import sys
import time
from collections.abc import Callable

from loadtest.peers.publish import parse

Broadcast = Callable[[bytes], object]
"""Sends a message to all who are connected."""


def announce(port: int) -> None:
    """Say that the port is listened on."""
    _say(f"listening {port}")


async def obey(broadcast: Broadcast) -> None:
    """Carry out orders until standard input ends; each is answered once its last message was handed over."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            publish = parse(line.decode())
            due_s = loop.time()
            for number in range(publish.count):
                broadcast(publish.message(number, time.time_ns() // 1000))
                due_s += publish.interval_us / 1e6
                await asyncio.sleep(max(0.0, due_s - loop.time()) if publish.interval_us else 0)
            _say(f"published {publish.count}")
    finally:
        transport.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
