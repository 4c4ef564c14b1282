"""A test that never ends, or leaves something open, fails: the checks of conftest.py on tests that do so."""

import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

LEAKY: Final = """
import asyncio
import socket

import pytest

KEPT = []


async def test_clean():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


def test_clean_without_a_loop(): ...


async def test_loop():
    import uvloop
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_task():
    KEPT.append(asyncio.create_task(asyncio.sleep(60), name="left-behind"))


async def test_socket():
    KEPT.append(socket.socket())


def test_forgotten_socket():
    socket.socket()


async def test_forgotten_coroutine():
    asyncio.sleep(0)


@pytest.mark.timeout(0.5)
async def test_endless():
    await asyncio.get_running_loop().create_future()


@pytest.mark.timeout(0.5)
def test_endless_without_a_loop():
    while True: ...
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, str]:
    """Run the tests above; give what pytest says against each of them, nothing for those that pass."""
    directory = tmp_path_factory.mktemp("leaky")
    path, report = directory / "test_leaky.py", directory / "report.xml"
    path.write_text(LEAKY)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    subprocess.run(
        [*command, f"--junitxml={report}", str(path)], cwd=repository, capture_output=True, timeout=50, check=False
    )
    return {
        case.get("name", ""): "".join(complaint.get("message", "") + (complaint.text or "") for complaint in case)
        for case in ET.parse(report).iter("testcase")  # noqa: S314 - pytest wrote it
    }


@pytest.mark.parametrize("name", ["clean", "clean_without_a_loop", "loop"])
def test_a_clean_test_passes_on_the_product_s_loop(name: str, outcomes: dict[str, str]) -> None:
    assert outcomes[f"test_{name}"] == ""


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("task", "left open by the test: 0 sockets; tasks: left-behind"),
        ("socket", "left open by the test: 1 sockets; tasks: none"),
        ("forgotten_socket", "ResourceWarning: unclosed <socket.socket"),
        ("forgotten_coroutine", "RuntimeWarning: coroutine 'sleep' was never awaited"),
        ("endless", "the test took longer than 0.5 s"),
        ("endless", "await asyncio.get_running_loop().create_future()"),
        ("endless_without_a_loop", "Timeout (>0.5s)"),
    ],
)
def test_any_other_fails_and_says_why(name: str, complaint: str, outcomes: dict[str, str]) -> None:
    assert complaint in outcomes[f"test_{name}"]
