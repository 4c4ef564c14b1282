"""`signal-service instruments` as a user types it."""

import json
from pathlib import Path

import pytest

from tests.system.commands import run_command

LEAN = "lean-aig-20131009-trade.zip"


async def test_the_instruments_of_a_feed_are_printed_one_a_line_in_order() -> None:
    ended = await run_command("instruments", "--feed", "synthetic:instruments=101")
    assert (ended.status, ended.error) == (0, "")
    lines = ended.out.splitlines()
    assert len(lines) == 101
    assert lines == sorted(lines)
    assert lines[0] == "DEMO:S01"


async def test_several_feeds_give_the_instruments_of_them_all(recordings: Path) -> None:
    feed = f"replay:{recordings / LEAN},instrument=NYSE:AIG"
    ended = await run_command("instruments", "--feed", feed, "--feed", "synthetic:instruments=1")
    assert ended.out == "DEMO:S01\nNYSE:AIG\n"


@pytest.mark.parametrize(("q", "found"), [("s03", "DEMO:S03\n"), ("MO:S1", "DEMO:S10\n"), ("nothing", "")])
async def test_only_those_with_a_text_in_their_name_whatever_its_case(q: str, found: str) -> None:
    ended = await run_command("instruments", "--feed", "synthetic:instruments=10", "--q", q)
    assert (ended.status, ended.out) == (0, found)


async def test_as_json_they_have_the_form_of_the_rpc() -> None:
    ended = await run_command("instruments", "--feed", "synthetic:instruments=2", "--format", "json")
    assert json.loads(ended.out) == [{"venue": "DEMO", "symbol": "S01"}, {"venue": "DEMO", "symbol": "S02"}]


async def test_a_feed_is_needed_and_a_wrong_one_is_told_in_one_line(recordings: Path) -> None:
    without = await run_command("instruments")
    assert without.status == 2
    assert "--feed" in without.error
    nameless = await run_command("instruments", "--feed", f"replay:{recordings / LEAN}")
    assert nameless.status == 2
    assert nameless.error.count("\n") == 1
    assert "option venue= or instrument=VENUE:SYMBOL" in nameless.error
