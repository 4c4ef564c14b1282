"""SnapshotDirectory: snapshots as files of one directory. Blocking file I/O; to be called off the event loop."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from engine.snapshot import SnapshotError

KEPT: Final = 2
"""How many snapshots of a venue there are: the newest, and one in case that is damaged."""

_SUFFIX: Final = ".snapshot"

State = TypeVar("State")


class SnapshotDirectory:
    """The snapshots of venues, a file each: ``BINANCE.00000000000000000042.snapshot``. One process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, venue: str, data: bytes) -> Path:
        """Stores the newest snapshot of `venue`, whole or not at all, and removes those that are too many.

        SnapshotError if the directory can't be written to.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            there = self._files(venue)
            number = self._number(there[0]) + 1 if there else 1
            path = self._path / f"{venue}.{number:020d}{_SUFFIX}"
            temporary = path.with_suffix(".part")
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            self._sync()
            for old in there[KEPT - 1 :]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise SnapshotError(f"expected to write a snapshot of {venue} to {self._path}, found {error}") from error
        return path

    def read(self, venue: str, decode: Callable[[bytes], State]) -> tuple[State | None, tuple[SnapshotError, ...]]:
        """The newest snapshot of `venue` that `decode` can read, None without one; and why newer ones could not be.

        `decode` raises SnapshotError for what it can't read.
        """
        errors: list[SnapshotError] = []
        for path in self._files(venue):
            try:
                return decode(path.read_bytes()), tuple(errors)
            except (SnapshotError, OSError) as error:
                errors.append(SnapshotError(f"{path.name}: {error}"))
        return None, tuple(errors)

    def _files(self, venue: str) -> list[Path]:
        """The snapshots of `venue`, newest first."""
        pattern = re.compile(re.escape(venue) + r"\.\d{20}" + re.escape(_SUFFIX))
        found = [path for path in self._path.glob(f"*{_SUFFIX}") if pattern.fullmatch(path.name)]
        return sorted(found, reverse=True)

    @staticmethod
    def _number(path: Path) -> int:
        return int(path.name.removesuffix(_SUFFIX)[-20:])

    def _sync(self) -> None:
        """Makes the new name last through a crash."""
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
