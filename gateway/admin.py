"""What operators may do to a gateway: end connections. Answers requests of the admin port."""

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Struct

from gateway.errors import BusUnavailableError
from gateway.holders import Holders
from gateway.revoker import Revoker, shut
from runtime.http_server import json_response
from runtime.secret import Secret
from wire import close
from wire.revocation import Revocation

DISCONNECT_PATH: Final = "/api/v1/disconnect"
API_KEY_HEADER: Final = "X-Internal-API-Key"
MAX_BODY_BYTES: Final = 4096
BODY_TIMEOUT_S: Final = 5.0

log = structlog.get_logger("gateway")


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to disconnect: just one of `sub`, `token_sha256` and `client`, which is one connection.

    With `revoke` every gateway is told, and clients do not come back by themselves; without it this gateway alone.
    """

    sub: str | None = None
    token_sha256: str | None = None
    client: str | None = None
    revoke: bool = False

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if sum(name is not None for name in (self.sub, self.token_sha256, self.client)) != 1:
            raise ValueError("expected just one of sub, token_sha256 and client")
        if self.client is not None and self.revoke:
            raise ValueError("expected sub or token_sha256 to revoke, found client")
        if self.client is None:
            Revocation(self.sub, self.token_sha256)

    @property
    def revocation(self) -> Revocation | None:
        """Who that is wherever they are; None for one client."""
        return None if self.client is not None else Revocation(self.sub, self.token_sha256)


class Disconnect:
    """Answers ``POST /api/v1/disconnect``: how many connections of this gateway were closed."""

    def __init__(self, api_key: Secret, revoker: Revoker, holders: Holders) -> None:
        """Take the key that callers must have."""
        self._api_key = api_key
        self._revoker = revoker
        self._holders = holders

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Do what an operator wants, or say why not."""
        if request.method != "POST":
            refusal = _refuse(HTTPStatus.METHOD_NOT_ALLOWED, "expected POST")
            refusal.headers["Allow"] = "POST"
            return refusal
        if not self._api_key or not self._api_key.matches(request.headers.get(API_KEY_HEADER, "")):
            return _refuse(HTTPStatus.UNAUTHORIZED, f"expected {API_KEY_HEADER}")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _read(request)
            order = msgspec.json.decode(body, type=Order)
        except TimeoutError:
            return _refuse(HTTPStatus.REQUEST_TIMEOUT, f"expected a body within {BODY_TIMEOUT_S:g} s")
        except OverflowError as error:
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            return _refuse(HTTPStatus.BAD_REQUEST, str(error))
        return await self._do(order)

    async def _do(self, order: Order) -> web.Response:
        revocation = order.revocation
        if revocation is not None and order.revoke:
            return await self._revoke(revocation)
        holders = (
            self._holders.of_client(order.client or "") if revocation is None else self._holders.of(revocation.key)
        )
        count = await shut(holders, close.FORCED)
        log.info("operator.disconnected", connections=count, revoked=False)
        return json_response(HTTPStatus.OK, {"disconnected": count})

    async def _revoke(self, revocation: Revocation) -> web.Response:
        count = await self._revoker.revoke(revocation)
        log.info("operator.disconnected", connections=count, revoked=True)
        try:
            await self._revoker.tell(revocation)
        except BusUnavailableError as error:
            said = {"disconnected": count, "error": f"the other gateways were not told: {error}"}
            return json_response(HTTPStatus.SERVICE_UNAVAILABLE, said)
        return json_response(HTTPStatus.OK, {"disconnected": count})


async def _read(request: web.BaseRequest) -> bytes:
    """The body. Raises OverflowError when it is too long to be an order."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise OverflowError(f"expected at most {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _refuse(status: HTTPStatus, reason: str) -> web.Response:
    return json_response(status, {"error": reason})
