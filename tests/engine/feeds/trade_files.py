"""Recordings of one trade a line: Lean's archives, and csv. Pure but for the files that it is told to write."""

import gzip
import zipfile
from collections.abc import Iterable
from pathlib import Path

HEADER = "event_ns,instrument,price,size"


def lean(path: Path, lines: Iterable[str], *, member: str = "20131009_aig_Trade_Tick.csv") -> str:
    """Write an archive in the form of Lean; the file's name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "".join(f"{line}\n" for line in lines))
    return str(path)


def csv(path: Path, lines: Iterable[str], *, header: str = HEADER, packed: bool = False) -> str:
    """Write trades as csv; the file's name."""
    content = "\n".join([header, *lines, ""]).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return str(path)
