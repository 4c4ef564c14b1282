"""``python -m loadtest SCENARIO.toml``: runs a scenario, and says what it found."""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop

from loadtest.errors import LoadTestError, ScenarioError
from loadtest.peers.catalogue import KINDS, why_not
from loadtest.report import Report, Run, as_json, as_table
from loadtest.run import run_gateways, run_peer
from loadtest.scenario import Scenario, load_scenario
from loadtest.servers import Cores

EXAMPLE = """example:
  python -m loadtest loadtest/scenarios/fan_out.toml --peers bare,broadcast,ws --plot fan_out.png
  python -m loadtest loadtest/scenarios/soak.toml --minutes 10 --json soak.json
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except LoadTestError as error:
        _tell(f"loadtest: {error}")
        return 2 if isinstance(error, ScenarioError) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest",
        description="Puts a load on gateways that it starts for it, with a real Redis and a user service.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", type=Path, metavar="SCENARIO", help="a TOML file; loadtest/scenarios has some")
    parser.add_argument("--peers", default="", metavar="NAMES", help=f"compare with some of {','.join(KINDS)}")
    parser.add_argument("--centrifugo", type=Path, metavar="PATH", help="the program of that peer")
    parser.add_argument("--minutes", type=float, metavar="N", help="how long each run takes (default: as it says)")
    parser.add_argument("--clients", metavar="N,…", help="how many clients (default: as it says)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw it there")
    return parser


def _run(options: argparse.Namespace) -> int:
    scenario = _changed(load_scenario(options.scenario), options)
    peers = [name for name in options.peers.split(",") if name]
    if options.centrifugo is not None and "centrifugo" not in peers:
        peers.append("centrifugo")
    _check(scenario, peers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runs = runner.run(_runs(scenario, peers, options.centrifugo, _tell))
    date = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(scenario.title, _machine(), date, tuple(runs))
    sys.stdout.write(f"{as_table(report)}\n")
    try:
        if options.json is not None:
            options.json.write_bytes(as_json(report))
        if options.plot is not None:
            from loadtest.plot import draw  # noqa: PLC0415 - it takes a second, and a package of its own

            draw(report, options.plot)
    except OSError as error:
        raise LoadTestError(f"cannot write {error.filename}: {error.strerror}") from error
    return 0


def _changed(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    """The scenario as the command line has it."""
    changes: dict[str, object] = {}
    if options.minutes is not None:
        changes["run_s"] = options.minutes * 60
    if options.clients is not None:
        changes["clients"] = [int(number) if number.isdecimal() else number for number in options.clients.split(",")]
    try:
        return msgspec.convert({**msgspec.to_builtins(scenario), **changes}, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"of the command line: {error}") from None


def _check(scenario: Scenario, peers: Sequence[str]) -> None:
    for name in peers:
        if name not in KINDS:
            raise ScenarioError(f"--peers: expected some of {', '.join(KINDS)}, found {name!r}")
    if peers and not scenario.can_compare:
        raise ScenarioError("--peers: expected one channel that everybody has and nothing special, found more")


async def _runs(
    scenario: Scenario, peers: Sequence[str], centrifugo: Path | None, told: Callable[[str], None]
) -> list[Run]:
    cores = Cores.of_machine()
    runs = await run_gateways(scenario, cores, told)
    for name in peers:
        if (why := why_not(name, centrifugo)) is not None:
            told(f"{name}: left out: {why}")
            continue
        runs += await run_peer(name, scenario, cores, told, centrifugo)
    return runs


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
