"""`signal-service bench gateway`: that it measures and says so; what it finds is not judged here."""

import json
import math
from typing import Any

import pytest

from tests.system.commands import run_command


async def measured(*rows: str) -> list[dict[str, Any]]:
    ended = await run_command("bench", "gateway", *rows, "--quick", "--json", "-")
    assert ended.status == 0, ended.error
    found: list[dict[str, Any]] = json.loads(ended.out)["rows"]
    return found


async def test_a_delivery_is_measured_beside_the_bare_loop() -> None:
    rows = await measured("channels")

    assert [row["name"] for row in rows] == ["channels"]
    assert math.isfinite(rows[0]["figure"])
    assert rows[0]["figure"] > 0
    assert rows[0]["also"]["bare us"] > 0


async def test_stalled_readers_are_measured_beside_none() -> None:
    rows = await measured("stalled")

    assert [row["name"] for row in rows] == ["stalled"]
    assert rows[0]["also"]["p99 ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["nothing"], "unknown row 'nothing'"),
        (["channels", "--centrifugo", "/nowhere/centrifugo"], "found none at /nowhere/centrifugo"),
    ],
)
async def test_what_cannot_be_measured_is_refused(arguments: list[str], part: str) -> None:
    ended = await run_command("bench", "gateway", *arguments)

    assert ended.status == 2
    assert part in ended.error
