"""Plain HTTP on the public port, by aiohttp: a page for people, health for probes. Sockets are handed to it."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from aiohttp import web

from gateway.websocket import PATH

LEAVE_TIMEOUT_S: Final = 1.0
"""How long sockets may stay open on leaving; an answer takes some turns of the loop."""

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace;overflow-wrap:anywhere}"
)
PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Signal Service</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Signal Service</h1>
<p>This server pushes trading signals live. There is nothing to see here yet; a program can subscribe.</p>
<p>Connect with a Centrifuge SDK to the WebSocket at <code>{PATH}</code> of this address, show your token, and
subscribe to a channel, for example <code>signals:BINANCE:BTCUSDT@1m:ema(close,9) - ema(close,21)</code>.</p>
</body>
</html>
"""
_HEALTH: Final = '{"status":"ok"}'
_NOT_FOUND: Final = f"Nothing is served at this address; subscribe at {PATH}.\n"
_TEXT: Final = "text/plain; charset=utf-8"
_HEADERS: Final[Mapping[str, str]] = {
    # an upgrade behind a kept alive request would come to aiohttp
    "Connection": "close",
    "Server": "signal-service",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class Pages:
    """Answers one request on each socket that is handed to one of its `handler`s, then closes it."""

    def __init__(self, timeout_s: float) -> None:
        """Take how long a socket may be idle."""
        self._server = web.Server(_answer)
        self._timeout_s = timeout_s

    def handler(self) -> asyncio.Protocol:
        """What answers on one socket."""
        return PageHandler(
            self._server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._timeout_s,
            access_log=None,  # type: ignore[arg-type]  # none: addresses may hold what is secret
        )

    async def shut(self) -> None:
        """Close all sockets once they are answered, or after 1 s."""
        await self._server.shutdown(LEAVE_TIMEOUT_S)


class PageHandler(web.RequestHandler):
    """Answers on one socket, also to who sends no more after its request; answers to no HTTP tell no version."""

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp would close before it has answered
        """Keep the socket for the answer."""
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that could not be read (400), or not be answered."""
        if status == HTTPStatus.BAD_REQUEST:
            return _response(status, _TEXT, "Expected an HTTP/1.1 request.\n")
        return super().handle_error(request, status, exc, message)


async def _answer(request: web.BaseRequest) -> web.Response:
    match request.raw_path.partition("?")[0]:
        case "/":
            return _response(200, "text/html; charset=utf-8", PAGE)
        case "/health":
            return _response(200, "application/json", _HEALTH)
        case path if path == PATH:
            return _response(426, _TEXT, "Expected a WebSocket.\n", Connection="close, Upgrade", Upgrade="websocket")
    return _response(404, _TEXT, _NOT_FOUND)


def _response(status: int, content_type: str, text: str, **headers: str) -> web.Response:
    response = web.Response(
        status=status, body=text.encode(), headers={**_HEADERS, "Content-Type": content_type, **headers}
    )
    response.force_close()
    return response
