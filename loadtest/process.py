"""A program of ours in a process of its own: started, told from, asked what it takes, ended. Does I/O."""

import asyncio
import os
import resource
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from loadtest.errors import LoadTestError
from loadtest.peers.processor import cpu_ns, on_core
from standins.leash import on_leash

_START_S: Final = 30.0
_END_S: Final = 90.0
_TAIL_BYTES: Final = 2_000


class Program:
    """A process that talks on its standard output, a line each."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken."""
        return cpu_ns(self.pid) / 1e9

    @property
    def resident_bytes(self) -> int:
        """Memory that it has."""
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * resource.getpagesize()

    async def line(self) -> str:
        """Its next line. Raises LoadTestError with the end of its log once there is none."""
        if self._process.stdout is None:
            raise LoadTestError(f"{self.name}: expected a pipe, found none")
        line = await self._process.stdout.readline()
        if not line:
            status = await self._process.wait()
            tail = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
            raise LoadTestError(f"{self.name}: has ended with status {status}: {tail}")
        return line.decode().rstrip("\n")

    async def line_after(self, words: str) -> str:
        """What stands behind `words` in the next line that has them."""
        async with asyncio.timeout(_START_S):
            while words not in (line := await self.line()):
                pass
        return line.partition(words)[2]

    async def tell(self, line: bytes) -> str:
        """Give it a line on its standard input, and take its answer."""
        if self._process.stdin is None:
            raise LoadTestError(f"{self.name}: expected a pipe, found none")
        self._process.stdin.write(line + b"\n")
        return await self.line()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end, and give its status."""
        return await self._process.wait()

    async def end(self, *, at_once: bool) -> None:
        """End it, by force if it takes too long or `at_once`."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.returncode is None and not at_once:
            try:
                async with asyncio.timeout(_END_S):
                    await self._process.wait()
            except TimeoutError:
                pass
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def program(
    name: str,
    command: Sequence[str],
    directory: Path,
    *,
    core: int | None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Program]:
    """Run it from entering to leaving, on one core; what it logs goes to `directory`."""
    path = directory / f"{name}.log"
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *on_leash(on_core(core, command)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            env={**os.environ, **(environment or {})},
            limit=1 << 20,
        )
    running = Program(name, process, path)
    try:
        yield running
    finally:
        await running.end(at_once=True)
