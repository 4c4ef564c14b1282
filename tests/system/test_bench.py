"""`signal-service bench engine`: that it measures and says so; what it finds is not judged here."""

import json
import math
from typing import Any

import pytest

from signal_service.bench.figures import Figure, as_lines
from standins.redis import RedisServer
from tests.system.commands import run_command

FIELDS = {"name", "what", "goal", "at_most", "unit", "figure", "met", "ratio", "also", "method"}


async def measured(*rows: str) -> dict[str, Any]:
    ended = await run_command("bench", "engine", *rows, "--quick", "--json", "-")
    assert ended.status == 0, ended.error
    report: dict[str, Any] = json.loads(ended.out)
    return report


async def test_a_report_tells_of_each_row_its_goal_its_figure_and_how_it_was_measured() -> None:
    report = await measured("fold", "accuracy")

    assert [row["name"] for row in report["rows"]] == ["fold", "accuracy"]
    assert all(row.keys() == FIELDS for row in report["rows"])
    assert all(math.isfinite(row["figure"]) and row["method"] for row in report["rows"])
    assert report["machine"]
    assert {"python", "numpy", "ta-lib", "signal-service"} <= report["versions"].keys()
    assert report["date"].endswith("+00:00")
    assert report["quick"] is True


async def test_a_bar_close_and_a_cold_start_are_measured_beside_talib_and_talipp() -> None:
    report = await measured("burst", "cold")

    assert [row["name"] for row in report["rows"]] == [
        *("burst", "burst/talib", "burst/talipp"),
        *("cold", "cold/talib", "cold/talipp"),
    ]
    baselines = [row for row in report["rows"] if "/" in row["name"]]
    assert all(row["goal"] is None and row["also"]["times ours"] > 0 for row in baselines)


async def test_an_engine_at_work_is_measured_from_outside() -> None:
    report = await measured("tick", "subscribe", "load")

    figures = {row["name"]: row for row in report["rows"]}
    assert figures["tick"]["figure"] > 0
    assert figures["load/finals"]["also"]["finals"] > 0
    assert figures["load/cpu"]["figure"] > 0


async def test_what_is_published_over_redis_is_heard_in_another_process(server: RedisServer) -> None:
    report = await measured("load", "--redis", server.url)

    finals = next(row for row in report["rows"] if row["name"] == "load/finals")
    assert finals["also"]["finals"] > 0


async def test_strangers_are_refused_when_the_budget_is_full() -> None:
    report = await measured("strangers", "snapshot")

    strangers = report["rows"][0]["also"]
    assert strangers["refused"] > 0
    assert strangers["computed"] > 0
    assert strangers["counted MB"] <= strangers["budget MB"]


async def test_on_a_terminal_a_row_is_a_line_with_its_method_below() -> None:
    ended = await run_command("bench", "engine", "snapshot", "--quick")

    assert ended.status == 0, ended.error
    lines = ended.out.splitlines()
    assert lines[1].split() == ["row", "figure", "goal", "met", "ratio", "also"]
    assert lines[2].startswith("snapshot ")
    assert lines[3].startswith("    copy of the state of 20 indicators")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nothing"], "unknown row 'nothing'"),
        (["fold", "--instruments", "0"], "expected a whole number above 0, found '0'"),
        (["load", "--redis", "http://localhost"], "expected redis://"),
        (["load", "--minutes", "none"], "--minutes"),
    ],
)
async def test_what_cannot_be_measured_is_refused(arguments: list[str], part: str) -> None:
    ended = await run_command("bench", "engine", *arguments)

    assert ended.status == 2
    assert part in ended.error


async def test_a_report_that_cannot_be_written_is_a_failure() -> None:
    ended = await run_command("bench", "engine", "snapshot", "--quick", "--json", "/nowhere/figures.json")

    assert ended.status == 1
    assert "cannot write /nowhere/figures.json" in ended.error


def figure(value: float, goal: float | None, *, at_most: bool = True) -> Figure:
    return Figure(name="row", what="what", figure=value, unit="ms", method="how", goal=goal, at_most=at_most)


@pytest.mark.parametrize(
    ("value", "goal", "at_most", "met", "ratio"),
    [
        (1.0, 2.0, True, True, 2.0),
        (2.0, 2.0, True, True, 1.0),
        (4.0, 2.0, True, False, 0.5),
        (4.0, 2.0, False, True, 2.0),
        (1.0, 2.0, False, False, 0.5),
        (1.0, None, True, None, None),
        (0.0, 2.0, True, True, None),
        (math.nan, 2.0, True, False, math.nan),
    ],
)
def test_a_goal_is_met_from_one_side(
    value: float, goal: float | None, at_most: bool, met: bool | None, ratio: float | None
) -> None:
    found = figure(value, goal, at_most=at_most)

    assert found.met is met
    assert found.ratio == (pytest.approx(ratio, nan_ok=True) if ratio is not None else None)


def test_a_missed_goal_stands_out() -> None:
    assert as_lines(figure(4.0, 2.0)).splitlines() == [
        "row             4 ms              ≤ 2        NO   0.5x",
        "    what: how",
    ]


def test_what_could_not_be_measured_is_a_dash() -> None:
    figure = Figure(name="row", what="it", figure=math.nan, unit="ms", method="there is none")
    assert as_lines(figure).splitlines()[0].split() == ["row", "-", "ms"]
