"""The operators' port: health, readiness and metrics over HTTP. Never public; reads no bodies itself."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from runtime.http_server import Answer, HttpServer, json_response

Check = Callable[[], str | None]
"""Says why the process is not ready, in a few words; None when it is. Cheap: it is asked at every probe."""

_JSON: Final = "application/json"


class Admin:
    """Serves ``/health``, ``/ready``, ``/metrics``, ``/api/v1/metrics`` and `routes`; anything else is 404.

    ``/health`` answers while the event loop lives, whatever is broken around it. ``/ready`` is 200 when no check names
    a reason, else 503 with every check and its reason. A check that raises counts as not ready.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        registry: CollectorRegistry,
        checks: Mapping[str, Check],
        routes: Mapping[str, Answer] | None = None,
    ) -> None:
        """Take the address to listen on (port 0: any that is free), what is measured, and what readiness asks.

        `routes`: what answers requests of other paths, whatever their method.
        """
        self._registry = registry
        self._routes = dict(routes or {})
        self._checks = dict(checks)
        self._server = HttpServer("admin", self._answer, host=host, port=port, shutdown_s=1.0)

    @property
    def port(self) -> int:
        """The port that is listened on; the wanted one before and after."""
        return self._server.port

    async def __aenter__(self) -> Self:
        """Listen. Raises ListenError when the address cannot be had."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and end the connections."""
        await self._server.__aexit__(kind, error, trace)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        route = self._routes.get(request.path)
        response = self._respond(request) if route is None else await route(request)
        if request.can_read_body:
            response.force_close()
        return response

    def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.method in {"GET", "HEAD"}:
            match request.path:
                case "/health":
                    return json_response(200, {"status": "alive"})
                case "/ready":
                    return self._readiness()
                case "/metrics" | "/api/v1/metrics":
                    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
                    return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})
        return json_response(404, {"error": "expected GET of /health, /ready, /metrics or /api/v1/metrics"})

    def _readiness(self) -> web.Response:
        reasons = {name: _reason(check) for name, check in self._checks.items()}
        ready = all(reason is None for reason in reasons.values())
        checks = {
            name: {"ready": True} if reason is None else {"ready": False, "why": reason}
            for name, reason in reasons.items()
        }
        return json_response(200 if ready else 503, {"ready": ready, "checks": checks})


def _reason(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a probe is answered whatever is broken
        return f"the check failed: {type(error).__name__}: {error}"
