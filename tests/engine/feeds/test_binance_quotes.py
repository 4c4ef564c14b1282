"""Best bids and asks from Binance's frames."""

import json

import pytest

from engine.feeds.binance import BinanceParser
from engine.ticks import QuoteBatch
from tests.engine.feeds.frames import MS, T0, S, combined, raw, trade

SPOT = b'{"u":400900217,"s":"BTCUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}'
USDM = (
    b'{"stream":"ethusdt@bookTicker","data":{"e":"bookTicker","u":1,"s":"ETHUSDT","b":"1.5","B":"2","a":"2.5","A":"4",'
    b'"T":1723161256322,"E":1723161256323}}'
)


def quote(bid: object, **fields: object) -> dict[str, object]:
    return {"e": "bookTicker", "s": "BTCUSDT", "b": bid, "B": "1", "a": "900", "A": "1", "T": T0 // MS, **fields}


def take(frames: BinanceParser, until_ns: int, *messages: tuple[int, bytes]) -> QuoteBatch | None:
    for received_ns, message in messages:
        frames.read(message, received_ns)
    frames.take()
    return frames.take_quotes(until_ns)


@pytest.fixture
def parser() -> BinanceParser:
    return BinanceParser({"BTCUSDT": 0, "ETHUSDT": 1})


def test_a_quote_of_spot_happened_when_it_was_received(parser: BinanceParser) -> None:
    quotes = take(parser, T0, (T0, SPOT))
    assert quotes is not None
    found = [
        column.tolist() for column in (quotes.instrument, quotes.bid, quotes.ask, quotes.bid_size, quotes.ask_size)
    ]
    assert found == [[0], [25.3519], [25.3652], [31.21], [40.66]]
    assert (quotes.event_ns.tolist(), quotes.received_ns.tolist()) == ([T0], [T0])


def test_a_quote_of_usdm_has_its_own_time(parser: BinanceParser) -> None:
    quotes = take(parser, T0, (T0, USDM))
    assert quotes is not None
    assert (quotes.instrument.tolist(), quotes.bid.tolist(), quotes.ask.tolist()) == ([1], [1.5], [2.5])
    assert (quotes.event_ns.tolist(), quotes.received_ns.tolist()) == ([1_723_161_256_322_000_000], [T0])


def test_only_the_newest_of_each_symbol_is_given_and_once(parser: BinanceParser) -> None:
    frames = [(T0 + 1, raw(quote("1"))), (T0 + 2, USDM), (T0 + 3, combined(quote("3"), "btcusdt@bookTicker"))]
    quotes = take(parser, T0 + 9, *frames)
    assert quotes is not None
    assert (quotes.bid.tolist(), quotes.received_ns.tolist()) == ([1.5, 3.0], [T0 + 2, T0 + 3])
    assert parser.take_quotes(T0 + 9) is None


def test_a_quote_waits_until_its_time(parser: BinanceParser) -> None:
    frames = [(T0 + at, raw(quote(f"{at + 1}"))) for at in range(10)]
    first = take(parser, T0 + 4, *frames)
    assert first is not None
    assert first.bid.tolist() == [5.0]
    parser.settle_quotes(T0 + 7)
    later = parser.take_quotes(T0 + 7)
    assert later is not None
    assert later.bid.tolist() == [8.0]


def test_quotes_and_trades_do_not_disturb_each_other(parser: BinanceParser) -> None:
    for number in range(5):
        parser.read(raw(trade(number, at_ms=number)), T0 + number * MS)
        parser.read(raw(quote(f"{number + 1}")), T0 + number * MS)
    batch = parser.take()
    assert (batch.received_ns - T0).tolist() == [number * MS for number in range(5)]
    quotes = parser.take_quotes(T0 + S)
    assert quotes is not None
    assert quotes.bid.tolist() == [5.0]
    assert (parser.unknown, parser.refused) == (0, 0)


@pytest.mark.parametrize(
    "fields",
    [{"b": "0"}, {"b": "-1"}, {"a": "nan"}, {"a": "inf"}, {"B": "-1"}, {"A": "x"}, {"T": -5}, {"b": None}, {"A": [1]}],
)
def test_a_quote_that_makes_no_sense_is_left_out(parser: BinanceParser, fields: dict[str, object]) -> None:
    quotes = take(parser, T0 + 9, (T0, USDM), (T0 + 1, raw(quote("1", **fields))))
    assert quotes is not None
    assert quotes.instrument.tolist() == [1]
    assert (parser.unknown, parser.refused) == (0, 0)


@pytest.mark.parametrize("name", ["b", "B", "a", "A", "s"])
def test_a_quote_that_lacks_something_is_left_out(parser: BinanceParser, name: str) -> None:
    message = json.loads(SPOT)
    del message[name]
    assert take(parser, T0, (T0, raw({"e": "bookTicker", **message}))) is None


def test_a_quote_of_a_symbol_without_a_slot_is_left_out(parser: BinanceParser) -> None:
    assert take(parser, T0, (T0, raw(quote("1", s="DOGEUSDT")))) is None


def test_of_very_many_that_wait_the_older_ones_are_given_before_their_time(parser: BinanceParser) -> None:
    frames = [(T0 + number, raw(quote(f"{number + 1}"))) for number in range(70_000)]
    quotes = take(parser, T0 - 1, *frames)
    assert quotes is not None
    assert len(quotes) == 1
    last = parser.take_quotes(T0 + 70_000)
    assert last is not None
    assert last.bid.tolist() == [70_000.0]
