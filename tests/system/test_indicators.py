"""``signal-service indicators`` as a user types it, and docs/indicators.md, which it makes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from signal_service.indicator_page import COMMAND
from tests.system.commands import run_command
from wire.catalogue import FUNCTIONS, INDICATORS, MIXED_SERIES, PRICES
from wire.talib_functions import LEFT_OUT, TALIB_FUNCTIONS

NAMES = (
    *(series.name for series in MIXED_SERIES),
    *(function.name for function in FUNCTIONS),
    *(indicator.name for indicator in (*INDICATORS, *TALIB_FUNCTIONS)),
)
PAGE = Path(__file__).parents[2] / "docs" / "indicators.md"


async def test_the_page_in_docs_is_what_the_command_prints() -> None:
    ended = await run_command("indicators", "--format", "markdown")
    assert ended.status == 0
    assert ended.out == PAGE.read_text(encoding="utf-8"), f"run {COMMAND}"


def test_the_page_says_how_it_is_made() -> None:
    assert COMMAND in PAGE.read_text(encoding="utf-8").splitlines()[0]


def test_every_name_of_the_catalogue_is_on_the_page_and_every_link_leads_somewhere() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = {text.partition("(")[0] for text in re.findall(r"`([^`\n]+)`", page)}
    assert names >= {*PRICES, *NAMES, *LEFT_OUT}
    headings = {line.lstrip("# ") for line in page.splitlines() if line.startswith("#")}
    linked = set(re.findall(r"\(#([^)]+)\)", page))
    assert linked == {entry.name for entry in INDICATORS}
    assert linked <= headings
    for target in set(re.findall(r"\]\(([^#)]+\.md)\)", page)):
        assert (PAGE.parent / target).exists()


def test_all_rows_of_a_table_have_as_many_cells() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


async def test_all_is_printed_by_group() -> None:
    ended = await run_command("indicators")
    assert ended.status == 0
    lines = ended.out.splitlines()
    places = [lines.index(title) for title in ("series", "functions", "core indicators", "TA-Lib: Momentum Indicators")]
    assert places == sorted(places)
    firsts = {line.partition("(")[0].partition(" ")[0] for line in lines}
    assert firsts >= {*PRICES, *NAMES}


async def test_one_indicator_is_told_whole() -> None:
    ended = await run_command("indicators", "KC", "obv", "crossover", "hl2")
    assert ended.out.splitlines() == [
        "hl2                          Middle of the bar",
        "crossover(a,b)               a is above b, and was not one bar ago",
        "kc(20,10,2)                  Keltner channels about an ema, as wide as mult true ranges",
        "    parameters: length=20 (2 to 5000), atr_length=10 (1 to 5000), mult=2 (0 to 100, any number)",
        "    outputs: .upper, .middle, .lower",
        "    reads: high, low, close",
        "    warm-up: 19 bars without a value, settled after 469",
        "    source: TA-Lib",
        *(line for line in ended.out.splitlines()[8:]),
    ]
    assert "settled after never" not in ended.out
    assert "never settled" in ended.out


async def test_kinds_of_averages_are_told_where_they_are_asked_for() -> None:
    assert "2 wma" in (await run_command("indicators", "apo")).out
    assert "2 wma" not in (await run_command("indicators", "rsi")).out


async def test_json_has_the_same() -> None:
    everything = json.loads((await run_command("indicators", "--format", "json")).out)
    assert [entry["name"] for entry in everything["series"]] == [*PRICES, *(each.name for each in MIXED_SERIES)]
    assert len(everything["functions"]) == len(FUNCTIONS)
    assert len(everything["indicators"]) == len(INDICATORS) + len(TALIB_FUNCTIONS)
    some = json.loads((await run_command("indicators", "--format", "json", "cdldoji", "rsi")).out)
    assert [entry["name"] for entry in some["indicators"]] == ["cdldoji", "rsi(close,14)"]
    assert (some["series"], some["functions"]) == ([], [])
    assert some["indicators"][1]["parameters"] == [
        {"name": "length", "default": 14, "low": 1, "high": 5000, "whole": True}
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nonsense"], "nonsense"), (["--format", "markdown", "rsi"], "markdown"), (["--format", "csv"], "csv")],
)
async def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], said: str) -> None:
    ended = await run_command("indicators", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.error
    assert ended.error.count("\n") == 1


def test_neither_the_command_nor_a_gateway_loads_the_engines_libraries() -> None:
    program = (
        "import sys, signal_service.indicators, gateway.app; print([m for m in ('numpy', 'talib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
