"""What all tests share: recordings, a manual clock, a free port, a Redis server; and the rule that nothing is left."""

import asyncio
import contextlib
import inspect
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from hypothesis import settings
from redis.asyncio import Redis

from standins.clock import ManualClock
from standins.redis import RedisServer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Give the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Give the directory of recorded market data beside the checkout; a test that needs it skips without it."""
    directory = ROOT.parent / "shared" / "data"
    if not directory.is_dir():
        pytest.skip("needs the recordings in ../shared/data, which are not beside this checkout")
    return directory


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def free_port() -> int:
    """Give a TCP port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RedisServer]:
    """Give a Redis or Valkey server with nothing in it, to be killed and paused at will."""
    async with RedisServer() as server:
        yield server


@pytest_asyncio.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    """Give a client of that server that knows nothing of ours."""
    async with Redis.from_url(server.url, protocol=2) as redis:
        yield redis


def pytest_configure() -> None:
    """Let hypothesis take its time: how long an example takes says more of the machine than of the code."""
    parent = settings.get_profile("ci" if "CI" in os.environ else "default")
    settings.register_profile("untimed", parent=parent, deadline=None)
    settings.load_profile("untimed")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run async tests on the loop that the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make every async test fail that never ends, or that leaves a task or a socket behind.

    These fixtures come first, so that they look after all others of the test have been closed.
    """
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames[:0] = ["ends_in_time", "nothing_left_open"]


@pytest_asyncio.fixture
async def ends_in_time(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Cancel the test when its time is up, a moment before pytest-timeout, whose signal uvloop swallows."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    marker = request.node.get_closest_marker("timeout")
    seconds = float(marker.args[0] if marker is not None and marker.args else request.config.getini("timeout"))

    def cancel_test() -> None:
        for task in asyncio.all_tasks(loop) - before:
            task.print_stack(file=sys.stderr)
            task.cancel(f"the test took longer than {seconds} s")

    timer = loop.call_later(seconds * 0.9, cancel_test)
    yield
    timer.cancel()


@pytest_asyncio.fixture
async def nothing_left_open() -> AsyncIterator[None]:
    """Fail when the test leaves a task running or has more sockets open than it began with."""
    tasks, sockets = asyncio.all_tasks(), _count_open_sockets()
    yield
    tasks |= {task for task in (asyncio.current_task(),) if task is not None}
    for _ in range(_TURNS_TO_CLOSE):
        if asyncio.all_tasks() <= tasks and _count_open_sockets() <= sockets:
            return
        await asyncio.sleep(0)
    left = ", ".join(sorted(task.get_name() + " " + repr(task.get_coro()) for task in asyncio.all_tasks() - tasks))
    more = _count_open_sockets() - sockets
    pytest.fail(f"left open by the test: {max(more, 0)} sockets; tasks: {left or 'none'}", pytrace=False)


# A closed transport gives its socket back some turns of the loop later.
_TURNS_TO_CLOSE = 50


def _count_open_sockets() -> int:
    """Count the sockets of this process; 0 where the system does not tell."""
    count = 0
    for descriptor in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed since it was listed
            count += str(descriptor.readlink()).startswith("socket:")
    return count
