"""TickBatch: columns of ticks."""

import numpy as np
import pytest

from engine.ticks import TickBatch, TickFlag
from wire.market import Instrument, Side, Tick


def tick(symbol: str, price: float, side: Side = Side.UNKNOWN) -> Tick:
    return Tick(Instrument("BINANCE", symbol), price, 2.0, event_ns=int(price), received_ns=int(price) + 5, side=side)


TICKS = [tick("BTCUSDT", 10.0, Side.BUY), tick("ETHUSDT", 11.0, Side.SELL), tick("BTCUSDT", 12.0)]
SLOTS = {"BTCUSDT": 0, "ETHUSDT": 1}


def test_a_batch_holds_ticks_as_columns_in_their_order() -> None:
    batch = TickBatch.of(TICKS, SLOTS)
    assert len(batch) == 3
    assert batch.instrument.tolist() == [0, 1, 0]
    assert batch.price.tolist() == [10.0, 11.0, 12.0]
    assert batch.size.tolist() == [2.0, 2.0, 2.0]
    assert batch.event_ns.tolist() == [10, 11, 12]
    assert batch.received_ns.tolist() == [15, 16, 17]


def test_a_tick_is_ordinary_and_its_side_a_flag() -> None:
    flags = TickBatch.of(TICKS, SLOTS).flags.tolist()
    assert flags == [TickFlag.ORDINARY | TickFlag.BUY, TickFlag.ORDINARY | TickFlag.SELL, TickFlag.ORDINARY]


def test_a_symbol_without_a_slot_is_an_error() -> None:
    with pytest.raises(KeyError, match="DOGE"):
        TickBatch.of([tick("DOGE", 1.0)], SLOTS)


def test_columns_have_their_types_even_when_empty() -> None:
    for batch in (TickBatch.empty(), TickBatch.of(TICKS, SLOTS)):
        columns = (batch.instrument, batch.price, batch.size, batch.event_ns, batch.received_ns, batch.flags)
        assert [str(each.dtype) for each in columns] == ["int32", "float64", "float64", "int64", "int64", "uint8"]


def test_a_slice_is_a_batch_of_those_ticks() -> None:
    part = TickBatch.of(TICKS, SLOTS)[1:]
    assert (part.price.tolist(), part.instrument.tolist(), len(part.flags)) == ([11.0, 12.0], [1, 0], 2)


def test_ticks_are_picked_by_mask_or_index() -> None:
    batch = TickBatch.of(TICKS, SLOTS)
    assert batch.pick(np.array([True, False, True])).price.tolist() == [10.0, 12.0]
    assert batch.pick(np.array([2, 0])).event_ns.tolist() == [12, 10]


def test_batches_join_in_order() -> None:
    batch = TickBatch.of(TICKS, SLOTS)
    assert TickBatch.join([batch[:1], TickBatch.empty(), batch[1:]]).price.tolist() == [10.0, 11.0, 12.0]
    assert len(TickBatch.join([])) == 0
    assert TickBatch.join([batch]) is batch
