"""The listening socket: a connection for each client that comes, all of them closed on leaving."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.config import ListenConfig, TimingConfig
from gateway.connection import Connection, Parts
from gateway.session import Session
from gateway.websocket import WebSocket
from runtime.errors import ListenError
from wire import close


@asynccontextmanager
async def serve(config: ListenConfig, timing: TimingConfig, parts: Parts, version: str) -> AsyncIterator[int]:
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
        return Connection(WebSocket(origins), session, parts, timing, first_ping_s)

    try:
        server = await asyncio.get_running_loop().create_server(connect, config.host, config.port, backlog=1024)
    except OSError as error:
        address = f"{config.host}:{config.port}"
        raise ListenError(f"gateway: expected a free address, found {address} unusable: {error.strerror}") from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await parts.clients.shut_all(close.SHUTDOWN)
        await server.wait_closed()
