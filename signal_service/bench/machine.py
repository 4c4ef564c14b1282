"""What a benchmark ran on. Reads the system's own description of itself."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from signal_service.version import VERSION

_LIBRARIES: Final = ("numpy", "ta-lib", "talipp", "msgspec", "uvloop")


def machine() -> str:
    """Processor, cores and system in a line."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def versions() -> Mapping[str, str]:
    """Ours, Python's, and those of the libraries that matter; one that is not installed is left out."""
    found = {"signal-service": VERSION, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def resident_bytes(pid: int | None = None) -> int:
    """The resident set of a process, this one unless told."""
    pages = Path(f"/proc/{os.getpid() if pid is None else pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
