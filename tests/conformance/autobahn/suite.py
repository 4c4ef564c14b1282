"""Autobahn's suite of WebSocket conformance: finds a Python 2.7 for it, installs it, runs it against a listener."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

LANES: Final = (
    ("6.*", "12.1.1", "12.2.1", "12.3.1", "12.4.1", "12.5.1"),
    (
        *("1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "10.*"),
        *("9.1.1", "9.1.2", "9.1.3", "9.2.1", "9.5.1", "9.5.2", "9.7.1", "9.7.2"),
        *("13.1.1", "13.2.1", "13.3.1", "13.4.1", "13.5.1", "13.6.1", "13.7.1"),
    ),
)
"""The cases that are run, in two lanes beside each other: all but most of 9, 12 and 13, which take minutes."""

HERE: Final = Path(__file__).parent
PACKAGES: Final = HERE / "packages.txt"
GOLDEN: Final = HERE / "golden.txt"
INSTALLED: Final = HERE.parents[2] / "build" / "autobahn"
PATH: Final = "/connection/websocket"
AGENT: Final = "gateway"
RUN: Final = "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite import wstest; wstest.run()"
INSTALL_TIMEOUT_S: Final = 240
RUN_TIMEOUT_S: Final = 60


class MissingError(Exception):
    """The suite cannot run here; the message says why."""


class SuiteError(Exception):
    """The suite ended without a result."""


def candidates() -> Iterator[str]:
    """Every place where a Python 2.7 may be."""
    for name in ("python2.7", "python2"):
        for directory in os.get_exec_path():
            found = shutil.which(name, path=directory)
            if found is not None:
                yield found
    for root in (os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")):
        yield from map(str, sorted(Path(root).glob("versions/2.7*/bin/python2.7"), reverse=True))


def find_python() -> str:
    """The first Python 2.7 that runs and has pip. Raises MissingError when there is none."""
    tried = []
    for python in dict.fromkeys(candidates()):
        probe = [python, "-c", "import pip, ssl, sys; sys.exit(sys.version_info[:2] != (2, 7))"]
        try:
            if subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0:
                return python
        except (OSError, subprocess.TimeoutExpired):
            pass
        tried.append(python)
    raise MissingError(f"Autobahn's suite needs a Python 2.7 with pip; none runs (tried: {', '.join(tried) or 'none'})")


def is_installed(directory: Path = INSTALLED) -> bool:
    """Whether the suite is where it is run from, in the versions that are wanted."""
    done = directory / PACKAGES.name
    return done.is_file() and done.read_bytes() == PACKAGES.read_bytes()


def install(python: str, directory: Path = INSTALLED) -> None:
    """Put the suite where it is run from, once; it shares nothing with ours. Raises MissingError when it cannot be."""
    if is_installed(directory):
        return
    partial = directory.with_name(f"{directory.name}.{os.getpid()}")
    try:
        _pip(python, partial)
        shutil.copy(PACKAGES, partial)
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):  # somebody else has just put it there
            partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pip(python: str, directory: Path) -> None:
    command = [python, "-W", "ignore", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    command += ["--target", str(directory), "--requirement", str(PACKAGES)]
    try:
        pip = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise MissingError("pip of Python 2.7 could not install Autobahn's suite in time") from None
    if pip.returncode != 0:
        reason = pip.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise MissingError(f"pip of Python 2.7 could not install Autobahn's suite: {reason[0]}")


async def run(python: str, port: int, cases: Sequence[str], reports: Path) -> dict[str, str]:
    """What the listener on `port` does in each case, and how it closes: ``BEHAVIOUR CLOSE``. Raises SuiteError."""
    specification = _specify(port, cases, reports)
    suite = await asyncio.create_subprocess_exec(
        *(python, "-W", "ignore", "-c", RUN, str(INSTALLED), "--mode", "fuzzingclient", "--spec", str(specification)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=reports,
    )
    try:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            said, _ = await suite.communicate()
    except TimeoutError:
        raise SuiteError(f"the suite did not end within {RUN_TIMEOUT_S} s") from None
    finally:
        if suite.returncode is None:
            suite.kill()
            await suite.wait()
    index = reports / "index.json"
    if suite.returncode != 0 or not index.is_file():
        raise SuiteError(f"the suite ended with {suite.returncode}: {said.decode(errors='replace')[-2_000:]}")
    found = json.loads(index.read_text())[AGENT]
    return {case: f"{result['behavior']} {result['behaviorClose']}" for case, result in found.items()}


async def run_lanes(python: str, port: int, reports: Path) -> dict[str, str]:
    """What the listener does in all cases. Those not as expected have another try: each has one second to behave."""
    async with asyncio.TaskGroup() as tasks:
        lanes = [
            tasks.create_task(run(python, port, lane, reports / f"lane-{number}"), name=f"autobahn.{number}")
            for number, lane in enumerate(LANES)
        ]
    found = {case: behaviour for lane in lanes for case, behaviour in lane.result().items()}
    wrong = [case for case in differences(found, golden()) if case in found]
    return found | await run(python, port, wrong, reports / "again") if wrong else found


def golden() -> dict[str, frozenset[str]]:
    """What is expected of each case: one of these behaviours."""
    lines = [line.partition("#")[0].strip() for line in GOLDEN.read_text().splitlines()]
    parts = [line.partition(" ") for line in lines if line]
    return {case: frozenset(behaviours.split(" | ")) for case, _, behaviours in parts}


def differences(found: Mapping[str, str], expected: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """The cases that are not as expected, in order, each with what is wrong."""
    cases = sorted(found.keys() | expected.keys(), key=_in_order)
    return {
        case: f"{case}: expected {' or '.join(sorted(expected.get(case, {'nothing'})))}, "
        f"found {found.get(case, 'nothing')}"
        for case in cases
        if found.get(case) not in expected.get(case, ())
    }


def text_of(found: Mapping[str, str]) -> str:
    """The lines of a golden list."""
    return "".join(f"{case} {found[case]}\n" for case in sorted(found, key=_in_order))


def _specify(port: int, cases: Sequence[str], reports: Path) -> Path:
    """Write down for the suite what it is to do."""
    url = f"ws://127.0.0.1:{port}{PATH}"
    wanted = {"outdir": str(reports), "servers": [{"agent": AGENT, "url": url}], "cases": list(cases)}
    reports.mkdir()
    specification = reports / "specification.json"
    specification.write_text(json.dumps({**wanted, "exclude-cases": [], "exclude-agent-cases": {}}))
    return specification


def _in_order(case: str) -> tuple[int, ...]:
    return tuple(map(int, case.split(".")))
