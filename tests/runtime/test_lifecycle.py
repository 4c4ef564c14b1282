"""From main to exit status: what a process says, and how signals end it. Each test runs a process of its own."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass

import pytest

from runtime.lifecycle import Stop, StopCause

PRELUDE = """
import asyncio, contextlib, os, signal, sys
from runtime.errors import ConfigError, ServiceError
from runtime.lifecycle import Stop, StopCause, on_hangup, run
from runtime.logs import configure_logs

def say(text):
    print(text, flush=True)

class Part:
    async def __aenter__(self):
        say("open")
    async def __aexit__(self, *_):
        say("closed")
"""
WAITS = """
async def main(stop):
    async with Part():
        say(type(asyncio.get_running_loop()).__module__)
        say((await stop.wait()).value)
"""
LINGERS = """
async def main(stop):
    async with Part():
        say("up")
        await stop.wait()
        say("lingers")
        await asyncio.sleep(60)
"""
HANGS = """
async def main(stop):
    say("up")
    await stop.wait()
    for attempt in range(9):
        with contextlib.suppress(asyncio.CancelledError):
            say(f"hangs {attempt}")
            await asyncio.sleep(60)
"""


@dataclass
class Ended:
    status: int
    out: list[str]
    err: list[str]


async def run_process(main: str, *signals: tuple[str, signal.Signals]) -> Ended:
    """Run a main; send each signal after the line that it waits for."""
    code = PRELUDE + main + "\nconfigure_logs()\nsys.exit(run(main))\n"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    out: list[str] = []
    try:
        async with asyncio.timeout(20):
            for line, number in signals:
                while not out or out[-1] != line:
                    found = (await process.stdout.readline()).decode()
                    assert found, f"expected the line {line!r}, found {out}"
                    out.append(found.strip())
                process.send_signal(number)
            rest, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out + rest.decode().splitlines(), err.decode().splitlines())


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")], ids=["SIGTERM", "SIGINT"]
)
async def test_a_signal_asks_for_a_stop_and_the_parts_are_closed(number: signal.Signals, cause: str) -> None:
    ended = await run_process(WAITS, ("uvloop", number))

    assert ended == Ended(0, ["open", "uvloop", cause, "closed"], [])


async def test_a_main_that_ends_by_itself_is_a_clean_stop() -> None:
    assert await run_process("async def main(stop): say('done')") == Ended(0, ["done"], [])


async def test_sigterm_while_stopping_asks_it_to_hurry() -> None:
    main = WAITS + "        say('lingers')\n        await stop.hurried.wait()\n        say('in haste')\n"
    ended = await run_process(main, ("uvloop", signal.SIGTERM), ("lingers", signal.SIGTERM))

    assert ended == Ended(0, ["open", "uvloop", "terminated", "lingers", "in haste", "closed"], [])


async def test_a_hangup_is_heard_from_entering_to_leaving() -> None:
    main = """
async def main(stop):
    heard = asyncio.Event()
    with on_hangup(heard.set):
        say("listens")
        await heard.wait()
        say("heard")
    say(signal.getsignal(signal.SIGHUP) == signal.SIG_DFL)
"""
    assert await run_process(main, ("listens", signal.SIGHUP)) == Ended(0, ["listens", "heard", "True"], [])


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_sigint_while_stopping_cancels_and_the_parts_are_closed(first: signal.Signals) -> None:
    ended = await run_process(LINGERS, ("up", first), ("lingers", signal.SIGINT))

    assert ended == Ended(130, ["open", "up", "lingers", "closed"], [])


async def test_sigint_kills_a_process_that_does_not_let_itself_be_cancelled() -> None:
    ended = await run_process(HANGS, ("up", signal.SIGINT), ("hangs 0", signal.SIGINT), ("hangs 1", signal.SIGINT))

    assert ended.status == -signal.SIGINT


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        ("ConfigError('listen.port: expected `int`, found 3')", 2, "error: listen.port: expected `int`, found 3"),
        ("ServiceError('two\\nlines')", 1, "error: two lines"),
        ("ExceptionGroup('g', [ServiceError('one')])", 1, "error: one"),
        ("ExceptionGroup('g', [ConfigError('one'), ExceptionGroup('h', [ConfigError('two')])])", 2, "error: one"),
        ("ExceptionGroup('g', [ConfigError('one'), ServiceError('two')])", 1, "error: one"),
    ],
)
async def test_an_expected_error_is_one_line_and_a_status(error: str, status: int, line: str) -> None:
    ended = await run_process(f"async def main(stop):\n    async with Part():\n        raise {error}")

    assert ended.status == status
    assert ended.out == ["open", "closed"]
    assert ended.err[0] == line
    assert all(each.startswith("error: ") for each in ended.err)


async def test_any_other_error_is_one_line_and_its_traceback_is_logged() -> None:
    ended = await run_process("async def main(stop): raise ValueError('oops')")

    assert ended.status == 1
    assert ended.err[-1] == "error: ValueError: oops"
    assert len(ended.err) == 2
    assert "process.failed" in ended.err[0]
    assert "Traceback" in ended.err[0]


async def test_a_task_that_fails_in_a_group_ends_the_process() -> None:
    main = """
async def fail():
    raise ServiceError("broken")

async def main(stop):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        await stop.wait()
"""

    assert await run_process(main) == Ended(1, [], ["error: broken"])


async def test_the_first_cause_of_a_stop_stays_and_a_second_request_hurries() -> None:
    stop = Stop()
    before = stop.cause
    stop.request(StopCause.TERMINATED)
    calm = not stop.hurried.is_set()
    stop.request(StopCause.INTERRUPTED)

    assert before is None
    assert calm
    assert stop.hurried.is_set()
    assert stop.cause is StopCause.TERMINATED
    assert await stop.wait() is StopCause.TERMINATED
