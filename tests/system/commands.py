"""The command line as a user types it, in processes of its own."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

PROGRAM = (sys.executable, "-m", "signal_service")
TIMEOUT_S = 50.0


@dataclass
class Ended:
    """How a command ended."""

    status: int | None
    out: str
    error: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed, as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


async def run_command(*arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end."""
    process = await _start(arguments, environment)
    async with asyncio.timeout(TIMEOUT_S):
        out, error = await process.communicate()
    return Ended(process.returncode, out.decode(), error.decode())


@dataclass
class Running:
    """A command that serves."""

    process: Process
    printed: list[str] = field(default_factory=list)

    async def line(self, part: str) -> str:
        """Wait for a line of its output that has `part`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            while raw := await self.process.stdout.readline():
                self.printed.append(raw.decode().rstrip("\n"))
                if part in self.printed[-1]:
                    return self.printed[-1]
        raise AssertionError(f"expected a line with {part!r}, found {self.printed}")

    async def end(self, how: signal.Signals) -> Ended:
        """Send a signal and wait for its end."""
        self.process.send_signal(how)
        async with asyncio.timeout(TIMEOUT_S):
            out, error = await self.process.communicate()
        return Ended(self.process.returncode, "\n".join(self.printed) + out.decode(), error.decode())


@asynccontextmanager
async def serving(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Running]:
    """Start a command that serves; whatever happens, it does not outlive the test."""
    process = await _start(arguments, environment)
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _start(arguments: Sequence[str], environment: Mapping[str, str] | None) -> Process:
    return await asyncio.create_subprocess_exec(
        *PROGRAM, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
    )
