"""Becomes another program that dies with its parent. A script, run as a child; makes system calls, no other I/O.

It is a program of its own because a process with threads or an event loop must not run Python between fork and exec.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def on_leash(command: Sequence[str], user: str = "") -> tuple[str, ...]:
    """What runs `command`, whose program is a path, as a child that this process cannot leave behind."""
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()), user, *command)


def main(parent: str, user: str, *program: str) -> None:
    """Become `program`, as `user` (nothing: as who we are), to be killed when the process `parent` ends."""
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python; a program expects what the system does
        signal.signal(ignored, signal.SIG_DFL)
    if user:
        _become(user)
    if sys.platform == "linux":
        _die_with(int(parent))
    os.execv(program[0], program)  # noqa: S606 - to become that program is all this is for


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _die_with(parent: int) -> None:
    """Ask the kernel for a SIGKILL at the parent's end. Comes after a change of user, which would undo it."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(f"expected the parent {parent}, found that it has ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
