"""Processes and their children, as proc(5) tells of them: listed, sent signals. Does I/O."""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def send_signal(number: signal.Signals, pids: Sequence[int]) -> None:
    """Send a signal to each of these processes that there is."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def stop_tree(pid: int) -> tuple[int, ...]:
    """Stop a process, then its children, of which it has no more from then on, and give all of them.

    Waits until they have stopped or ended: a moment, as the system does it.
    """
    _stop((pid,))
    children = list_children(pid)
    _stop(children)
    return (pid, *children)


def list_children(parent: int) -> tuple[int, ...]:
    """List the children of a process; none where the system does not tell."""
    found = ((path.name, _read_status(path.name)) for path in Path("/proc").glob("[0-9]*"))
    return tuple(int(pid) for pid, status in found if status[1:2] == [str(parent)])


def is_alive(pid: int) -> bool:
    """Whether a process still does or holds anything; one that waits only for its parent to take note does not."""
    return _read_status(str(pid))[:1] not in ([], ["Z"], ["X"])


def _stop(pids: Sequence[int]) -> None:
    send_signal(signal.SIGSTOP, pids)
    while any(_read_status(str(pid))[:1] not in ([], ["T"], ["Z"], ["X"]) for pid in pids):
        time.sleep(0)


def _read_status(pid: str) -> list[str]:
    """Give the state of a process, the id of its parent, and so on; nothing if there is no such process."""
    try:
        text = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # before it stands the name, which may hold anything
