"""An engine that is stopped keeps what it has computed, and the next one goes on from there."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from engine.app import EngineOptions
from engine.config import SnapshotsConfig
from engine.snapshot_directory import SnapshotDirectory
from engine.snapshots import Snapshots
from engine.venue_state import encode
from standins.clock import ManualClock
from tests.engine.hand_feed import START_NS
from tests.engine.loop_bench import Bench
from tests.engine.venue_world import World
from tests.waiting import until
from wire import channel as channels

BARS = "bars:DEMO:S01@1s"
EMA = "signals:DEMO:S01@1s:ema(close,9)"
WORLD_EMA = "signals:DEMO:S00@1s:ema(close,9)"


@pytest.fixture
def bench(clock: ManualClock, tmp_path: Path) -> Bench:
    made = Bench(clock, EngineOptions(snapshots=SnapshotsConfig(directory=str(tmp_path / "kept"))))
    made.feed.recorded = False
    return made


def restart(bench: Bench) -> None:
    bench.restart()
    bench.feed.recorded = False


def kept(path: Path) -> dict[str, bytes]:
    """The snapshots below a directory, by name."""
    return {each.name: each.read_bytes() for each in path.glob("**/*.snapshot")}


def written(logs: list[EventDict], times: int) -> bool:
    """Whether snapshots were written so often."""
    return [line["event"] for line in logs].count("snapshot.written") >= times


def snapshots(world: World, path: Path) -> Snapshots:
    return Snapshots([world.venue], SnapshotDirectory(path), period_s=0.001)


async def test_the_next_engine_goes_on_with_the_values_of_one_that_never_stopped(bench: Bench) -> None:
    prices = [10.0 + second % 7 for second in range(60)]
    steady = World(WORLD_EMA)
    steady.closes(prices)
    expected = {each["t"]: each for each in steady.said(WORLD_EMA)}
    with structlog.testing.capture_logs() as logs:
        async with bench.running():
            await bench.newest(EMA)
            for second in range(45):
                bench.feed.trade(second + 0.5, prices[second])
            await bench.until_heard(EMA, 43)
        restart(bench)
        async with bench.running():
            for second in range(45, 60):
                bench.feed.trade(second + 0.5, prices[second])
            await bench.until_heard(EMA, 58)
    events = [line["event"] for line in logs if line["event"].startswith("snapshot.")]
    assert events == ["snapshot.written", "snapshot.restored", "snapshot.written"]
    said = {(each["t"] - START_NS // 1_000_000) / 1000: each for each in map(json.loads, bench.heard_payloads)}
    assert list(said) == [float(second) for second in range(59)]
    for second, each in said.items():
        assert told(each) == told(expected[second])


def told(each: dict[str, Any]) -> tuple[Any, Any]:
    return each["v"], each.get("settled", True)


async def test_the_bars_in_which_nobody_looked_say_that_trades_are_missing(bench: Bench) -> None:
    async with bench.running():
        await bench.newest(BARS)
        for second in range(3):
            bench.feed.trade(second + 0.5, 10.0)
        await bench.until_heard(BARS, 1)
    restart(bench)
    async with bench.running():
        for second in range(5, 12):
            bench.feed.trade(second + 0.5, 10.0)
            await bench.until_heard(BARS, second - 1)
    start = START_NS // 1_000_000
    gaps = {(each["t"] - start) // 1000: each.get("gap", False) for each in map(json.loads, bench.heard_payloads)}
    assert list(gaps) == list(range(11))
    assert [second for second, gap in gaps.items() if gap][:4] == [2, 3, 4, 5]
    assert not any(gaps[second] for second in (0, 1, 8, 9, 10))


async def test_a_recording_begins_anew_and_is_not_kept(bench: Bench, tmp_path: Path) -> None:
    bench.feed.recorded = True
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        await bench.cycles(2)
    assert kept(tmp_path) == {}


async def test_an_engine_that_never_came_to_work_leaves_what_is_kept_as_it_is(bench: Bench, tmp_path: Path) -> None:
    async with bench.running():
        bench.feed.trade(0.5, 10.0)
        await bench.cycles(2)
    before = kept(tmp_path)
    assert len(before) == 1
    restart(bench)
    bench.bus.barred = {0}
    async with bench.engine(stop_s=0.01):
        await bench.bus.until_asked("acquire", 2)
    assert kept(tmp_path) == before


async def test_without_a_directory_nothing_is_kept(clock: ManualClock) -> None:
    bench = Bench(clock)
    bench.feed.recorded = False
    with structlog.testing.capture_logs() as logs:
        async with bench.running():
            bench.feed.trade(0.5, 10.0)
            await bench.cycles(2)
    assert not [line for line in logs if line["event"].startswith("snapshot.")]


async def test_snapshots_that_cannot_be_written_do_not_stop_computing(clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the directory should be")
    config = SnapshotsConfig(directory=str(tmp_path / "kept"), period_s=0.001)
    bench = Bench(clock, EngineOptions(snapshots=config))
    bench.feed.recorded = False
    with structlog.testing.capture_logs() as logs:
        async with bench.running():
            await bench.newest(BARS)
            bench.feed.trade(0.5, 10.0)
            await bench.cycles(3)
            bench.feed.trade(1.5, 10.0)
            await bench.until_heard(BARS, 0)
    assert {line["event"] for line in logs if line["event"].startswith("snapshot.")} == {"snapshot.unwritten"}


async def test_it_is_written_again_and_again_while_bars_go_on(clock: ManualClock, tmp_path: Path) -> None:
    config = SnapshotsConfig(directory=str(tmp_path), period_s=0.001)
    bench = Bench(clock, EngineOptions(snapshots=config))
    bench.feed.recorded = False
    with structlog.testing.capture_logs() as logs:
        async with bench.running():
            await bench.newest(BARS)
            for second in range(5):
                bench.feed.trade(second + 0.5, 10.0)
                await until(partial(written, logs, second + 1))
            await bench.until_heard(BARS, 3)
    assert len(kept(tmp_path)) == 2


async def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    world = World(WORLD_EMA)
    world.closes([10.0, 11.0])
    keeping = snapshots(world, tmp_path)
    await keeping.restore()
    await keeping.save()
    older = encode(world.venue.state())
    world.closes([12.0], first_s=2)
    await keeping.save()
    newest = tmp_path / max(kept(tmp_path))
    newest.write_bytes(newest.read_bytes()[:-1])
    after = World()
    with structlog.testing.capture_logs() as logs:
        await snapshots(after, tmp_path).restore()
    assert [line["event"] for line in logs] == ["snapshot.refused", "snapshot.restored"]
    assert newest.name in logs[0]["error"]
    restored = World(WORLD_EMA)
    restored.closes([10.0, 11.0])
    assert encode(restored.venue.state()) == older
    after.venue.watch(channels.parse(WORLD_EMA))
    assert after.venue.warm(lambda: False) == [WORLD_EMA]
    assert [each["t"] for each in after.chart(WORLD_EMA)] == [0.0, 1.0]


async def test_the_snapshot_of_other_instruments_is_refused_and_the_venue_begins_anew(tmp_path: Path) -> None:
    world = World()
    world.closes([10.0, 11.0])
    keeping = snapshots(world, tmp_path)
    await keeping.restore()
    await keeping.save()
    other = World(symbols=["S00", "S09"])
    with structlog.testing.capture_logs() as logs:
        await snapshots(other, tmp_path).restore()
    assert [line["event"] for line in logs] == ["snapshot.refused"]
    assert other.chart("bars:DEMO:S00@1s") == []
