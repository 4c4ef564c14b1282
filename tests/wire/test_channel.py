"""Channel names: what they say, what is wrong with them, and that each channel has one canonical name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.channel import (
    MAX_CHANNEL_BYTES,
    Channel,
    ChannelError,
    ChannelKind,
    MalformedChannelError,
    UnknownChannelError,
    parse,
)
from wire.market import Timeframe
from wire.topics import topic_of

EXPRESSIONS = st.sampled_from(["rsi", "ema(close, 9) - ema(close,21)", "macd", "bbands(20,2).upper", "close[1]*2"])
CONDITIONS = st.sampled_from(["rsi(14)>70", "crossover(close, sma)", "close > open and volume > 0"])
VENUES = st.from_regex(r"[A-Z][A-Z0-9_-]{0,8}", fullmatch=True)
SYMBOLS = st.from_regex(r"[A-Z0-9][A-Z0-9._!-]{0,12}", fullmatch=True)


@st.composite
def names(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(ChannelKind))
    name = f"{kind.value}:{draw(VENUES)}"
    if kind.has_symbol:
        name += f":{draw(SYMBOLS)}"
    if kind.has_timeframe:
        name += f"@{draw(st.sampled_from(Timeframe)).value}"
    if kind.has_expression:
        name += f":{draw(EXPRESSIONS if kind is ChannelKind.SIGNALS else CONDITIONS)}"
    return name


@given(names())
def test_a_canonical_name_parses_to_the_channel_it_came_from(name: str) -> None:
    channel = parse(name)
    assert parse(channel.name) == channel
    assert parse(channel.name).name == channel.name


@given(names(), st.integers(1, 4096))
def test_every_spelling_lies_on_one_topic(name: str, topics: int) -> None:
    channel = parse(name)
    assert topic_of(channel, topics) == topic_of(parse(channel.name), topics) < topics


@given(st.text(max_size=300))
def test_any_text_is_a_channel_or_an_error_that_says_why(text: str) -> None:
    channel, why = _parsed(text)
    assert channel is not None or why


@given(names(), st.integers(0, 40), st.characters())
def test_a_spoiled_name_is_a_channel_or_an_error(name: str, place: int, character: str) -> None:
    spoiled = name[:place] + character + name[place + 1 :]
    channel, why = _parsed(spoiled)
    assert why if channel is None else parse(channel.name) == channel


def _parsed(text: str) -> tuple[Channel | None, str]:
    """The channel, or why there is none."""
    try:
        return parse(text), ""
    except ChannelError as error:
        return None, str(error)


def test_the_parts_of_a_name() -> None:
    channel = parse("signals:BINANCE:BTCUSDT.P@15m: rsi( 14 )")
    assert (channel.kind, channel.venue, channel.symbol) == (ChannelKind.SIGNALS, "BINANCE", "BTCUSDT.P")
    assert channel.timeframe is Timeframe.M15
    assert channel.subject == "BINANCE:BTCUSDT.P"
    assert channel.name == "signals:BINANCE:BTCUSDT.P@15m:rsi(close,14)"
    assert parse("screens:NYSE@1d:close>open").subject == "NYSE"
    assert parse("status:NYSE").name == "status:NYSE"


def test_instruments_of_a_venue_spread_over_the_topics() -> None:
    topics = {topic_of(parse(f"bars:BINANCE:COIN{n}@1m")) for n in range(1000)}
    assert len(topics) == 64


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "KIND:VENUE"),
        ("bars", "KIND:VENUE"),
        ("bars:", "bars:VENUE:SYMBOL@TIMEFRAME"),
        ("bars:BINANCE@1m", "bars:VENUE:SYMBOL@TIMEFRAME"),
        ("bars:BINANCE:BTCUSDT", "@TIMEFRAME"),
        ("bars:BINANCE:btcusdt@1m", "btcusdt"),
        ("bars:Binance:BTCUSDT@1m", "Binance"),
        ("bars:BINANCE:BTC/USDT@1m", "BTC/USDT"),
        ("bars:BINANCE:BTCUSDT@1m:close", "1m:close"),
        ("trades:BINANCE:BTCUSDT@1m", "BTCUSDT@1m"),
        ("status:BINANCE:BTCUSDT", "status:VENUE"),
        ("signals:BINANCE:BTCUSDT@1m", "EXPRESSION"),
        ("signals:BINANCE:BTCUSDT@1m:", "column"),
        ("signals:BINANCE:BTCUSDT@1m:nonsense", "nonsense"),
        ("screens:BINANCE@1m:rsi(14)", "condition"),
        ("signals:BINANCE:BTCUSDT@1m:close\n", "printable"),
        ("signals:BINANCE:BTCUSDT@1m:" + "close+" * 60 + "close", str(MAX_CHANNEL_BYTES)),
    ],
)
def test_a_malformed_name_is_told_what_was_expected_and_found(name: str, said: str) -> None:
    with pytest.raises(MalformedChannelError) as error:
        parse(name)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["candles:BINANCE:BTCUSDT@1m", "bars:BINANCE:BTCUSDT@2m", "signals:X:Y@60s:close"])
def test_a_kind_or_timeframe_that_there_is_not_is_told_which_there_are(name: str) -> None:
    with pytest.raises(UnknownChannelError, match=r"expected one of .*"):
        parse(name)


def test_what_is_malformed_is_said_before_what_is_unknown() -> None:
    with pytest.raises(MalformedChannelError):
        parse("signals:BINANCE:BTCUSDT@2m:nonsense(")


def test_what_follows_bars_has_finals_and_what_is_only_now_has_none() -> None:
    finals = {kind for kind in ChannelKind if kind.has_finals}
    assert finals == {ChannelKind.BARS, ChannelKind.SIGNALS, ChannelKind.ALERTS, ChannelKind.SCREENS}
