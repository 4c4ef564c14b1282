"""Binance's frames into columns of ticks."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.feeds.binance import BinanceParser
from engine.feeds.binance_kinds import symbol_of
from engine.ticks import TickBatch, TickFlag
from tests.engine.feeds.frames import MS, T0, S, combined, raw, trade

SPOT = (
    b'{"e":"trade","E":1723161255612,"s":"ETHUSDT","t":1520538925,"p":"2683.80000000","q":"0.03450000",'
    b'"T":1723161255611,"m":true,"M":true}'
)
USDM = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256323,"T":1723161256322,"s":"BTCUSDT","t":5266583935,'
    b'"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)


def parser() -> BinanceParser:
    return BinanceParser({"BTCUSDT": 0, "ETHUSDT": 1})


def read(frames: BinanceParser, *messages: bytes) -> TickBatch:
    for message in messages:
        frames.read(message, T0 + 5 * MS)
    return frames.take()


def test_a_spot_trade_becomes_a_tick_at_its_trade_time() -> None:
    frames = parser()
    frames.read(SPOT, 1_723_161_254_340_863_867)
    batch = frames.take()
    assert batch.instrument.tolist() == [1]
    assert batch.price.tolist() == [2683.8]
    assert batch.size.tolist() == [0.0345]
    assert batch.event_ns.tolist() == [1_723_161_255_611_000_000]
    assert batch.received_ns.tolist() == [1_723_161_254_340_863_867]
    assert batch.flags.tolist() == [TickFlag.ORDINARY | TickFlag.SELL], "the buyer was the maker: a seller took it"


def test_a_combined_usdm_trade_becomes_a_tick() -> None:
    frames = parser()
    frames.read(USDM, 1_723_161_255_088_176_367)
    batch = frames.take()
    assert (batch.instrument.tolist(), batch.price.tolist(), batch.size.tolist()) == ([0], [61800.3], [0.006])
    assert batch.event_ns.tolist() == [1_723_161_256_322_000_000]
    assert batch.flags.tolist() == [TickFlag.ORDINARY | TickFlag.BUY]
    assert batch.trade_id is not None
    assert batch.trade_id.tolist() == [5266583935]


def test_raw_and_combined_frames_and_any_order_of_members_are_one() -> None:
    reverse = dict(reversed(trade(3).items()))
    batch = read(parser(), raw(trade(1)), combined(trade(2)), raw({"data": reverse, "stream": "btcusdt@trade"}))
    assert len(batch) == 3
    assert len(set(batch.event_ns.tolist())) == 1


def test_trade_times_in_microseconds_are_understood() -> None:
    batch = read(parser(), raw(trade(1, T=T0 // 1000 + 7)))
    assert batch.event_ns.tolist() == [T0 + 7000]


def test_ticks_are_given_once_in_order_of_receipt() -> None:
    frames = parser()
    batch = read(frames, raw(trade(1, p="1")), raw(trade(9, symbol="ETHUSDT", p="2")), raw(trade(2, p="3")))
    assert batch.price.tolist() == [1.0, 2.0, 3.0]
    assert batch.instrument.tolist() == [0, 1, 0]
    assert len(frames.take()) == 0


def test_a_duplicate_is_dropped_and_a_hole_counted() -> None:
    frames = parser()
    batch = read(frames, *(raw(trade(number)) for number in (1, 2, 2, 5, 1)))
    assert len(batch) == 3
    assert (frames.duplicates, frames.gaps, frames.refused) == (2, 1, 0)


def after_gap(batch: TickBatch) -> list[bool]:
    return [bool(flags & TickFlag.AFTER_GAP) for flags in batch.flags.tolist()]


def test_the_first_tick_behind_a_hole_says_so() -> None:
    frames = parser()
    numbers = (1, 2, 5, 6)
    batch = read(frames, *(raw(trade(number)) for number in numbers), raw(trade(7, symbol="ETHUSDT")), raw(trade(4)))
    assert after_gap(batch) == [False, False, True, False, False, False]
    assert after_gap(read(frames, raw(trade(7)), raw(trade(9)))) == [False, True]


def test_behind_a_hole_and_a_trade_that_makes_no_sense_the_next_of_the_instrument_says_so() -> None:
    frames = parser()
    batch = read(
        frames,
        *(raw(trade(1)), raw(trade(1, symbol="ETHUSDT")), raw(trade(5, q="0")), raw(trade(2, symbol="ETHUSDT"))),
        raw(trade(6)),
    )
    assert after_gap(batch) == [False, False, False, True]
    assert after_gap(read(frames, raw(trade(9, q="0")), raw(trade(3, symbol="ETHUSDT")))) == [False]
    assert after_gap(read(frames, raw(trade(4, symbol="ETHUSDT")), raw(trade(10)), raw(trade(11)))) == [
        False,
        True,
        False,
    ]


def test_ids_that_begin_anew_leave_no_hole_behind() -> None:
    frames = parser()
    read(frames, raw(trade(1)), raw(trade(5, q="0")))
    frames.forget_ids()
    assert after_gap(read(frames, raw(trade(900)), raw(trade(901)))) == [False, False]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["1", "0"])), max_size=40), st.integers(1, 40))
def test_where_frames_are_cut_does_not_matter(trades: list[tuple[int, str]], size: int) -> None:
    messages = [raw(trade(number, p=number + 1, q=q)) for number, q in trades]
    whole, cut = parser(), parser()
    once = read(whole, *messages)
    pieces = TickBatch.join([read(cut, *messages[start : start + size]) for start in range(0, len(messages), size)])
    assert pieces.price.tolist() == once.price.tolist()
    assert pieces.flags.tolist() == once.flags.tolist()
    assert (cut.duplicates, cut.gaps, cut.refused) == (whole.duplicates, whole.gaps, whole.refused)


def test_ids_may_begin_anew() -> None:
    frames = parser()
    read(frames, raw(trade(9)))
    frames.forget_ids()
    assert len(read(frames, raw(trade(1)))) == 1
    assert (frames.duplicates, frames.gaps) == (0, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"X": "NA", "p": "0", "q": "0"},
        {"X": "INSURANCE_FUND"},
        {"p": "0"},
        {"q": "0.000"},
        {"p": "-1"},
        {"p": "nan"},
        {"p": "inf"},
        {"q": "Infinity"},
        {"p": "1e999"},
        {"p": "abc"},
        {"p": None},
        {"t": -4},
        {"t": 1 << 70},
        {"T": 0},
        {"T": 1 << 60},
        {"T": -1},
        {"T": T0 // MS + 2 * 86_400_000},
        {"s": "DOGEUSDT"},
        {"s": 7},
    ],
)
def test_a_trade_that_makes_no_sense_is_refused_and_counted(fields: dict[str, object]) -> None:
    for form in (raw, combined):
        frames = parser()
        assert len(read(frames, form(trade() | fields))) == 0
        assert (frames.refused, frames.unknown, frames.duplicates) == (1, 0, 0)


@pytest.mark.parametrize("name", ["p", "q", "T", "t", "s"])
def test_a_trade_that_lacks_something_is_refused(name: str) -> None:
    frames = parser()
    message = trade()
    del message[name]
    assert len(read(frames, raw(message))) == 0
    assert frames.refused == 1


def test_a_refused_trade_at_no_price_still_has_its_id() -> None:
    frames = parser()
    batch = read(frames, raw(trade(1)), raw(trade(2, X="NA", p="0", q="0")), raw(trade(3)))
    assert len(batch) == 2
    assert (frames.gaps, frames.refused) == (0, 1)


@pytest.mark.parametrize(
    "frame",
    [
        combined({"e": "depthUpdate", "b": [["1", "2"]]}, "btcusdt@depth@100ms"),
        combined({"u": 1, "s": "ETHUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}, "ethusdt@bookTicker"),
        raw({"u": 1, "s": "ETHUSDT", "b": "1", "B": "2", "a": "3", "A": "4"}),
        raw({"e": "bookTicker", "T": 1, "b": "1", "B": "2"}),
        raw({"result": None, "id": 1}),
        raw({"lastUpdateId": 1, "bids": [], "asks": []}),
    ],
)
def test_what_other_streams_bring_is_skipped_without_a_word(frame: bytes) -> None:
    frames = parser()
    assert len(read(frames, frame)) == 0
    assert (frames.unknown, frames.refused, frames.take_new_kinds()) == (0, 0, ())


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (raw({"e": "kline", "k": {}}), "kline"),
        (raw({"e": "aggTrade", "p": [1]}), "aggTrade"),
        (combined({"e": "serverShutdown"}, "!control"), "serverShutdown"),
        (combined([{"e": "24hrTicker"}], "!ticker@arr"), "arr"),
        (raw({"error": {"code": 2, "msg": "no"}, "id": 1}), "error"),
        (raw({"x": 1}), "nameless"),
        (raw({"x": 1, "s": "BTCUSDT"}), "nameless"),
        (raw([1, 2]), "nameless"),
        (raw("trade"), "nameless"),
        (raw({"e": "k" * 1000}), "k" * 40),
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"e":"trade","s":"\xff"}', "malformed"),
        (b'{"e":"trade"', "malformed"),
        (b'{"e":"trade","x":' + b"[" * 100_000, "malformed"),
        (b'{"data":' * 100_000, "malformed"),
    ],
)
def test_an_unknown_message_is_counted_and_skipped_and_its_kind_told_once(frame: bytes, kind: str) -> None:
    frames = parser()
    assert len(read(frames, frame, raw(trade(1)), frame)) == 1
    assert frames.unknown == 2
    assert frames.take_new_kinds() == (kind,)
    read(frames, frame)
    assert frames.take_new_kinds() == ()


def test_however_many_kinds_come_only_a_hundred_are_remembered() -> None:
    frames = parser()
    read(frames, *(raw({"e": f"kind{number}"}) for number in range(500)))
    assert frames.unknown == 500
    assert len(frames.take_new_kinds()) == 100


def test_prices_are_the_nearest_doubles_of_their_digits() -> None:
    random = np.random.default_rng(1)
    texts = [f"{price:.8f}" for price in random.lognormal(5, 4, 500)] + ["0.1", "1e-8", "12345678901234567.1"]
    texts = [text for text in texts if float(text) > 0]
    batch = read(parser(), *(raw(trade(number, p=text)) for number, text in enumerate(texts)))
    assert batch.price.tolist() == [float(text) for text in texts]


FIELDS = st.dictionaries(
    st.sampled_from(["e", "E", "T", "s", "t", "p", "q", "X", "m", "data", "stream"]),
    st.one_of(
        st.sampled_from(["trade", "BTCUSDT", "ETHUSDT", "1.5", "nan", "MARKET", T0 // MS, T0 // 1000, 1, 2, True]),
        st.none(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.lists(st.integers(), max_size=2),
    ),
)


@given(
    st.lists(st.one_of(st.binary(max_size=60), FIELDS.map(combined), FIELDS.map(lambda fields: raw(trade() | fields))))
)
@example([b'{"e":"trade"}', b"[" * 5000, b'{"data":{"e":"trade","t":1}}'])
def test_whatever_comes_nothing_is_raised_and_every_frame_counted(messages: list[bytes]) -> None:
    frames = parser()
    ignored = 0
    for message in messages:
        before = (frames.unknown, frames.refused, frames.duplicates)
        frames.read(message, T0)
        batch = frames.take()
        after = (frames.unknown, frames.refused, frames.duplicates)
        counted = len(batch) + sum(after) - sum(before)
        assert counted in (0, 1)
        ignored += counted == 0
        for column in (batch.price, batch.size):
            assert np.isfinite(column).all()
            assert (column > 0).all()
        assert (np.abs(batch.event_ns - T0) <= 86_400 * S).all()
    together = parser()
    read(together, *messages)
    assert together.unknown == frames.unknown, "frames that come at once are counted as those that come singly"


def test_the_symbol_of_a_trade_and_of_nothing_else_is_found() -> None:
    assert symbol_of(SPOT) == "ETHUSDT"
    assert symbol_of(USDM) == "BTCUSDT"
    for frame in (raw({"e": "kline", "s": "BTCUSDT", "x": "trade"}), b'{"e":"trade"', raw(["trade"]), b"", b'"trade"'):
        assert symbol_of(frame) is None
