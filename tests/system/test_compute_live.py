"""`signal-service compute --live`: live values by the recorded clock; and a session with auctions, without it."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.commands import run_command

ETH = "BINANCE:ETHUSDT"
FINALS = (
    f"bars:{ETH}@1s",
    f"signals:{ETH}@5s:macd(3,7,4)",
    f"alerts:{ETH}@1s:close>open",
    "screens:BINANCE@5s:close>open",
)
ONLY_LIVE = (f"trades:{ETH}", f"quotes:{ETH}", "status:BINANCE")
PERIOD_US = 100_000


@pytest.fixture
def feed(recordings: Path) -> str:
    return f"replay:{recordings / 'binance-spot-ethusdt-20240808.gz'}"


def of(lines: list[dict[str, Any]], channel: str) -> list[dict[str, Any]]:
    return [line["data"] for line in lines if line["channel"] == channel]


async def test_live_values_come_at_most_every_100_ms_and_the_finals_are_those_without_them(feed: str) -> None:
    live = await run_command("compute", *FINALS, *ONLY_LIVE, "--live", "--feed", feed)
    again = await run_command("compute", *FINALS, *ONLY_LIVE, "--live", "--feed", feed)
    finals = await run_command("compute", *FINALS, "--feed", feed)
    assert (live.status, live.error, finals.status) == (0, "", 0)
    assert live.out == again.out
    for channel in FINALS:
        told = of(live.lines, channel)
        assert [data for data in told if data["final"]] == of(finals.lines, channel)
        assert of(finals.lines, channel)
        if not channel.startswith(("alerts", "screens")):
            check_live(told)
    for channel in ONLY_LIVE[:2]:
        events = [data["event"] for data in of(live.lines, channel)]
        assert events == sorted(set(events)), "each once, and never back in time"
        assert len(events) <= (events[-1] - events[0]) / PERIOD_US + 2
        assert len(events) > 100
    assert [data["state"] for data in of(live.lines, ONLY_LIVE[2])][:: len(of(live.lines, ONLY_LIVE[2])) - 1] == [
        "up",
        "closed",
    ]


def check_live(told: list[dict[str, Any]]) -> None:
    """Each live value is of the bar after the last final; what was told once is not told again."""
    forming = [data for data in told if not data["final"]]
    assert len(forming) > len(told) / 2
    assert len(forming) <= (told[-1]["event"] - told[0]["event"]) / PERIOD_US + 2
    last = None
    for data in told:
        if last is not None:
            assert data["t"] >= last["t"]
            assert data["t"] > last["t"] or not last["final"], "nothing of a bar comes behind its final"
            assert data != last
        last = data


@pytest.mark.parametrize("channel", ONLY_LIVE)
async def test_what_has_no_finals_is_refused_without_live_values(feed: str, channel: str) -> None:
    ended = await run_command("compute", channel, "--feed", feed)
    assert (ended.status, ended.out) == (2, "")
    assert "--live" in ended.error
    assert ended.error.count("\n") == 1


OPEN_MS = 1_381_325_400_000
"""9:30 in New York on the 9th of October 2013."""
HALF_HOUR_MS = 1_800_000
CLOSING_PRINT = 242_147


async def test_a_recorded_session_has_its_own_bars_and_the_closing_print_corrects_the_last(recordings: Path) -> None:
    names = ("bars:NYSE:AIG@1d", "bars:NYSE:AIG@30m")
    feed = f"replay:{recordings / 'lean-aig-20131009-trade.zip'},venue=NYSE"
    ended = await run_command("compute", *names, "--feed", feed)
    assert (ended.status, ended.error) == (0, "")
    days, halves = ([data for data in of(ended.lines, name) if "rev" not in data] for name in names)
    assert [data["t"] for data in halves] == [OPEN_MS + place * HALF_HOUR_MS for place in range(13)]
    (day,) = days
    assert day["t"] == OPEN_MS
    assert (day["o"], day["c"]) == (halves[0]["o"], halves[-1]["c"]) == (47.68, 47.73)
    assert (day["h"], day["l"]) == (max(data["h"] for data in halves), min(data["l"] for data in halves))
    assert day["n"] == sum(data["n"] for data in halves)
    assert day["v"] == sum(data["v"] for data in halves) == 9_995_056.0
    corrected = [(line["channel"], line["data"]) for line in ended.lines if "rev" in line["data"]]
    assert [(channel, data["t"], data["rev"]) for channel, data in corrected] == [
        (names[1], halves[-1]["t"], 1),
        (names[0], OPEN_MS, 1),
    ]
    for (_, data), before in zip(corrected, (halves[-1], day), strict=True):
        assert (data["v"], data["n"]) == (before["v"] + CLOSING_PRINT, before["n"] + 1)
        assert data["c"] == 47.73
