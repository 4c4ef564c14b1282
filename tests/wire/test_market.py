"""The market's own words."""

import msgspec
import pytest

from wire.market import NS_PER_S, Instrument, Timeframe


def test_an_instrument_is_written_as_venue_and_symbol() -> None:
    assert str(Instrument("BINANCE", "BTCUSDT")) == "BINANCE:BTCUSDT"


def test_instruments_sort_by_venue_then_symbol() -> None:
    instruments = [Instrument("NYSE", "AIG"), Instrument("BINANCE", "ETHUSDT"), Instrument("BINANCE", "BTCUSDT")]
    assert [str(each) for each in sorted(instruments)] == ["BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "NYSE:AIG"]


def test_an_instrument_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Instrument("BINANCE", "BTCUSDT").symbol = "ETHUSDT"  # type: ignore[misc]


def test_the_timeframes_are_those_of_channels_shortest_first() -> None:
    assert " ".join(each.value for each in Timeframe) == "1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 1d"
    lengths = [each.ns for each in Timeframe]
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize(("name", "seconds"), [("1s", 1), ("15s", 15), ("3m", 180), ("4h", 14_400), ("1d", 86_400)])
def test_a_timeframe_has_the_length_that_its_name_says(name: str, seconds: int) -> None:
    assert Timeframe(name).seconds == seconds
    assert Timeframe(name).ns == seconds * NS_PER_S


def test_every_timeframe_divides_a_day() -> None:
    assert all(Timeframe.D1.ns % each.ns == 0 for each in Timeframe)


def test_values_go_over_the_wire_and_back() -> None:
    instrument = Instrument("BINANCE", "BTCUSDT")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(instrument), type=Instrument) == instrument
