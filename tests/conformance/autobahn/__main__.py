"""Runs Autobahn's suite and prints what is not as expected, or with --print what it found. ``make autobahn``."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from runtime.logs import LogConfig, configure_logs
from tests.conformance.autobahn import suite
from tests.conformance.autobahn.listener import echoing


def main() -> int:
    """Run the suite; 1 when something is not as expected, 2 when it cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.autobahn", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print all that was found, as golden.txt has it")
    parser.add_argument("--install", action="store_true", help="install what is needed, and run nothing")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="these only, such as 6.4.1 or 7.*")
    arguments = parser.parse_args()
    configure_logs(LogConfig(level="error"))
    expected = suite.golden()
    try:
        python = suite.find_python()
        suite.install(python)
        if arguments.install:
            return 0
        found = uvloop.run(run(python, arguments.cases))
    except suite.MissingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if arguments.cases:
        expected = {case: expected.get(case, frozenset()) for case in found}
    wrong = suite.differences(found, expected)
    sys.stdout.write(suite.text_of(found) if arguments.print else "".join(f"{line}\n" for line in wrong.values()))
    sys.stdout.write(f"{len(found)} cases, {len(wrong)} not as expected\n")
    return int(bool(wrong))


async def run(python: str, cases: Sequence[str]) -> dict[str, str]:
    """Run these cases, or all, against a gateway that echoes."""
    with tempfile.TemporaryDirectory() as reports:
        async with echoing() as port:
            if cases:
                return await suite.run(python, port, cases, Path(reports) / "asked")
            return await suite.run_lanes(python, port, Path(reports))


if __name__ == "__main__":
    sys.exit(main())
