"""A user service for development and tests: a real HTTP server that introspects tokens from a file (RFC 7662)."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from runtime.clock import Clock, SystemClock
from runtime.config import ConfigError, Secret, convert_table, read_toml
from runtime.http_server import HttpServer, json_response

INTROSPECT_PATH: Final = "/oauth2/introspect"
API_KEY_HEADER: Final = "X-Internal-API-Key"

_SHUTDOWN_S: Final = 0.01  # aiohttp waits for ever at 0


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a subscriber may use at once; None is left out of the answer. `live_rate`: live values a second."""

    connections: Annotated[int, Meta(ge=0)] | None = None
    subscriptions: Annotated[int, Meta(ge=0)] | None = None
    live_rate: Annotated[float, Meta(ge=0)] | None = None


class TokenRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is known of a token. `channels` are patterns, none means none; `exp` is in seconds since the epoch."""

    sub: Annotated[str, Meta(min_length=1)]
    active: bool = True
    exp: int | None = None
    plan: str = ""
    channels: tuple[str, ...] = ()
    limits: Limits = Limits()
    watermark: bool = False


class Fault(Struct, frozen=True):
    """How the service is to misbehave: what is set here takes the place of an answer.

    `delay_s` comes first; then `close` cuts the connection, or else `status`, `body` and `headers` are what is sent.
    """

    delay_s: float = 0.0
    close: bool = False
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = {}


def load_tokens(path: Path) -> dict[str, TokenRecord]:
    """Read a file of tables ``[tokens.NAME]``. Raises ConfigError with the place of the first fault."""
    tables = read_toml(path)
    tokens = tables.pop("tokens", None)
    if tables:
        raise ConfigError(f"{path}: expected tables [tokens.NAME] only, found {', '.join(sorted(tables))}")
    if not isinstance(tokens, dict) or not tokens:
        raise ConfigError(f"{path}: expected tables [tokens.NAME], found none")
    return {name: _record(path, name, table) for name, table in tokens.items()}


def _record(path: Path, name: str, table: object) -> TokenRecord:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tokens.{name}: expected a table, found {table!r}")
    return convert_table(TokenRecord, table, f"{path}: tokens.{name}")


class UserServiceStandIn:
    """Serves ``POST /oauth2/introspect`` on a port of its own.

    `tokens` may be changed while it runs. Tests can tell it to misbehave, to keep requests waiting (`hold`), and ask
    what it was asked (`requests` counts by token, `wait_for_requests`).
    """

    def __init__(
        self,
        tokens: Mapping[str, TokenRecord],
        *,
        api_key: Secret,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """Take what is known, the key that callers must have, and the address (port 0: any that is free)."""
        self.tokens = dict(tokens)
        self.requests: Counter[str] = Counter()
        self._api_key = api_key
        self._host = host
        self._clock = SystemClock() if clock is None else clock
        self._fault: Fault | None = None
        self._faults_left: int | None = None
        self._asked = asyncio.Condition()
        self._open = asyncio.Event()
        self._open.set()
        self._server = HttpServer("user service", self._answer, host=host, port=port, shutdown_s=_SHUTDOWN_S)

    @property
    def port(self) -> int:
        """The port that is listened on; the wanted one before and after."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address that a client of the user service is configured with."""
        return f"http://{self._host}:{self.port}"

    def revoke(self, token: str) -> None:
        """Forget a token: from now on it is inactive."""
        self.tokens.pop(token, None)

    def misbehave(self, fault: Fault, *, times: int | None = None) -> None:
        """Do this instead of answering, for so many requests, or until :meth:`behave`."""
        self._fault, self._faults_left = fault, times

    def behave(self) -> None:
        """Answer again."""
        self._fault = None

    def hold(self) -> None:
        """Keep every request waiting, from the next one on, until :meth:`release`."""
        self._open.clear()

    def release(self) -> None:
        """Let the requests that wait, and all later ones, be answered."""
        self._open.set()

    async def wait_for_requests(self, count: int) -> None:
        """Wait until this many requests have come in since the start, answered or not."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.requests.total() >= count)

    async def __aenter__(self) -> Self:
        """Listen. Raises ListenError when the address cannot be had."""
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; requests that still wait are cut off."""
        await self._server.__aexit__(kind, error, trace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != INTROSPECT_PATH:
            return json_response(404, {"error": "not_found"})
        if request.method != "POST":
            return json_response(405, {"error": "method_not_allowed"})
        token = (await request.post()).get("token")
        await self._note(token if isinstance(token, str) else "")
        if (fault := self._next_fault()) is not None:
            return await self._misbehave(request, fault)
        if not self._api_key.matches(request.headers.get(API_KEY_HEADER, "")):
            return json_response(401, {"error": "invalid_client"})
        if not isinstance(token, str) or not token:
            return json_response(400, {"error": "invalid_request", "error_description": "expected a form with token"})
        return json_response(200, self._introspect(token))

    async def _note(self, token: str) -> None:
        async with self._asked:
            self.requests[token] += 1
            self._asked.notify_all()
        await self._open.wait()

    def _next_fault(self) -> Fault | None:
        if self._faults_left == 0:
            return None
        if self._faults_left is not None:
            self._faults_left -= 1
        return self._fault

    def _introspect(self, token: str) -> object:
        """Answer as RFC 7662, section 2.2, wants: of a token that is not active, nothing but that."""
        record = self.tokens.get(token)
        expired = record is not None and record.exp is not None and record.exp * 1_000_000_000 <= self._clock.wall_ns()
        if record is None or not record.active or expired:
            return {"active": False}
        return {"active": True, **msgspec.to_builtins(record)}

    @staticmethod
    async def _misbehave(request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        if fault.delay_s > 0:
            await asyncio.sleep(fault.delay_s)
        if fault.close and request.transport is not None:
            request.transport.close()
        return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
