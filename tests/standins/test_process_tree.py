"""Processes are found and stopped with their children, at whatever moment."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from standins.process_tree import is_alive, list_children, send_signal, stop_tree
from tests.standins.processes import ON_LINUX, state

pytestmark = ON_LINUX


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process
    finally:
        send_signal(signal.SIGKILL, stop_tree(process.pid))
        await process.communicate()


async def test_a_child_is_listed_whatever_its_name(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.write_text("#!/bin/sh\necho started\nread line\n")
    program.chmod(0o755)
    before = list_children(os.getpid())
    async with running(str(program)) as process:
        assert set(list_children(os.getpid())) == {*before, process.pid}
        assert is_alive(process.pid)
    assert not is_alive(process.pid)


async def test_a_busy_process_has_stopped_when_it_is_said_to_be() -> None:
    async with running("/bin/sh", "-c", "echo started; while :; do :; done") as process:
        for _ in range(100):
            assert stop_tree(process.pid) == (process.pid,)
            assert state(process.pid) == "T"
            send_signal(signal.SIGCONT, (process.pid,))


async def test_no_child_escapes_that_is_born_meanwhile() -> None:
    async with running("/bin/sh", "-c", "echo started; for _ in $(seq 500); do sleep 1000 & done; wait") as process:
        tree = stop_tree(process.pid)

        assert set(list_children(process.pid)) == set(tree[1:])
        assert {state(pid) for pid in tree} <= {"T", "Z"}


def test_what_has_ended_is_not_alive_even_if_nobody_took_note_and_a_signal_to_it_is_no_error() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert (state(pid), is_alive(pid)) == ("Z", False)
    assert stop_tree(pid) == (pid,)

    os.waitpid(pid, 0)
    assert not is_alive(pid)
    send_signal(signal.SIGTERM, (pid,))
