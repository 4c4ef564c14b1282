"""What patterns of the user service let a subscriber read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.entitlements import Entitlements
from wire.channel import ChannelKind
from wire.market import Instrument, Timeframe

RSI = "signals:BINANCE:BTCUSDT@1m:rsi(close,14)"
PRODUCT = "signals:BINANCE:BTCUSDT@1m:close*volume"
SCREEN = "screens:BINANCE@1m:close>open"
BARS = "bars:BINANCE:BTCUSDT@1m"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param("*", RSI, id="a lone star is everything"),
        pytest.param("*", "status:BINANCE", id="a lone star is everything, of any length"),
        pytest.param(BARS, BARS, id="a name without stars is itself"),
        pytest.param("bars:BINANCE:*", BARS, id="a star as the last part"),
        pytest.param("bars:*", BARS, id="a star at the end is the rest, over several parts"),
        pytest.param("bars:BIN*", BARS, id="a star at the end of a part is the rest"),
        pytest.param("bars:*:BTCUSDT@1m", BARS, id="a star for a whole part"),
        pytest.param("bars:BINANCE:*USDT@1m", BARS, id="a star within a part"),
        pytest.param("bars:BINANCE:B*U*@*m", BARS, id="several stars within a part"),
        pytest.param("*:BINANCE:*@1m:*", RSI, id="a star for the kind"),
        pytest.param("bars:BINANCE:BTCUSDT@1m*", BARS, id="a star may stand for nothing"),
        pytest.param("signals:BINANCE:*@1m:*", RSI, id="a star of its own covers the expression"),
        pytest.param("signals:BINANCE:*", RSI, id="the rest includes the expression"),
        pytest.param("signals:BINANCE:BTC*", RSI, id="the rest of a part includes the expression behind it"),
        pytest.param("signals:BINANCE:*@1m:rsi(close,14)", RSI, id="an expression in full"),
        pytest.param("signals:BINANCE:*@1m:close*volume", PRODUCT, id="a product in full"),
        pytest.param("screens:BINANCE@1m:*", SCREEN, id="the expression of a screen is its third part"),
        pytest.param("screens:*:close>open", SCREEN, id="a screen in full"),
        pytest.param("screens:BINANCE@*", SCREEN, id="all screens of a venue"),
        pytest.param("screens:*", SCREEN, id="all screens"),
        pytest.param("status:BINANCE", "status:BINANCE", id="the status of a venue"),
        pytest.param("trades:BINANCE:*", "trades:BINANCE:BTCUSDT", id="a star for the symbol"),
    ],
)
def test_a_pattern_covers(pattern: str, name: str) -> None:
    assert Entitlements([pattern]).may_read(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param("", BARS, id="an empty pattern"),
        pytest.param("bars:BINANCE", BARS, id="fewer parts without a star"),
        pytest.param("bars:BINANCE:BTCUSDT@1m:*", BARS, id="more parts than the name"),
        pytest.param("bars:BINANCE:ETH*", BARS, id="another symbol"),
        pytest.param("bars:BINANCE:*@5m", BARS, id="another timeframe"),
        pytest.param("bars:*@1m", BARS, id="a star in the middle stays within its part"),
        pytest.param("*@1m", BARS, id="a star in the first part stays within it"),
        pytest.param("Bars:*", BARS, id="letters are not folded"),
        pytest.param("bars:BINANCE:?TCUSDT@1m", BARS, id="a question mark is itself"),
        pytest.param("bars:BINANCE:[B]TCUSDT@1m", BARS, id="brackets are themselves"),
        pytest.param("signals:BINANCE:*@1m:rsi*", RSI, id="a star within an expression is a product"),
        pytest.param("signals:BINANCE:*@1m:*(close,14)", RSI, id="a star at its start too"),
        pytest.param("signals:BINANCE:*@1m:close*", PRODUCT, id="and at its end"),
        pytest.param("signals:BINANCE:*@1m:**", PRODUCT, id="two stars are no star of its own"),
        pytest.param("signals:BINANCE:BTCUSDT@1m", RSI, id="a pattern that ends before the expression"),
        pytest.param("signals:*:*", BARS, id="another kind"),
        pytest.param("screens:BINANCE@1m:close*open", "screens:BINANCE@1m:close>open", id="no glob in a screen"),
        pytest.param("screens:BINANCE@1m:close*", SCREEN, id="no rest in a screen's expression"),
        pytest.param("screens:BINANCE:BTCUSDT@1m:*", SCREEN, id="an instrument of the venue is not the venue"),
        pytest.param("screens:BINANCE:*", SCREEN, id="a screen's venue has a timeframe"),
        pytest.param("*:BINANCE:*", SCREEN, id="what is of the venue's instruments is not of the venue"),
        pytest.param("bars:BINANCE:*", SCREEN, id="bars of all instruments are no screen"),
        pytest.param("screens:BINANCE@5m:*", SCREEN, id="a screen of another timeframe"),
        pytest.param("*:BINANCE:*", "status:BINANCE", id="nor is the venue's status"),
        pytest.param("status:BINANCE:*", "status:BINANCE", id="a status has no further part"),
        pytest.param("status:AB*BA", "status:ABA", id="the pieces around a star do not overlap"),
        pytest.param("status:*A*A*Z", "status:XAZ", id="nor do those between stars"),
        pytest.param("bars:BINANCE:BTCUSDT@1mm*", BARS, id="what stands before a star counts in full"),
    ],
)
def test_a_pattern_does_not_cover(pattern: str, name: str) -> None:
    assert not Entitlements([pattern]).may_read(name)


def test_no_pattern_covers_nothing() -> None:
    assert not Entitlements([]).may_read(BARS)


def test_one_pattern_of_several_is_enough() -> None:
    entitlements = Entitlements(["status:*", "bars:COINBASE:*", "bars:BINANCE:*"])

    assert entitlements.may_read(BARS)
    assert not entitlements.may_read("trades:BINANCE:BTCUSDT")


def test_a_pattern_of_many_stars_is_judged_in_linear_time() -> None:
    pattern = "bars:BINANCE:" + "A*" * 120 + "B"

    assert not Entitlements([pattern]).may_read("bars:BINANCE:" + "A" * 240)


def covers(pattern: str, name: str) -> bool:
    """The rules read one character at a time, trying everything that a star may stand for."""
    kind = name.split(":", maxsplit=1)[0]
    colons = {"signals": 3, "alerts": 3, "screens": 2}.get(kind)
    if colons is not None and pattern.count(":") >= colons and name.count(":") >= colons:
        pattern_parts, name_parts = pattern.split(":", colons), name.split(":", colons)
        covered = pattern_parts[-1] in ("*", name_parts[-1])
        return covered and glob(":".join(pattern_parts[:-1]), ":".join(name_parts[:-1]), last_is_rest=False)
    return glob(pattern, name, last_is_rest=True)


def glob(pattern: str, text: str, *, last_is_rest: bool) -> bool:
    if not pattern:
        return not text
    if pattern[0] != "*":
        return text[:1] == pattern[0] and glob(pattern[1:], text[1:], last_is_rest=last_is_rest)
    if len(pattern) == 1 and last_is_rest:
        return True
    within = text.split(":", maxsplit=1)[0]
    return any(glob(pattern[1:], text[n:], last_is_rest=last_is_rest) for n in range(len(within) + 1))


kinds = st.sampled_from([kind.value for kind in ChannelKind])
parts = st.text("AB@", min_size=1, max_size=4)
expressions = st.text("ab*>", min_size=1, max_size=5)
stars = st.text("AB@ab*>:", max_size=5)


@st.composite
def names(draw: st.DrawFn) -> str:
    kind = ChannelKind(draw(kinds))
    name = [kind.value, draw(parts)]
    if kind.has_symbol:
        name.append(draw(parts))
    if kind.has_expression:
        name.append(draw(expressions))
    return ":".join(name)


@st.composite
def patterns_near(draw: st.DrawFn, name: str) -> str:
    """A pattern that often covers the name: pieces of it replaced by stars or by something else."""
    pattern = name
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(pattern)))
        end = draw(st.integers(start, len(pattern)))
        pattern = pattern[:start] + draw(st.one_of(st.just("*"), stars)) + pattern[end:]
    return pattern


@given(st.data())
def test_patterns_mean_what_their_rules_read_slowly_mean(data: st.DataObject) -> None:
    name = data.draw(names())
    pattern = data.draw(patterns_near(name))

    assert Entitlements([pattern]).may_read(name) == covers(pattern, name)


@given(stars, names())
@example("signals:*:*", "signals:A:A:a*a")
def test_a_star_never_stands_for_a_piece_of_an_expression(pattern: str, name: str) -> None:
    """Whatever a pattern covers, it covers with any other expression too, or names the expression in full."""
    kind, *rest = name.split(":")
    if not ChannelKind(kind).has_expression or not Entitlements([pattern]).may_read(name):
        return
    other = ":".join([kind, *rest[:-1], "zzz"])

    assert Entitlements([pattern]).may_read(other) or pattern.endswith(":" + rest[-1])


symbols = st.text("AB1", min_size=1, max_size=3)


def channels_of(instrument: Instrument, kind: ChannelKind, expressions: tuple[str, ...]) -> list[str]:
    """Channels of an instrument's own, in every timeframe."""
    name = f"{kind.value}:{instrument}"
    names = [f"{name}@{timeframe.value}" for timeframe in Timeframe] if kind.has_timeframe else [name]
    return [f"{each}:{text}" for each in names for text in expressions] if kind.has_expression else names


@given(st.data())
def test_an_instrument_may_be_shown_exactly_when_one_of_its_channels_may_be_read(data: st.DataObject) -> None:
    of_instruments = [kind for kind in ChannelKind if kind.has_symbol]
    named = Instrument(data.draw(symbols), data.draw(symbols))
    expression = data.draw(expressions)
    names = channels_of(named, data.draw(st.sampled_from(of_instruments)), (expression,))
    pattern = data.draw(patterns_near(data.draw(st.sampled_from(names))))
    instrument = data.draw(st.sampled_from([named, Instrument(data.draw(st.just(named.venue) | symbols), "B1")]))

    texts = ("zzz", ":".join(pattern.split(":")[3:]))
    candidates = [name for kind in of_instruments for name in channels_of(instrument, kind, texts)]
    entitlements = Entitlements(["status:*", "screens:*", pattern])

    assert entitlements.may_show(instrument) == any(map(entitlements.may_read, candidates))
