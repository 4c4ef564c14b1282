"""`signal-service compute` on a real recording, against plain Python and TA-Lib."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from tests.system.commands import Ended, run_command

RECORDING = "binance-usdm-btcusdt-20240808.gz"
TRADES = 21_313
BTC = "BINANCE:BTCUSDT"
SIGNALS = ("sma(20)", "ema(20)", "rma(14)", "rsi(14)", "macd", "bbands(20,2)", "atr(14)", "tr", "close - open")

Column = NDArray[np.float64]


def trades(path: Path) -> list[tuple[int, float, float]]:
    """(time in ms, price, size) of every trade frame, in order."""
    found = []
    with gzip.open(path) as lines:
        for line in lines:
            frame = json.loads(line.split(b" ", 1)[1])
            data = frame.get("data", {})
            if data.get("e") == "trade":
                found.append((data["T"], float(data["p"]), float(data["q"])))
    return found


def plain_bars(path: Path, length_ms: int) -> list[dict[str, Any]]:
    """Bars by the definition: every trade counts, an interval without one repeats the close before it."""
    bars: dict[int, dict[str, Any]] = {}
    for time_ms, price, size in trades(path):
        start = time_ms // length_ms * length_ms
        bar = bars.setdefault(start, {"t": start, "o": price, "h": price, "l": price, "c": price, "v": 0.0, "n": 0})
        bar["h"] = max(bar["h"], price)
        bar["l"] = min(bar["l"], price)
        bar["c"] = price
        bar["v"] += size
        bar["n"] += 1
    filled: list[dict[str, Any]] = []
    for start in range(min(bars), max(bars) + 1, length_ms):
        before = filled[-1]["c"] if filled else math.nan
        flat = {"t": start, "o": before, "h": before, "l": before, "c": before, "v": 0.0, "n": 0}
        filled.append(bars.get(start, flat))
    return filled


@pytest.fixture(scope="module")
def recording(recordings: Path) -> Path:
    return recordings / RECORDING


@pytest.fixture(scope="module")
def channels() -> list[str]:
    bars = [f"bars:{BTC}@{timeframe}" for timeframe in ("1s", "5s", "1m")]
    return bars + [f"signals:{BTC}@1s:{expression}" for expression in SIGNALS]


async def computed(recording: Path, channels: list[str]) -> Ended:
    return await run_command("compute", *channels, "--feed", f"replay:{recording}")


async def test_every_bar_is_what_plain_python_makes_of_the_raw_frames(recording: Path, channels: list[str]) -> None:
    ended = await computed(recording, channels[:3])
    assert (ended.status, ended.error) == (0, "")
    counted = {}
    for timeframe, length_ms in (("1s", 1_000), ("5s", 5_000), ("1m", 60_000)):
        bars = [line["data"] for line in ended.lines if line["channel"] == f"bars:{BTC}@{timeframe}"]
        plain = plain_bars(recording, length_ms)
        assert [bar["t"] for bar in bars] == [bar["t"] for bar in plain]
        for field in ("o", "h", "l", "c", "n"):
            assert [bar[field] for bar in bars] == [bar[field] for bar in plain]
        assert [bar["v"] for bar in bars] == pytest.approx([bar["v"] for bar in plain], rel=1e-12)
        assert [bar.get("synthetic", False) for bar in bars] == [bar["n"] == 0 for bar in plain]
        assert all(bar["final"] for bar in bars)
        counted[timeframe] = sum(bar["n"] for bar in bars)
    assert counted == {"1s": TRADES, "5s": TRADES, "1m": TRADES}


async def test_the_same_recording_gives_the_same_bytes(recording: Path, channels: list[str]) -> None:
    first, second = await computed(recording, channels), await computed(recording, channels)
    assert first.out == second.out
    assert len(first.out) > 500_000


ORACLES: dict[str, Callable[[Column, Column, Column], Any]] = {
    "sma(20)": lambda high, low, c: talib.SMA(c, 20),
    "ema(20)": lambda high, low, c: talib.EMA(c, 20),
    "rsi(14)": lambda high, low, c: talib.RSI(c, 14),
    "atr(14)": lambda high, low, c: talib.ATR(high, low, c, 14),
    "tr": talib.TRANGE,
    "bbands(20,2)": lambda high, low, c: dict(
        zip(("upper", "middle", "lower"), talib.BBANDS(c, 20, 2, 2), strict=True)
    ),
    "macd": lambda high, low, c: dict(zip(("macd", "signal", "hist"), talib.MACD(c, 12, 26, 9), strict=True)),
}
MACD_SEEDS_FORGOTTEN = 200
"""The bars after which TA-Lib's other seeds of macd no longer show at 1e-9."""


async def test_the_indicators_are_talibs_past_their_seeds(recording: Path, channels: list[str]) -> None:
    ended = await computed(recording, channels)
    plain = plain_bars(recording, 1_000)
    high, low, close = (np.array([bar[field] for bar in plain]) for field in "hlc")
    for expression, oracle in ORACLES.items():
        name = f"signals:{BTC}@1s:{expression}"
        values = [line["data"]["v"] for line in ended.lines if line["channel"] == name]
        wanted = oracle(high, low, close)
        if not isinstance(wanted, dict):
            _compare(expression, values, wanted, 0)
            continue
        for output, column in wanted.items():
            seeds = MACD_SEEDS_FORGOTTEN if expression == "macd" else 0
            ours = [None if value is None else value[output] for value in values]
            _compare(f"{expression}.{output}", ours, column, seeds)


def _compare(what: str, values: list[float | None], wanted: Column, after: int) -> None:
    """Within 1e-9 of the larger of value and range; missing where TA-Lib has none, unless its seeds differ."""
    assert len(values) == len(wanted)
    extent = float(np.nanmax(wanted) - np.nanmin(wanted))
    compared = 0
    for place, (value, expected) in enumerate(zip(values, wanted.tolist(), strict=True)):
        if place < after:
            continue
        if math.isnan(expected):
            assert value is None, (what, place)
            continue
        assert value is not None, (what, place)
        assert abs(value - expected) <= 1e-9 * max(abs(expected), extent), (what, place, value, expected)
        compared += 1
    assert compared > 100, what


async def test_lines_come_by_boundary_timeframe_and_the_order_of_the_command_line(
    recording: Path, recordings: Path
) -> None:
    eth = "SPOT:ETHUSDT"
    lengths_ms = {
        f"bars:{BTC}@5s": 5_000,
        f"signals:{eth}@1s:close": 1_000,
        f"bars:{BTC}@1s": 1_000,
        f"bars:{eth}@5s": 5_000,
        f"signals:{eth}@1s: close": 1_000,
    }
    feeds = [f"replay:{recording}", f"replay:{recordings / 'binance-spot-ethusdt-20240808.gz'},venue=SPOT"]
    ended = await run_command("compute", *lengths_ms, "--feed", feeds[0], "--feed", feeds[1])
    assert (ended.status, ended.error) == (0, "")
    names = list(lengths_ms)
    instants = [(line["data"]["t"] + lengths_ms[line["channel"]], lengths_ms[line["channel"]]) for line in ended.lines]
    assert instants == sorted(instants)
    of_venue = {eth: names[1::3], BTC: [names[2]]}
    for venue, wanted in of_venue.items():
        last = [line["channel"] for line in ended.lines if venue in line["channel"] and "@1s" in line["channel"]]
        assert last[: len(wanted)] == wanted
    assert {line["channel"] for line in ended.lines} == set(names)


async def test_a_synthetic_market_repeats_its_bytes_and_needs_an_end() -> None:
    command = ("compute", "bars:DEMO:S01@1m", "signals:DEMO:S02@1m:rsi(3)", "--feed")
    first = await run_command(*command, "synthetic:instruments=3,rate=50,seed=7,duration=10m")
    again = await run_command(*command, "synthetic:instruments=3,rate=50,seed=7,duration=10m")
    other = await run_command(*command, "synthetic:instruments=3,rate=50,seed=8,duration=10m")
    assert first.status == 0
    assert first.out == again.out != other.out
    assert next(line["data"]["t"] for line in first.lines) == 1_704_067_200_000
    endless = await run_command(*command, "synthetic")
    assert endless.status == 2
    assert "duration" in endless.error
    assert endless.error.count("\n") == 1
