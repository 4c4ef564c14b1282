"""`python -m loadtest`, end to end: real processes, a real Redis, a small load."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec
import pytest

from loadtest.__main__ import main
from loadtest.report import Report
from loadtest.verdict import Verdict

SMALL = """
title = "small"
clients = [20, 50]
run_s = 1
channels = 4
channels_per_client = 2
witnesses = 2
judging = true
[publishing]
rounds_per_s = 20
finals_every = 2
"""


async def run(*arguments: str, repository: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtest", *arguments), stdout=PIPE, stderr=PIPE, cwd=repository
    )
    out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def test_a_small_load_on_a_gateway_loses_nothing_and_is_reported(tmp_path: Path, repository: Path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(SMALL)
    files = ("--json", str(tmp_path / "small.json"), "--plot", str(tmp_path / "small.png"))

    status, out, error = await run(str(scenario), *files, repository=repository)

    assert status == 0, error
    assert "small" in out
    report = msgspec.json.decode((tmp_path / "small.json").read_bytes(), type=Report)
    assert [run.clients for run in report.runs] == [20, 50]
    for small in report.runs:
        assert small.failures == {}
        assert small.deliveries > 0
        assert small.cpu_us_per_delivery > 0
        assert small.p99_ms > 0
        assert small.swarm is not None
        assert small.swarm.is_clean
        assert small.swarm.heard > 0
        assert small.witnesses is not None
        assert small.witnesses.is_clean
        assert small.witnesses != Verdict()
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")


async def test_clients_of_a_gateway_that_leaves_go_on_at_the_other(tmp_path: Path, repository: Path) -> None:
    scenario = tmp_path / "leaving.toml"
    leaving = SMALL.replace("run_s = 1", "run_s = 4\ngateways = 2").replace("[20, 50]", "[50]")
    settings = '[drain]\nafter_s = 1\n[settings]\nSIGNAL_DRAIN_LINGER_S = "0"\nSIGNAL_DRAIN_PERIOD_S = "1"\n'
    scenario.write_text(leaving + settings)

    status, _, error = await run(str(scenario), "--json", str(tmp_path / "a.json"), repository=repository)

    assert status == 0, error
    (left,) = msgspec.json.decode((tmp_path / "a.json").read_bytes(), type=Report).runs
    assert left.by_code == {3001: 50}
    assert left.returning is not None
    assert left.returning.clients == 50
    assert left.swarm is not None
    assert left.swarm.is_clean
    assert left.witnesses is not None
    assert left.witnesses.is_clean
    assert left.open == 50


def test_a_wrong_scenario_is_an_error_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "wrong.toml"
    scenario.write_text('title = "x"\nclients = [1]\nspeed = 1')

    assert main([str(scenario)]) == 2

    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"loadtest: {scenario}: speed: expected one of: title, clients")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--peers", "bare"], "expected one channel"),
        (["--peers", "nobody"], "found 'nobody'"),
        (["--clients", "ten"], "of the command line: Expected `int`, got `str` - at `$.clients[0]`"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text(SMALL)

    assert main([str(scenario), *arguments]) == 2

    assert complaint in capsys.readouterr().err
