"""The connections that are here: counted, and all closed on leaving."""

import asyncio
from typing import Final, Protocol

from gateway.metrics import GatewayMetrics
from wire.close import Close

LEAVE_TIMEOUT_S: Final = 3.0
"""How long clients may take to answer the closing handshake; each socket is aborted before."""


class Client(Protocol):
    """A connection, as this list sees it."""

    closed_with: Close | None

    def shut(self, reason: Close) -> None:
        """Close with `reason`, after what is pending."""


class Clients:
    """All connections of one gateway."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._here: set[Client] = set()
        self._gone = asyncio.Event()
        self._gone.set()

    def __len__(self) -> int:
        return len(self._here)

    def opened(self, client: Client) -> None:
        """A connection is there."""
        self._here.add(client)
        self._gone.clear()
        self._metrics.connections.set(len(self._here))

    def closed(self, client: Client) -> None:
        """A connection is gone."""
        self._here.discard(client)
        self._metrics.connections.set(len(self._here))
        if client.closed_with is not None:
            self._metrics.closes.labels(client.closed_with.code).inc()
        if not self._here:
            self._gone.set()

    async def shut_all(self, reason: Close) -> None:
        """Close every client with `reason` and wait until they are gone, 3 s at most."""
        for client in tuple(self._here):
            client.shut(reason)
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._gone.wait()
        except TimeoutError:
            return
