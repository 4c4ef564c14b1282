"""The newest trade and quote of an instrument, told when they have changed."""

import json
from typing import Any

import numpy as np

from engine.tape import Tape
from engine.ticks import QuoteBatch, TickBatch
from wire import channel as channels
from wire.market import NS_PER_S, Instrument, Side, Tick

START_NS = 1_704_067_200 * NS_PER_S
START_US = START_NS // 1000
TRADES, QUOTES = channels.parse("trades:DEMO:S01"), channels.parse("quotes:DEMO:S01")


def tape() -> Tape:
    made = Tape(2)
    made.watch(TRADES, 1)
    made.watch(QUOTES, 1)
    return made


def trades(*rows: tuple[float, float, Side], symbol: str = "S01") -> TickBatch:
    """At so many seconds after the start, with a price and a side; ids count from 7."""
    ticks = [
        Tick(Instrument("DEMO", symbol), price, 2.0, START_NS + round(at * NS_PER_S), START_NS, side, 7 + place)
        for place, (at, price, side) in enumerate(rows)
    ]
    return TickBatch.of(ticks, {"S00": 0, "S01": 1})


def quotes(*rows: tuple[float, float]) -> QuoteBatch:
    """At so many seconds after the start, with a bid; the ask is one above."""
    at = np.array([START_NS + round(row[0] * NS_PER_S) for row in rows])
    bid = np.array([row[1] for row in rows])
    size = np.full(len(rows), 3.0)
    return QuoteBatch(np.ones(len(rows), np.int32), bid, bid + 1, size, size * 2, at, at)


def told(made: Tape, *repeated: str, sent_us: int | None = None, everything: bool = True) -> list[dict[str, Any]]:
    publications = made.live(repeated, sent_us=sent_us, everything=everything)
    return [{"channel": p.channel, **json.loads(p.payload)} for p in publications]


def test_a_trade_is_told_with_all_its_fields() -> None:
    made = tape()
    made.trade(trades((0.5, 10.0, Side.BUY), (1.25, 11.0, Side.SELL)))
    assert told(made, sent_us=77) == [
        {
            "channel": "trades:DEMO:S01",
            "t": START_US // 1000 + 1250,
            "p": 11.0,
            "q": 2.0,
            "side": "sell",
            "id": 8,
            "event": START_US + 1_250_000,
            "sent": 77,
        }
    ]


def test_what_a_venue_does_not_say_of_a_trade_is_left_out() -> None:
    made = tape()
    batch = trades((0.5, 10.0, Side.UNKNOWN))
    made.trade(TickBatch(batch.instrument, batch.price, batch.size, batch.event_ns, batch.received_ns, batch.flags))
    assert [set(each) & {"side", "id"} for each in told(made)] == [set()]


def test_a_quote_is_told_with_all_its_fields() -> None:
    made = tape()
    made.quote(quotes((0.5, 10.0)))
    event = START_US + 500_000
    quote = {"t": event // 1000, "bid": 10.0, "ask": 11.0, "bid_q": 3.0, "ask_q": 6.0, "event": event, "sent": event}
    assert told(made) == [{"channel": "quotes:DEMO:S01", **quote}]


def test_only_news_is_told_unless_it_is_asked_for() -> None:
    made = tape()
    made.trade(trades((0.5, 10.0, Side.BUY)))
    first = told(made)
    assert told(made) == []
    assert told(made, TRADES.name, everything=False) == first
    made.trade(trades((0.75, 9.0, Side.BUY), symbol="S00"))
    assert told(made) == []


def test_before_the_first_there_is_nothing_to_tell() -> None:
    assert told(tape(), TRADES.name, QUOTES.name) == []


def test_what_comes_out_of_order_never_goes_back_in_time() -> None:
    made = tape()
    made.trade(trades((2.0, 12.0, Side.BUY), (1.0, 11.0, Side.BUY)))
    assert [each["p"] for each in told(made)] == [12.0]
    made.trade(trades((1.5, 9.0, Side.BUY)))
    assert [each["p"] for each in told(made, TRADES.name)] == [12.0]
    made.trade(trades((2.0, 13.0, Side.BUY)))
    assert [each["p"] for each in told(made)] == [13.0], "of one instant the last to arrive"


def test_watching_twice_is_watching_once_and_unwatched_is_silent() -> None:
    made = tape()
    assert not made.watch(TRADES, 1)
    made.unwatch(TRADES)
    made.trade(trades((0.5, 10.0, Side.BUY)))
    assert told(made, TRADES.name) == []
