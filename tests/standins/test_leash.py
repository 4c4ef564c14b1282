"""A program on a leash is what it would be without, but for its user, and dies with its parent."""

import os
import signal
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

import standins.leash

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")


# Runs what follows with another group among its rights.
IN_GROUP_1 = (sys.executable, "-I", "-c", "import os, sys; os.setgroups([1]); os.execv(sys.argv[1], sys.argv[1:])")


async def run(*arguments: str, by: tuple[str, ...] = ()) -> tuple[int | None, str]:
    """Run the leash to the end of the program; give its status and what it said."""
    leash = (sys.executable, "-I", "-S", str(Path(standins.leash.__file__)))
    process = await create_subprocess_exec(*by, *leash, *arguments, stdout=PIPE, stderr=PIPE)
    out, error = await process.communicate()
    return process.returncode, (out + error).decode().strip()


async def test_it_becomes_the_program_with_its_arguments() -> None:
    assert await run(str(os.getpid()), "", "/bin/sh", "-c", 'echo "$0-$1"; exit 3', "a b", "") == (3, "a b-")


async def test_the_program_ignores_no_signal_that_it_does_not_choose_to_ignore() -> None:
    status, said = await run(str(os.getpid()), "", "/bin/sh", "-c", "kill -PIPE $$; echo alive")

    assert (status, said) == (-signal.SIGPIPE, "")


async def test_nothing_is_started_when_the_parent_has_ended_already() -> None:
    status, said = await run("1", "", "/bin/sh", "-c", "echo alive")

    assert (status, said) == (1, "expected the parent 1, found that it has ended")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
async def test_the_program_is_run_by_another_user_with_no_right_of_the_first() -> None:
    script = "id -un; id -G; id -g nobody"
    status, said = await run(str(os.getpid()), "nobody", "/bin/sh", "-c", script, by=IN_GROUP_1)

    user, groups, group = said.split("\n")
    assert (status, user, groups) == (0, "nobody", group)
