"""What tests of processes see of them: ends, states, and a parent that is killed."""

import asyncio
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs proc(5), pidfd_open(2) and prctl(2)")

_SERVE = """
import asyncio
from {module} import {name}
async def serve():
    async with {name}() as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(serve())
"""


def is_there(pid: int) -> bool:
    """Whether there is such a process, be it one whose end nobody has taken note of."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def directory_of(pid: int) -> Path:
    """Give the directory that a process works in."""
    return Path("/proc", str(pid), "cwd").readlink()


def temporary_directories() -> set[Path]:
    """List what is among the temporary files."""
    return set(Path(tempfile.gettempdir()).iterdir())


def state(pid: int) -> str:
    """Give the state of a process, such as T for stopped."""
    found = re.search(r"^State:\s+(\w)", Path("/proc", str(pid), "status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


async def ended(pid: int) -> None:
    """Wait for the end of a process."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def kill_a_process_that_has(module: str, name: str, directory: Path) -> None:
    """Enter the context of this server in another process, kill that, and wait for the server's end.

    What the killed process leaves is in `directory`.
    """
    code = _SERVE.format(module=module, name=name)
    environment = {**os.environ, "TMPDIR": str(directory)}
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, env=environment)
    assert parent.stdout is not None
    server = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.communicate()
    await ended(server)
