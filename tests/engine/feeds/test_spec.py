"""What a FEED of the command line means."""

from pathlib import Path

import pytest

from engine.feeds.errors import FeedError
from engine.feeds.replay import Replay
from engine.feeds.spec import FeedSpec, ReplaySpec, SyntheticSpec, open_feed, parse_feed
from engine.feeds.synthetic import Synthetic
from standins.clock import ManualClock
from tests.engine.feeds.frames import T0, raw, record, trade
from wire.market import Instrument


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("synthetic", SyntheticSpec(instruments=20, rate=200, seed=1, duration_s=None)),
        ("synthetic:", SyntheticSpec()),
        ("synthetic:instruments=3,rate=0.5,seed=0", SyntheticSpec(instruments=3, rate=0.5, seed=0)),
        ("synthetic:duration=90", SyntheticSpec(duration_s=90)),
        ("synthetic:duration=90s", SyntheticSpec(duration_s=90)),
        ("synthetic:duration=5m", SyntheticSpec(duration_s=300)),
        ("synthetic:duration=2h,rate=1e3", SyntheticSpec(duration_s=7200, rate=1000.0)),
        ("replay:a.gz", ReplaySpec(files=("a.gz",), speed=1.0, loop=False, venue=None)),
        ("replay:a.gz,speed=max", ReplaySpec(files=("a.gz",), speed=None)),
        ("replay:a.gz,loop,speed=2.5", ReplaySpec(files=("a.gz",), speed=2.5, loop=True)),
        ("replay:/x/a.gz+b:c.gz,venue=BINANCE-USDM", ReplaySpec(files=("/x/a.gz", "b:c.gz"), venue="BINANCE-USDM")),
        (
            "replay:a.zip,instrument=NYSE:BRK.B",
            ReplaySpec(files=("a.zip",), instrument=Instrument(venue="NYSE", symbol="BRK.B")),
        ),
    ],
)
def test_a_feed_is_read_from_its_text(text: str, spec: FeedSpec) -> None:
    assert parse_feed(text) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected synthetic.* or replay:FILE.*, found ''"),
        ("nonsense:x", "found 'nonsense'"),
        ("replay", "expected replay:FILE"),
        ("replay:", "expected replay:FILE"),
        ("replay:a++b", "expected replay:FILE"),
        ("replay:a,speed", "option speed: expected a number over 0, or max, found none"),
        ("replay:a,speed=", "option speed: .* found none"),
        ("replay:a,speed=fast", "option speed: expected a number over 0, or max, found 'fast'"),
        ("replay:a,speed=0", "option speed"),
        ("replay:a,speed=-1", "option speed"),
        ("replay:a,speed=nan", "option speed"),
        ("replay:a,speed=inf", "option speed"),
        ("replay:a,loop=yes", "option loop: expected no value, found 'yes'"),
        ("replay:a,loop,loop", "option loop: expected it once"),
        ("replay:a,venue=binance", "option venue: expected a name of A-Z.*, found 'binance'"),
        ("replay:a,instrument=AIG", "option instrument: expected VENUE:SYMBOL, as in NYSE:AIG, found 'AIG'"),
        ("replay:a,instrument=NYSE:aig", "option instrument: .* found 'NYSE:aig'"),
        ("replay:a,instrument=nyse:AIG", "option instrument"),
        ("replay:a,instrument=", "option instrument: .* found none"),
        ("replay:a,bogus=1", "expected the options speed, loop, venue, instrument, found 'bogus'"),
        ("replay:a,", "expected the options speed, loop, venue, instrument, found ''"),
        ("synthetic:bogus=1", "expected the options instruments, rate, seed, duration, found 'bogus'"),
        ("synthetic:instruments=0", "option instruments: expected a whole number from 1 to 10000, found '0'"),
        ("synthetic:instruments=10001", "option instruments"),
        ("synthetic:instruments=2.5", "option instruments"),
        ("synthetic:instruments=٣", "option instruments"),
        ("synthetic:rate=0", "option rate: expected a number of trades in a second, over 0"),
        ("synthetic:rate=1e9", "option rate"),
        ("synthetic:seed=-1", "option seed: expected a whole number from 0"),
        ("synthetic:seed=99999999999999999999999999", "option seed"),
        ("synthetic:duration=0", "option duration: expected whole seconds, or as in 90s, 5m or 2h"),
        ("synthetic:duration=1d", "option duration"),
        ("synthetic:duration=1.5h", "option duration"),
        ("synthetic:duration=999999h", "option duration"),
    ],
)
def test_a_wrong_feed_is_told_with_the_option_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        parse_feed(text)


@pytest.mark.parametrize("kind", ["binance", "binance-usdm", "coinbase", "kraken", "bybit", "ticker"])
def test_other_feeds_are_not_available_yet(kind: str) -> None:
    with pytest.raises(FeedError, match=f"{kind} is not available yet"):
        parse_feed(f"{kind}:BTCUSDT")


def test_a_spec_says_whether_its_feed_ever_ends() -> None:
    assert parse_feed("synthetic").endless
    assert parse_feed("replay:a,loop").endless
    assert not parse_feed("synthetic:duration=5").endless
    assert not parse_feed("replay:a").endless


def test_a_synthetic_feed_starts_where_it_is_told(clock: ManualClock) -> None:
    feed = open_feed(parse_feed("synthetic:instruments=2,duration=5"), start_ns=T0, clock_ns=clock.wall_ns)
    assert isinstance(feed, Synthetic)
    assert (feed.instruments, feed.recorded) == (("S01", "S02"), False)
    batch = feed.drain(feed.now_ns())
    assert T0 <= batch.event_ns[0] < T0 + 10**9


def test_a_replay_goes_with_the_clock_unless_it_has_none_or_is_to_go_at_full_speed(
    tmp_path: Path, clock: ManualClock
) -> None:
    file = record(tmp_path / "a", [(0.0, raw(trade(1))), (5.0, raw(trade(2))), (9.0, raw(trade(3)))])
    paced = open_feed(parse_feed(f"replay:{file},speed=5,venue=X"), start_ns=0, clock_ns=clock.wall_ns)
    assert isinstance(paced, Replay)
    assert paced.venue == "X"
    assert len(paced.drain(paced.now_ns())) == 1
    clock.advance(1)
    assert len(paced.drain(paced.now_ns())) == 1
    for text, given in ((f"replay:{file}", None), (f"replay:{file},speed=max", clock.wall_ns)):
        feed = open_feed(parse_feed(text), start_ns=0, clock_ns=given)
        assert len(feed.drain(feed.now_ns())) == 3


def test_a_looping_replay_at_full_speed_loops(tmp_path: Path) -> None:
    file = record(tmp_path / "a", [(0.0, raw(trade(1)))])
    feed = open_feed(parse_feed(f"replay:{file},loop"), start_ns=0, clock_ns=None)
    assert [len(feed.drain(feed.now_ns())) for _ in range(3)] == [1, 1, 1]


def test_a_replay_is_of_the_instrument_that_is_asked_for(tmp_path: Path) -> None:
    file = record(tmp_path / "a", [(0.0, raw(trade(1)))])
    feed = open_feed(parse_feed(f"replay:{file},instrument=X:BTCUSDT.P,loop"), start_ns=0, clock_ns=None)
    assert (feed.venue, feed.instruments) == ("X", ("BTCUSDT.P",))
    assert [len(feed.drain(feed.now_ns())) for _ in range(2)] == [1, 1]


def test_a_recording_that_cannot_be_read_is_told_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="nothing"):
        open_feed(parse_feed(f"replay:{tmp_path}/nothing"), start_ns=0, clock_ns=None)
