"""What the processes under load take: processor time and memory, as Linux tells it. Reads clocks and /proc."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from loadtest.peers.processor import cpu_ns


class Cores(Struct, frozen=True):
    """Which core the servers have, and which all others; None where there is but one."""

    servers: int | None
    load: tuple[int, ...]

    @classmethod
    def of_machine(cls) -> "Cores":
        """The first for the servers."""
        first, *others = sorted(os.sched_getaffinity(0))
        return cls(first, tuple(others)) if others else cls(None, ())


class Servers:
    """The processes under load, as long as they live."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._cpu_s = dict.fromkeys(pids, 0.0)
        self.look()

    def look(self) -> float:
        """Processor time that they have taken, those that have ended too."""
        for pid in self._cpu_s:
            with contextlib.suppress(OSError):
                self._cpu_s[pid] = cpu_ns(pid) / 1e9
        return sum(self._cpu_s.values())

    def resident_bytes(self) -> int:
        """Memory that they have."""
        size = 0
        for pid in self._cpu_s:
            with contextlib.suppress(OSError, IndexError):
                pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
                size += int(pages) * os.sysconf("SC_PAGESIZE")
        return size
