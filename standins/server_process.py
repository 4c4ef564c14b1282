"""A real server in a process of its own, for tests: found, started, killed, paused, ended. Does I/O."""

import asyncio
import os
import secrets
import signal
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from importlib.machinery import PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

from runtime.errors import ServiceError
from standins.leash import on_leash
from standins.process_tree import is_alive, list_children, send_signal, stop_tree

HOST: Final = "127.0.0.1"

_START_S: Final = 30.0
_ANSWER_S: Final = 1.0
_POLL_S: Final = 0.002
_TRIES: Final = 20
_TAIL_BYTES: Final = 4096
_ADDRESS_IN_USE: Final = "Address already in use"
# Below what the systems hand out to outgoing connections. There, a client that keeps trying to reach a server that is
# down may be given the server's own port, reach itself, and keep the server from coming back.
_PORTS: Final = range(12_000, 32_000)


class ServerError(ServiceError):
    """A server that cannot be had: no program for it is found, or it does not start."""


class _PortTakenError(ServerError):
    """Somebody else listens on the port."""


def find_in_packages(pattern: str, directories: Sequence[str] | None = None) -> Path | None:
    """Find a program in an installed package, without importing it: ``package/bin/program``, with wildcards.

    `directories` are where packages are installed; those of this process if none are given.
    """
    package, _, inside = pattern.partition("/")
    spec = PathFinder.find_spec(package, directories)
    places = () if spec is None else spec.submodule_search_locations or ()
    found = (path for place in places for path in sorted(Path(place).glob(inside)))
    return next((path for path in found if os.access(path, os.X_OK)), None)


class ServerProcess(ABC):
    """A server on a port of 127.0.0.1, with a directory, from entering the context to leaving it.

    It does not outlive this process either, however that ends: on Linux, the kernel kills it at the end of the thread
    that started it. Elsewhere, a process that is killed leaves its servers running.
    """

    def __init__(self, name: str, *, port: int | None, directory: Path | None, user: str = "") -> None:
        """Take a name for messages, the port and directory (None: a free one, a temporary one) and whom to run it as.

        A temporary directory is removed at the end.
        """
        self._name = name
        self._any_port = port is None
        self._port = 0 if port is None else port
        self._given_directory = directory
        self._directory = Path()
        self._user = user
        self._process: Process | None = None
        self._exits = AsyncExitStack()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def pid(self) -> int:
        """The id of the server's process. Raises ServerError when it is not running."""
        return self._running().pid

    async def __aenter__(self) -> Self:
        """Start, and wait until it answers. Raises ServerError with the end of its log when it does not."""
        async with AsyncExitStack() as exits:
            if self._given_directory is None:
                self._directory = Path(exits.enter_context(TemporaryDirectory(prefix=f"{self._name}-")))
            else:
                self._directory = self._given_directory
            exits.push_async_callback(self._end)
            await self._prepare()
            await self._start_on_free_port()
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, and wait until it is gone."""
        await self._exits.aclose()

    async def kill(self) -> None:
        """Kill it with its children (SIGKILL), and wait until they are gone."""
        process = self._running()
        pids = stop_tree(process.pid)
        send_signal(signal.SIGKILL, pids)
        await process.wait()
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110 - the system tells of no end but a child's
            await asyncio.sleep(_POLL_S)

    async def restart(self) -> None:
        """Start it again after :meth:`kill`, on the same port and directory. Raises ServerError as entering does."""
        if self._is_running():
            raise ServerError(f"{self._name}: expected to restart it after kill(), found it running")
        await self._start()

    def pause(self) -> None:
        """Stop it with its children (SIGSTOP): the system still accepts connections for it, nothing answers."""
        stop_tree(self.pid)

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        pid = self.pid
        send_signal(signal.SIGCONT, (*list_children(pid), pid))

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Give the program and the arguments that start it on `port` in `_directory`."""

    @abstractmethod
    async def _answers(self, pid: int) -> bool:
        """Whether this very process, and not another on its port, serves."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Do what comes once, before the first start."""

    async def _start_on_free_port(self) -> None:
        if not self._any_port:
            return await self._start()
        for _ in range(_TRIES):
            self._port = secrets.choice(_PORTS)
            with suppress(_PortTakenError):
                return await self._start()
        raise ServerError(f"{self._name}: expected a free port, found {_TRIES} ports taken")

    async def _start(self) -> None:
        process = self._process = await self._spawn(self._command())
        try:
            async with asyncio.timeout(_START_S):
                while not await self._answers_in_time(process.pid):
                    if process.returncode is not None:
                        raise self._complain(f"its end with status {process.returncode}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise self._complain(f"none within {_START_S:g} s") from None

    async def _answers_in_time(self, pid: int) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                return await self._answers(pid)
        return False

    async def _run(self, command: Sequence[str]) -> None:
        """Run a program that prepares the server to its end."""
        process = self._process = await self._spawn(command)
        if await process.wait() != 0:
            raise self._complain(f"{Path(command[0]).name} ended with status {process.returncode}")

    async def _spawn(self, command: Sequence[str]) -> Process:
        """Start a program on a leash, away from the terminal's signals; what it prints is a new log."""
        with self._log().open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *on_leash(command, self._user),
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                cwd=self._directory,
                start_new_session=True,
            )

    async def _end(self) -> None:
        # Not asked to end first: Redis would take 0.1 s to notice, a paused server would not, and nothing is lost.
        if self._is_running():
            await self.kill()

    def _is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            raise ServerError(f"{self._name}: expected it to be running, found it ended")
        return self._process

    def _log(self) -> Path:
        return self._directory / "server.log"

    def _complain(self, found: str) -> ServerError:
        """Say that there is no server, with the end of its log."""
        with self._log().open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            tail = log.read().decode(errors="replace").strip()
        kind = _PortTakenError if _ADDRESS_IN_USE in tail else ServerError
        return kind(f"{self._name}: expected an answer on port {self._port}, found {found}; its log ends:\n{tail}")
