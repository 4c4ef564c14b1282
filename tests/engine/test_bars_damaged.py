"""Real recordings that were delayed, torn and doubled, and a day of a share with its auctions."""

import importlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.bars import VenueBars
from engine.feeds.feed import FeedState
from engine.feeds.replay import Replay
from engine.sessions import grace_ns_of
from engine.ticks import TickBatch, TickFlag
from tests.engine.feeds import damaged
from tests.engine.test_bars import M1, S1, S5, S, columns_of
from tests.engine.test_bars_recording import MS, plain_bars, trades_of
from wire.market import Timeframe

NAME = "binance-spot-ethusdt-20240808.gz"
FRAMES = (S1, S5, M1)
NEW_YORK = ZoneInfo("America/New_York")


def everything(feed: Replay) -> TickBatch:
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    return TickBatch.join(batches)


def bars_of(ticks: TickBatch) -> VenueBars:
    bars = VenueBars(1, grace_ns=250 * MS, timeframes=FRAMES)
    bars.fold(ticks)
    bars.finish()
    return bars


def corrected(bars: VenueBars, timeframe: Timeframe) -> dict[int, tuple[float, ...]]:
    """Each closed bar's newest form by its open time in ms; flat bars are left out."""
    rows: dict[int, tuple[float, ...]] = {}
    for bar in bars.history(timeframe):
        each = bars.corrected(timeframe, bar.open_ns, 0)
        if each is not None:
            row: tuple[float, ...] = (each.open, each.high, each.low, each.close, each.volume, each.count)
        else:
            row = (bar.open[0], bar.high[0], bar.low[0], bar.close[0], bar.volume[0], bar.count[0])
        if row[5]:
            rows[bar.open_ns // MS] = row
    return rows


def agrees(bars: VenueBars, path: Path) -> None:
    """Every bar is that of the raw frames by their event times; of equal ones the order of arrival counts."""
    trades = trades_of(path)
    for timeframe in FRAMES:
        found = corrected(bars, timeframe)
        wanted = {at: row for at, row in plain_bars(trades, timeframe.ns // MS).items() if row[5]}
        assert found.keys() == wanted.keys()
        for open_ms, row in wanted.items():
            assert (*found[open_ms][:4], found[open_ms][5]) == (*row[:4], row[5]), (timeframe, open_ms)
            assert found[open_ms][4] == pytest.approx(row[4], rel=1e-12)


@pytest.mark.parametrize("by_s", [2, 20])
def test_bars_whose_trades_came_late_are_corrected_to_those_of_the_recording(
    recordings: Path, tmp_path: Path, by_s: int
) -> None:
    path = damaged.delayed(recordings / NAME, tmp_path, 0.03, by_s * S)
    bars = bars_of(everything(Replay([path])))
    assert bars.late > 100
    assert bars.too_late == 0
    agrees(bars, Path(path))


def test_trades_a_little_out_of_order_need_no_correction(recordings: Path, tmp_path: Path) -> None:
    bars = bars_of(everything(Replay([damaged.shuffled(recordings / NAME, tmp_path, S // 10)])))
    assert bars.late == 0
    assert all(each.gap for each in bars.take_revisions()), "ids out of order look like holes, until they are filled"


def test_trades_that_come_twice_change_no_bit(recordings: Path, tmp_path: Path) -> None:
    whole = bars_of(everything(Replay([str(recordings / NAME)])))
    twice = bars_of(everything(Replay([damaged.repeated(recordings / NAME, tmp_path, 0.1)])))
    for timeframe in FRAMES:
        assert [columns_of(bar) for bar in twice.history(timeframe)] == [
            columns_of(bar) for bar in whole.history(timeframe)
        ]


def test_a_piece_that_was_torn_out_leaves_gaps_and_can_be_put_back(recordings: Path, tmp_path: Path) -> None:
    whole = everything(Replay([str(recordings / NAME)]))
    torn = everything(Replay([damaged.cut(recordings / NAME, tmp_path, 100, 110)]))
    (behind,) = np.flatnonzero(torn.flags & TickFlag.AFTER_GAP).tolist()
    bars = bars_of_open(torn)
    first, last = (int(torn.event_ns[index]) for index in (behind - 1, behind))
    marked = [bar.open_ns // S for bar in bars.history(S1) if bar.gap is not None]
    revised = [each.open_ns // S for each in bars.take_revisions() if each.timeframe is S1 and each.gap]
    assert sorted(marked + revised) == list(range(first // S, last // S + 1))
    assert whole.trade_id is not None
    assert torn.trade_id is not None
    found = whole.pick(~np.isin(whole.trade_id, torn.trade_id))
    assert len(found) > 50
    assert bars.backfill(found, first, last, np.array([0])) is not None
    bars.finish()
    agrees(bars, recordings / NAME)
    assert all(bar.gap is None for timeframe in FRAMES for bar in bars.history(timeframe))


def bars_of_open(ticks: TickBatch) -> VenueBars:
    """Bars that go on after these ticks."""
    bars = VenueBars(1, grace_ns=250 * MS, timeframes=FRAMES)
    bars.fold(ticks)
    return bars


def test_the_day_of_a_share_lies_between_its_auctions(recordings: Path) -> None:
    feed = Replay([str(recordings / "lean-aig-20131009-trade.zip")], venue="NYSE")
    ticks = everything(feed)
    sessions = importlib.import_module("engine.calendar_exchange").timetable("XNYS", "2013-10-01", "2013-10-31")
    hours = (S1, Timeframe.H1, Timeframe.D1)
    bars = VenueBars(1, grace_ns=grace_ns_of("NYSE"), sessions=sessions, timeframes=hours, history=1 << 20)
    bars.fold(ticks)
    bars.advance(int(ticks.received_ns[-1]) + 1800 * S)
    opened, closed = (
        int(datetime(2013, 10, 9, hour, minute, tzinfo=NEW_YORK).timestamp()) * S for hour, minute in ((9, 30), (16, 0))
    )
    inside = (ticks.event_ns >= opened) & (ticks.event_ns < closed)
    auctions = (
        ~inside
        & ((ticks.flags & TickFlag.CLOSING) > 0)
        & (ticks.event_ns >= closed)
        & (ticks.event_ns < closed + 900 * S)
    )
    assert (bars.ticks, bars.outside) == (len(ticks), len(ticks) - int(np.count_nonzero(inside | auctions)))
    (day,) = bars.history(Timeframe.D1)
    assert (day.open_ns, day.session_ns) == (opened, opened)
    assert len(bars.history(S1)) == 6.5 * 3600
    assert [(bar.open_ns - opened) // (3600 * S) for bar in bars.history(Timeframe.H1)] == list(range(7))
    in_range = ticks.price[inside & ((ticks.flags & TickFlag.SETS_RANGE) > 0)]
    assert (day.high[0], day.low[0]) == (in_range.max(), in_range.min())
    sized = (ticks.flags & TickFlag.SETS_VOLUME) > 0
    newest = bars.corrected(Timeframe.D1, opened, 0)
    volume = day.volume[0] if newest is None else newest.volume
    assert volume == pytest.approx(ticks.size[sized & (inside | auctions)].sum())
    assert np.count_nonzero(auctions) > 0
    assert newest is not None
    assert newest.close == ticks.price[auctions & ((ticks.flags & TickFlag.SETS_OPEN_CLOSE) > 0)][-1]
