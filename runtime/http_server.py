"""A small HTTP server of our own on a port: the admin port, and the stand-ins of services around us."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from runtime.errors import ListenError

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class HttpServer:
    """Listens from entering to leaving and has every request answered; `name` is what it is called in errors.

    On leaving, requests that are being answered have `shutdown_s` seconds, then they are cut off.
    """

    def __init__(self, name: str, answer: Answer, *, host: str, port: int, shutdown_s: float) -> None:
        """Take what answers, and the address to listen on (port 0: any that is free)."""
        self._name = name
        self._answer = answer
        self._host = host
        self._port = port
        self._shutdown_s = shutdown_s
        self._runner: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the wanted one before and after."""
        if self._runner is None or not self._runner.addresses:
            return self._port
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        """Listen. Raises ListenError when the address cannot be had."""
        # without handler_cancellation, what answers a client that has gone would go on
        server = web.Server(self._answer, access_log=None, lingering_time=0.0, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=self._shutdown_s)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            address = f"{self._host}:{self._port}"
            raise ListenError(
                f"{self._name}: expected a free address, found {address} unusable: {error.strerror}"
            ) from error
        self._runner = runner
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and end the connections."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def json_response(status: int, body: object) -> web.Response:
    """An answer in JSON."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
