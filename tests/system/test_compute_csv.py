"""`signal-service compute --format csv`: a header, and a column for each field."""

import csv
import io
import json
from pathlib import Path

import pytest

from signal_service.lines import Csv
from tests.system.commands import run_command
from wire import channel as channels

ETH = "BINANCE:ETHUSDT"
BARS = f"bars:{ETH}@5s"
MACD = f"signals:{ETH}@5s:macd(3,7,4)"
CLOSE = f"signals:{ETH}@5s: close"
ALERT = f"alerts:{ETH}@5s:close > sma(close, 2)"
SCREEN = "screens:BINANCE@5s:close>open"
ALL = (BARS, MACD, CLOSE, ALERT, SCREEN)


@pytest.fixture
def feed(recordings: Path) -> str:
    return f"replay:{recordings / 'binance-spot-ethusdt-20240808.gz'}"


async def rows(feed: str, *names: str) -> list[dict[str, str]]:
    """Each line by its header."""
    ended = await run_command("compute", *names, "--format", "csv", "--feed", feed)
    assert (ended.status, ended.error) == (0, "")
    return list(csv.DictReader(io.StringIO(ended.out), strict=True))


def header(*names: str) -> list[str]:
    return Csv([channels.parse(name) for name in names]).head().split(",")


def test_each_kind_has_its_own_columns() -> None:
    trailing = ["final", "event", "sent"]
    assert header(BARS) == ["channel", *"tohlcvn", *trailing, "synthetic", "rev", "gap"]
    assert header(CLOSE) == ["channel", "t", "v", *trailing, "settled", "synthetic", "gap"]
    assert header(ALERT) == ["channel", "t", "v", *trailing, "settled", "gap"]
    named = ["v.macd", "v.signal", "v.hist"]
    assert header(MACD) == ["channel", "t", *named, *trailing, "settled", "synthetic", "gap"]
    assert header(SCREEN) == ["channel", "t", "in", "entered", "left", *trailing]
    assert header(f"trades:{ETH}") == ["channel", "t", "p", "q", "side", "id", "event", "sent"]
    assert header(f"quotes:{ETH}") == ["channel", "t", "bid", "ask", "bid_q", "ask_q", "event", "sent"]
    assert header("status:BINANCE") == ["channel", "state", "since", "lag_ms", "event", "sent"]
    assert header(SCREEN, f"trades:{ETH}") == [*header(SCREEN), "p", "q", "side", "id"], "each once"


async def test_every_value_is_that_of_the_json_lines_whatever_is_asked_for_together(feed: str) -> None:
    ended = await run_command("compute", *ALL, "--feed", feed)
    told = await rows(feed, *ALL)
    assert [row["channel"] for row in told] == [line["channel"] for line in ended.lines]
    assert {row["channel"] for row in told} == set(ALL)
    for row, line in zip(told, ended.lines, strict=True):
        data = line["data"]
        expected = {field: cell(value) for field, value in data.items() if value is not None}
        if line["channel"] == MACD and data["v"] is not None:
            expected = {**{f"v.{name}": cell(value) for name, value in data["v"].items()}, **expected}
            del expected["v"]
        found = {field: value for field, value in row.items() if value and field != "channel"}
        assert found == {field: value for field, value in expected.items() if value}


def cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return " ".join(value)
        case dict():
            return json.dumps(value, separators=(",", ":"))
    return str(value)


async def test_the_instruments_of_a_screen_are_one_list_in_a_cell(tmp_path: Path) -> None:
    recording = tmp_path / "trades.csv"
    second = 1_000_000_000
    lines = [f"{1 + at * second // 2},DEMO:S{at % 2:02},{10 + at},1" for at in range(8)]
    recording.write_text("\n".join(["event_ns,instrument,price,size", *lines, ""]))
    told = await rows(f"replay:{recording}", "screens:DEMO@1s:close>11")
    assert [(row["in"], row["entered"], row["left"]) for row in told] == [
        ("", "", ""),
        ("S00 S01", "S00 S01", ""),
        ("S00 S01", "", ""),
        ("S00 S01", "", ""),
    ]
