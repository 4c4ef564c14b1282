"""The operators' port over real HTTP: health, readiness, metrics, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from runtime.admin import Admin
from runtime.errors import ListenError


@pytest.fixture
def reasons() -> dict[str, str | None]:
    """Give what the checks answer; a test changes it."""
    return {"bus": None, "users": None}


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("gateway_closes", "Closes.", ["code"], registry=registry).labels("3008").inc(2)
    return registry


@pytest.fixture
async def admin(reasons: dict[str, str | None], registry: CollectorRegistry) -> AsyncIterator[Admin]:
    checks = {"bus": lambda: reasons["bus"], "users": lambda: reasons["users"]}
    async with Admin(host="127.0.0.1", port=0, registry=registry, checks=checks) as admin:
        yield admin


@pytest.fixture
async def http(admin: Admin) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as session:
        yield session


async def get(http: aiohttp.ClientSession, path: str) -> tuple[int, object]:
    async with http.get(path) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def test_health_says_that_the_loop_is_alive_whatever_is_broken(
    http: aiohttp.ClientSession, reasons: dict[str, str | None]
) -> None:
    reasons["bus"] = "away"

    assert await get(http, "/health") == (200, {"status": "alive"})


async def test_ready_names_every_check(http: aiohttp.ClientSession) -> None:
    assert await get(http, "/ready") == (
        200,
        {"ready": True, "checks": {"bus": {"ready": True}, "users": {"ready": True}}},
    )


async def test_ready_is_503_with_the_reason_while_a_check_fails(
    http: aiohttp.ClientSession, reasons: dict[str, str | None]
) -> None:
    reasons["users"] = "expected status 200, found 503"
    assert await get(http, "/ready") == (
        503,
        {
            "ready": False,
            "checks": {"bus": {"ready": True}, "users": {"ready": False, "why": "expected status 200, found 503"}},
        },
    )
    reasons["users"] = None

    assert (await get(http, "/ready"))[0] == 200


async def test_a_check_that_raises_counts_as_not_ready(registry: CollectorRegistry) -> None:
    def broken() -> str | None:
        raise LookupError("gone")

    async with (
        Admin(host="127.0.0.1", port=0, registry=registry, checks={"bus": broken}) as admin,
        aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as http,
    ):
        assert await get(http, "/ready") == (
            503,
            {"ready": False, "checks": {"bus": {"ready": False, "why": "the check failed: LookupError: gone"}}},
        )


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/metrics"])
async def test_metrics_are_those_of_the_registry(path: str, http: aiohttp.ClientSession) -> None:
    async with http.get(path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [(sample.name, sample.labels, sample.value) for sample in samples] == [
        ("gateway_closes_total", {"code": "3008"}, 2.0)
    ]


async def test_a_scraper_gets_the_form_that_it_asks_for(http: aiohttp.ClientSession) -> None:
    async with http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics/"),
        ("GET", "/debug"),
        ("POST", "/ready"),
        ("PUT", "/metrics"),
        ("DELETE", "/health"),
        ("OPTIONS", "/health"),
    ],
)
async def test_anything_else_is_not_found(method: str, path: str, http: aiohttp.ClientSession) -> None:
    async with http.request(method, path) as response:
        assert response.status == 404
        assert await response.json() == {"error": "expected GET of /health, /ready, /metrics or /api/v1/metrics"}


async def test_a_head_is_answered_without_a_body(http: aiohttp.ClientSession) -> None:
    async with http.head("/health") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_a_body_is_not_read(admin: Admin) -> None:
    """A request that promises a gigabyte is answered at once, and its connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
    writer.write(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_an_address_in_use_is_an_error_that_names_it(admin: Admin, registry: CollectorRegistry) -> None:
    with pytest.raises(ListenError, match=f"expected a free address, found 127.0.0.1:{admin.port} unusable"):
        await Admin(host="127.0.0.1", port=admin.port, registry=registry, checks={}).__aenter__()


async def test_its_port_is_free_again_when_it_is_closed(registry: CollectorRegistry, free_port: int) -> None:
    for _ in range(2):
        async with Admin(host="127.0.0.1", port=free_port, registry=registry, checks={}) as admin:
            assert admin.port == free_port
            async with (
                aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as http,
                http.get("/health") as response,
            ):
                assert response.status == 200
