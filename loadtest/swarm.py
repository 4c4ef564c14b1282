"""Swarm: tens of thousands of raw connections, held by a few processes of its own. Does I/O."""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Struct

from loadtest.errors import LoadTestError
from loadtest.reports import Connect, Drop, Measure, Quit, Reconnect, Request, Sample, Stall, join
from loadtest.target import Habits, Target
from loadtest.worker import work

PROCESS_CLIENTS: Final = 19_000
"""A process may hold 20,000 descriptors here."""
_LOOK_S: Final = 0.05
DEFAULT_HABITS: Final = Habits()


class Connected(Struct, frozen=True):
    """How an opening went: how many are subscribers, and what failed, by reason."""

    elapsed_s: float
    opened: int
    failures: dict[str, int]

    @property
    def failed(self) -> int:
        """How many attempts came to nothing."""
        return sum(self.failures.values())


class Swarm:
    """Clients in `processes` of their own, the i-th on core `cores[i]` (none given: anywhere).

    To be entered before it is used; on leaving, all are cut. `sample_every`: of so many deliveries one's latency is
    taken.
    """

    def __init__(self, *, processes: int = 1, cores: Sequence[int] = (), sample_every: int = 16) -> None:
        self._count = processes
        self._cores = cores
        self._sample_every = sample_every
        self._members: list[tuple[BaseProcess, Connection, asyncio.Lock]] = []
        self._clients = 0

    async def __aenter__(self) -> Self:
        """Start the processes."""
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    async def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        for i in range(self._count):
            here, there = context.Pipe()
            core = self._cores[i % len(self._cores)] if self._cores else None
            process = context.Process(
                target=work, args=(there, core, self._sample_every), name=f"swarm-{i}", daemon=True
            )
            process.start()
            there.close()
            self._members.append((process, here, asyncio.Lock()))
        for _, pipe, _ in self._members:
            await asyncio.to_thread(pipe.recv)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all connections, and end the processes."""
        await self.close()

    @property
    def pids(self) -> Sequence[int]:
        """The processes."""
        return [process.pid for process, _, _ in self._members if process.pid is not None]

    async def connect(
        self,
        target: Target,
        count: int,
        channels: Sequence[str] = (),
        channels_per_client: int = 1,
        habits: Habits = DEFAULT_HABITS,
    ) -> Connected:
        """Open `count` more clients, and wait until each is a subscriber or has failed.

        Client i wants `channels_per_client` of `channels`, from the i-th such group on, and round again.
        """
        numbers = range(self._clients, self._clients + count)
        self._clients += count
        if self._clients > PROCESS_CLIENTS * self._count:
            raise LoadTestError(f"expected at most {PROCESS_CLIENTS} clients a process, found {self._clients}")
        began_s, before = time.monotonic(), await self.look()
        await self._ask_each(
            [
                Connect(target, numbers[i :: self._count], channels, channels_per_client, habits)
                for i in range(self._count)
            ]
        )
        return await self._opened(before, began_s)

    async def measure(self) -> Sample:
        """What came since this was asked before."""
        return join(await self._ask(Measure(reset=True)))

    async def look(self) -> Sample:
        """What came since `measure`, without latencies and what finals tell; it goes on counting."""
        return join(await self._ask(Measure(reset=False)))

    async def wait_for(self, deliveries: int) -> None:
        """Wait until so many have come since `measure`; the caller bounds the time."""
        while (await self.look()).deliveries < deliveries:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(_LOOK_S)

    async def wait_open(self, count: int) -> None:
        """Wait until so many are subscribers; the caller bounds the time."""
        while (await self.look()).open < count:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(_LOOK_S)

    async def wait_silent(self, silent_s: float) -> None:
        """Wait until nothing has come for so long; the caller bounds the time."""
        before = -1
        while (now := (await self.look()).deliveries) != before:
            before = now
            await asyncio.sleep(silent_s)

    async def stall(self, count: int) -> int:
        """So many read no more from now on; gives how many there were."""
        return sum(await self._ask_each([Stall(part) for part in self._parts(count)]))

    async def drop(self, count: int, *, stalled: bool = False) -> int:
        """Cut so many; those with a backoff come back by themselves. Gives how many there were."""
        return sum(await self._ask_each([Drop(part, stalled) for part in self._parts(count)]))

    async def call_back(self) -> int:
        """Open all that are away, and do not wait for it; gives how many there were."""
        return sum(await self._ask(Reconnect()))

    async def reconnect(self) -> Connected:
        """Open all that are away, and wait until each is a subscriber or has failed."""
        began_s, before = time.monotonic(), await self.look()
        await self.call_back()
        return await self._opened(before, began_s)

    async def close(self) -> None:
        """Cut all connections, and end the processes."""
        for process, pipe, _ in self._members:
            try:
                pipe.send(Quit())
            except OSError:
                process.kill()
        for process, pipe, _ in self._members:
            await asyncio.to_thread(process.join, 5)
            if process.is_alive():
                process.kill()
            pipe.close()
        self._members.clear()

    # inside

    async def _opened(self, before: Sample, began_s: float) -> Connected:
        while (now := await self.look()).opening:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(_LOOK_S)
        failures = {why: count - before.failures.get(why, 0) for why, count in now.failures.items()}
        failures = {why: count for why, count in failures.items() if count}
        return Connected(
            max(0.0, now.opened_s - began_s), now.open + now.stalled - before.open - before.stalled, failures
        )

    def _parts(self, count: int) -> Sequence[int]:
        """`count`, as evenly as it can be, for each process."""
        return [len(range(i, count, self._count)) for i in range(self._count)]

    async def _ask(self, request: Request) -> list[Any]:
        return await self._ask_each([request] * len(self._members))

    async def _ask_each(self, requests: Sequence[Request]) -> list[Any]:
        return [await self._tell(member, request) for member, request in zip(self._members, requests, strict=True)]

    async def _tell(self, member: tuple[BaseProcess, Connection, asyncio.Lock], request: Request) -> object:
        process, pipe, lock = member
        async with lock:
            try:
                pipe.send(request)
                return await asyncio.to_thread(pipe.recv)
            except (EOFError, OSError) as error:
                raise LoadTestError(f"{process.name} has ended, with status {process.exitcode}") from error
