"""Processor time of another process, and the core that one runs on. Reads the clocks of Linux."""

import shutil
import time
from collections.abc import Sequence
from typing import Final

_PER_PROCESS: Final = 2  # CPUCLOCK_SCHED of linux/posix-timers_types.h: all threads, to the ns


def cpu_ns(pid: int) -> int:
    """Processor time that a process has taken so far, in user and kernel, all its threads. Raises OSError."""
    return time.clock_gettime_ns(~pid << 3 | _PER_PROCESS)


def on_core(core: int | None, command: Sequence[str]) -> Sequence[str]:
    """`command`, held to one core (None: to no one)."""
    taskset = shutil.which("taskset")
    return command if core is None or taskset is None else (taskset, "-c", str(core), *command)
