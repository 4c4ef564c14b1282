"""The operators' port: health, readiness and metrics over HTTP. Never public; reads no bodies."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from runtime.errors import ListenError

Check = Callable[[], str | None]
"""Says why the process is not ready, in a few words; None when it is. Cheap: it is asked at every probe."""

_JSON: Final = "application/json"


class Admin:
    """Serves ``/health``, ``/ready``, ``/metrics`` and ``/api/v1/metrics``; anything else is 404.

    ``/health`` answers while the event loop lives, whatever is broken around it. ``/ready`` is 200 when no check names
    a reason, else 503 with every check and its reason. A check that raises counts as not ready.
    """

    def __init__(self, *, host: str, port: int, registry: CollectorRegistry, checks: Mapping[str, Check]) -> None:
        """Take the address to listen on (port 0: any that is free), what is measured, and what readiness asks."""
        self._host = host
        self._port = port
        self._registry = registry
        self._checks = dict(checks)
        self._runner: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the wanted one before and after."""
        if self._runner is None or not self._runner.addresses:
            return self._port
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        """Listen. Raises ListenError when the address cannot be had."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        runner = web.ServerRunner(
            web.Server(self._answer, access_log=None, lingering_time=0.0, handler_cancellation=True),
            shutdown_timeout=1.0,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise ListenError(
                f"admin: expected a free address, found {self._host}:{self._port} unusable: {error.strerror}"
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

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = self._respond(request)
        if request.can_read_body:
            response.force_close()
        return response

    def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.method in {"GET", "HEAD"}:
            match request.path:
                case "/health":
                    return _json(200, {"status": "alive"})
                case "/ready":
                    return self._readiness()
                case "/metrics" | "/api/v1/metrics":
                    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
                    return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
        return _json(404, {"error": "expected GET of /health, /ready, /metrics or /api/v1/metrics"})

    def _readiness(self) -> web.Response:
        reasons = {name: _reason(check) for name, check in self._checks.items()}
        ready = all(reason is None for reason in reasons.values())
        checks = {
            name: {"ready": True} if reason is None else {"ready": False, "why": reason}
            for name, reason in reasons.items()
        }
        return _json(200 if ready else 503, {"ready": ready, "checks": checks})


def _reason(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a probe is answered whatever is broken
        return f"the check failed: {type(error).__name__}: {error}"


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type=_JSON)
