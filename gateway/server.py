"""The public port: a reception for each socket that comes, TLS before it if wanted; all are closed on leaving."""

import asyncio
import random
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.clients import wait
from gateway.config import GatewayConfig
from gateway.connection import Connection, Parts
from gateway.reception import Reception
from gateway.request_head import Destination
from gateway.session import Session
from gateway.socket_options import bound_kernel_buffers
from gateway.tls import Certificates
from gateway.tls_transport import TlsTransport
from gateway.web import Pages
from gateway.websocket import WebSocket
from runtime.errors import ListenError
from wire import close

BACKLOG: Final = 1024

log = structlog.get_logger("gateway")


class Server:
    """Serves from entering to leaving. Who is still there on leaving is closed with 3001, all at once."""

    def __init__(self, config: GatewayConfig, parts: Parts, connect: Callable[[str | None], asyncio.Protocol]) -> None:
        """Take what makes a connection of a WebSocket, given its client's address.

        Raises ConfigError when the certificate cannot be used.
        """
        self._config = config
        self._parts = parts
        self._certificates = None if config.tls is None else Certificates(config.tls)
        self._pages = Pages(config.timing.connect_s)
        self._destinations = {Destination.WEBSOCKET: connect, Destination.PAGES: lambda _: self._pages.handler()}
        self._listening: asyncio.Server | None = None
        self.port = config.listen.port
        """The port that is listened on; the wanted one before."""
        self.leaving: str | None = None
        """Why nobody should come any more; None while all are welcome."""

    async def __aenter__(self) -> Self:
        """Listen. Raises ListenError when the address cannot be bound."""
        listen, loop = self._config.listen, asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                self._receive,
                listen.host,
                listen.port,
                backlog=BACKLOG,
                reuse_port=listen.reuse_port or None,
                start_serving=False,
            )
            for each in self._listening.sockets:
                bound_kernel_buffers(each)
            await self._listening.start_serving()
        except OSError as error:
            address = f"{listen.host}:{listen.port}"
            reason = f"gateway: expected a free address, found {address} unusable: {error.strerror}"
            raise ListenError(reason) from error
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close who is here, and stop."""
        self.leaving = "leaving"
        await self._stop_listening()
        await self._parts.clients.shut_all(close.SHUTDOWN)
        await self._pages.shut()

    async def drain(self, hurried: asyncio.Event) -> None:
        """Lead the clients away: see DrainConfig. Nothing of it takes time any more once `hurried` is set."""
        drain, clients = self._config.drain, self._parts.clients
        self.leaving = "draining"
        log.info("gateway.draining", clients=len(clients), linger_s=drain.linger_s, period_s=drain.period_s)
        await wait(hurried, drain.linger_s)
        await self._stop_listening()
        log.info("gateway.deaf", clients=len(clients))
        await clients.drain(close.SHUTDOWN, drain.period_s, hurried)

    def reload(self) -> None:
        """Show who comes from now on the certificate that is in the files now, if that is any good."""
        if self._certificates is not None:
            self._certificates.reload()

    async def _stop_listening(self) -> None:
        if self._listening is None:
            return
        self._listening.close()
        self._listening = None
        await asyncio.sleep(0)  # a socket that was accepted in this turn of the loop is a client in the next

    def _receive(self) -> asyncio.Protocol:
        reception = Reception(self._destinations, self._parts, self._config.timing.connect_s)
        if self._certificates is None:
            return reception
        return TlsTransport(self._certificates.context, reception)


def connections(config: GatewayConfig, parts: Parts, version: str) -> Callable[[str | None], Connection]:
    """What makes the connection of a client, given its address."""
    timing, listen = config.timing, config.listen
    origins = None if "*" in listen.origins else listen.origins

    def connect(address: str | None) -> Connection:
        session = Session(
            str(uuid.uuid4()),
            version=version,
            ping_s=timing.ping_s,
            default_subscriptions=listen.subscriptions,
        )
        first_ping_s = random.uniform(timing.ping_s / 2, timing.ping_s)  # noqa: S311 - spreads load, guards nothing
        connection = Connection(WebSocket(origins), session, parts, timing, first_ping_s, config.outbox)
        connection.address = address
        return connection

    return connect
