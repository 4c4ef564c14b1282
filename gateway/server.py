"""The public port: a reception for each socket that comes, all of them closed on leaving."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config import ListenConfig, OutboxConfig, TimingConfig
from gateway.connection import Connection, Parts
from gateway.reception import Reception
from gateway.request_head import Destination
from gateway.session import Session
from gateway.web import Pages
from gateway.websocket import WebSocket
from runtime.errors import ListenError
from wire import close


@asynccontextmanager
async def serve(
    config: ListenConfig, timing: TimingConfig, limits: OutboxConfig, parts: Parts, version: str
) -> AsyncIterator[int]:
    """Serve until left, then close every client with 3001. Yields the port that was bound.

    Raises ListenError when the address cannot be bound.
    """
    origins = None if "*" in config.origins else config.origins

    def connect() -> Connection:
        session = Session(
            str(uuid.uuid4()),
            version=version,
            ping_s=timing.ping_s,
            default_subscriptions=config.subscriptions,
        )
        first_ping_s = random.uniform(timing.ping_s / 2, timing.ping_s)  # noqa: S311 - spreads load, guards nothing
        return Connection(WebSocket(origins), session, parts, timing, first_ping_s, limits)

    pages = Pages(timing.connect_s)
    destinations = {Destination.WEBSOCKET: connect, Destination.PAGES: pages.handler}

    def receive() -> Reception:
        return Reception(destinations, parts.clients, timing.connect_s)

    try:
        server = await asyncio.get_running_loop().create_server(receive, config.host, config.port, backlog=1024)
    except OSError as error:
        address = f"{config.host}:{config.port}"
        raise ListenError(f"gateway: expected a free address, found {address} unusable: {error.strerror}") from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)  # a socket that was accepted in this turn of the loop is a client in the next
        await parts.clients.shut_all(close.SHUTDOWN)
        await pages.shut()
        await server.wait_closed()
