"""The connections that are here: counted, and all closed on leaving, at once or one after the other."""

import asyncio
import random
from contextlib import suppress
from typing import Final, Protocol

from gateway.drain import Drain
from gateway.metrics import GatewayMetrics
from wire.close import Close

LEAVE_TIMEOUT_S: Final = 3.0
"""How long clients may take to answer the closing handshake; each socket is aborted before."""


class Client(Protocol):
    """A connection, as this list sees it."""

    closed_with: Close | None
    address: str | None
    """Where it comes from, as limits count it; None when that is not known."""

    def shut(self, reason: Close) -> None:
        """Close with `reason`, after what is pending."""


class Clients:
    """All connections of one gateway; those that are `arriving` have not said yet what they want."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        metrics.connections.set_function(lambda: len(self._here))
        self._here: dict[Client, str | None] = {}
        """Each with the address under which it is counted."""
        self._counts: dict[str, int] = {}
        self._arriving: set[Client] = set()
        self._gone = asyncio.Event()
        self._gone.set()
        self.departed = 0
        """How many have gone since the beginning."""

    def __len__(self) -> int:
        return len(self._here)

    def count_of(self, address: str) -> int:
        """How many are here from an address."""
        return self._counts.get(address, 0)

    def opened(self, client: Client, *, arriving: bool = False) -> None:
        """A connection is there."""
        self._here[client] = address = client.address
        if address is not None:
            self._counts[address] = self._counts.get(address, 0) + 1
        if arriving:
            self._arriving.add(client)
        self._gone.clear()

    def closed(self, client: Client) -> None:
        """A connection is gone; without effect when it was not there."""
        if client not in self._here:
            return
        self.departed += 1
        address = self._here.pop(client)
        if address is not None and (left := self._counts.pop(address) - 1):
            self._counts[address] = left
        self._arriving.discard(client)
        if client.closed_with is not None:
            self._metrics.closes.labels(client.closed_with.code).inc()
        if not self._here:
            self._gone.set()

    async def shut_all(self, reason: Close) -> None:
        """Close every client with `reason` and wait until they are gone, 3 s at most."""
        for client in tuple(self._here):
            client.shut(reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._gone.wait()

    async def drain(self, reason: Close, period_s: float, hurried: asyncio.Event) -> None:
        """Close who is arriving, then the others one by one in random order, evenly over `period_s`.

        Once `hurried` is set the rest is left as it is. Nobody may come meanwhile.
        """
        for client in tuple(self._arriving):
            client.shut(reason)
        staying = [client for client in self._here if client not in self._arriving]
        random.shuffle(staying)
        drain, loop = Drain(staying, period_s), asyncio.get_running_loop()
        began_s = loop.time()
        while not hurried.is_set() and (wait_s := drain.wait_s(loop.time() - began_s)) is not None:
            await wait(hurried, wait_s)
            for client in drain.due(loop.time() - began_s):
                client.shut(reason)


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for `event`, `timeout_s` at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
