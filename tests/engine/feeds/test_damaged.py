"""Recordings that are late, torn and doubled, as feeds."""

from pathlib import Path

import numpy as np
import pytest

from engine.feeds.feed import FeedState
from engine.feeds.replay import Replay
from engine.ticks import TickBatch, TickFlag
from tests.engine.feeds import damaged
from tests.engine.feeds.frames import S

NAME = "binance-spot-ethusdt-20240808.gz"
TRADES = 6_106


def everything(feed: Replay) -> TickBatch:
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    return TickBatch.join(batches)


@pytest.fixture
def path(recordings: Path) -> Path:
    return recordings / NAME


def test_trades_that_come_late_fill_the_holes_that_they_left(path: Path, tmp_path: Path) -> None:
    feed = Replay([damaged.delayed(path, tmp_path, 0.01, 20 * S)])
    batch = everything(feed)
    status = feed.status()
    assert (len(batch), status.duplicates) == (TRADES, 0)
    assert 20 < status.gaps < 100
    assert np.count_nonzero(batch.flags & TickFlag.AFTER_GAP) == status.gaps
    assert batch.trade_id is not None
    assert len(np.unique(batch.trade_id)) == TRADES


def test_trades_out_of_order_are_all_there(path: Path, tmp_path: Path) -> None:
    batch = everything(Replay([damaged.shuffled(path, tmp_path, S // 100)]))
    assert batch.trade_id is not None
    assert (np.diff(batch.trade_id) < 0).any()
    assert (np.diff(batch.received_ns) >= 0).all()
    assert len(np.unique(batch.trade_id)) > TRADES * 0.9


def test_a_piece_that_is_cut_out_is_one_hole(path: Path, tmp_path: Path) -> None:
    feed = Replay([damaged.cut(path, tmp_path, 100, 110)])
    batch = everything(feed)
    assert (feed.status().gaps, feed.status().duplicates) == (1, 0)
    (behind,) = np.flatnonzero(batch.flags & TickFlag.AFTER_GAP)
    assert batch.trade_id is not None
    assert np.diff(batch.trade_id)[behind - 1] == TRADES - len(batch) + 1
    assert np.diff(batch.received_ns)[behind - 1] >= 9 * S


def test_many_small_holes_are_each_told(path: Path, tmp_path: Path) -> None:
    feed = Replay([damaged.thinned(path, tmp_path, 0.05)])
    batch = everything(feed)
    assert batch.trade_id is not None
    behind = np.flatnonzero(np.diff(batch.trade_id) > 1) + 1
    assert np.flatnonzero(batch.flags & TickFlag.AFTER_GAP).tolist() == behind.tolist()
    assert feed.status().gaps == len(behind) > 100


def test_every_second_trade_alone_is_a_hole_before_each(path: Path, tmp_path: Path) -> None:
    feed = Replay([damaged.kept(path, tmp_path, lambda place: place % 2 == 0)])
    assert len(everything(feed)) == TRADES // 2
    assert feed.status().gaps == TRADES // 2 - 1


def test_trades_that_come_twice_count_once(path: Path, tmp_path: Path) -> None:
    feed = Replay([damaged.repeated(path, tmp_path, 0.1)])
    batch = everything(feed)
    status = feed.status()
    assert (len(batch), status.gaps) == (TRADES, 0)
    assert 500 < status.duplicates < 700
    whole = everything(Replay([str(path)]))
    assert batch.price.tobytes() == whole.price.tobytes()
    assert batch.trade_id is not None
    assert whole.trade_id is not None
    assert batch.trade_id.tobytes() == whole.trade_id.tobytes()
