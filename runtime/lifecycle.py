"""The life of a process: from its main coroutine to its exit status, with the signals that end it."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

import structlog
import uvloop

from runtime.errors import ConfigError, ServiceError

EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
EXIT_ABORTED: Final = 130

_log = structlog.get_logger("lifecycle")


class StopCause(Enum):
    """Why a process is to end."""

    TERMINATED = "terminated"
    """SIGTERM: an orchestrator wants the place; clients are to be led away gently."""
    INTERRUPTED = "interrupted"
    """SIGINT: somebody waits at the keyboard."""
    FINISHED = "finished"
    """The work is done."""


class Stop:
    """The request to end: the first cause stays, a second request says that it should be soon."""

    def __init__(self) -> None:
        self.hurried = asyncio.Event()
        """Set when it was asked for again: what was to take its time should take none."""
        self._event = asyncio.Event()
        self._cause: StopCause | None = None

    @property
    def cause(self) -> StopCause | None:
        """The first cause; None while nothing asked."""
        return self._cause

    def request(self, cause: StopCause) -> None:
        """Ask the process to end; to hurry, when it has been asked."""
        if self._cause is None:
            self._cause = cause
            self._event.set()
        else:
            self.hurried.set()

    async def wait(self) -> StopCause:
        """Wait for the request and give its cause."""
        await self._event.wait()
        return self._cause if self._cause is not None else StopCause.FINISHED


def run(main: Callable[[Stop], Coroutine[object, object, None]]) -> int:
    """Run a process to its end and give its exit status.

    `main` opens its parts as nested ``async with`` and waits for the Stop inside them::

        async def main(stop: Stop) -> None:
            async with UserService(...) as users, Gateway(users, ...):
                await stop.wait()

    SIGTERM and SIGINT request the stop. While it is stopping SIGTERM asks it to hurry, SIGINT cancels `main`, and
    SIGINT then kills. The status is 0 after a clean stop, 2 for a ConfigError, 1 for any other error, 130 when
    cancelled. An error is one line on the standard error; the traceback of one that is not a ServiceError is logged
    too.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_supervise(main))
    except KeyboardInterrupt:  # before the signals are ours, or after
        return EXIT_ABORTED


async def _supervise(main: Callable[[Stop], Coroutine[object, object, None]]) -> int:
    stop = Stop()
    task = asyncio.create_task(main(stop), name="main")
    with _signals(stop, task):
        await asyncio.wait({task})
    if task.cancelled():
        return EXIT_ABORTED
    error = task.exception()
    if error is None:
        return EXIT_OK
    if not isinstance(error, Exception):
        raise error
    return _report(error)


@contextmanager
def on_hangup(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` at each SIGHUP, from entering to leaving: an operator wants files to be read again."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


@contextmanager
def _signals(stop: Stop, task: asyncio.Task[None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stop.cause is not None:
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            task.cancel("interrupted while stopping")
        stop.request(StopCause.INTERRUPTED)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.request, StopCause.TERMINATED)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


def _report(error: Exception) -> int:
    """Print an error, or each of a group's, as one line; give the exit status."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if not isinstance(leaf, ServiceError):
            _log.error("process.failed", exc_info=leaf)
        message = " ".join(str(leaf).split())
        print(  # noqa: T201 - the last word of a process is for the person who started it
            f"error: {message}" if isinstance(leaf, ServiceError) else f"error: {type(leaf).__name__}: {message}",
            file=sys.stderr,
        )
    return EXIT_USAGE if all(isinstance(leaf, ConfigError) for leaf in leaves) else EXIT_FAILURE


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
