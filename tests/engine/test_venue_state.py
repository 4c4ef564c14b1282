"""A venue's state as bytes: another venue goes on from them as if nothing had happened."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.budget import Budget
from engine.snapshot import SnapshotError
from engine.venue import Venue
from engine.venue_state import FORMAT, decode, encode
from tests.engine.streams import random_stream
from tests.engine.venue_world import SYMBOLS, Run, World, parts_of, published
from wire import channel as channels
from wire.market import NS_PER_S

BARS = "bars:DEMO:S00@1s"
EMA = "signals:DEMO:S00@1s:ema(close,9)"
WATCHED = [
    channels.parse(name).name
    for name in (
        BARS,
        EMA,
        "bars:DEMO:S01@1m",
        "signals:DEMO:S01@5s:rsi(close,3)",
        "signals:DEMO:S02@15s:bbands(close,4,2)",
        "signals:DEMO:S00@5s:supertrend(3,2)",
        "signals:DEMO:S00@1s:macd(close,3,7,4)",
        "signals:DEMO:S01@1s:vwap",
        "signals:DEMO:S02@1m:sma(close,2)[1]",
        "alerts:DEMO:S00@1s:crossover(close,sma(close,4))",
        "alerts:DEMO:S01@5s:close>open",
        "screens:DEMO@1s:close>ema(close,5)",
        "screens:DEMO@5s:rsi(close,2)>50",
    )
]


@settings(max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 199), max_size=5), place=st.integers(0, 5))
def test_the_finals_after_a_restart_are_those_of_a_venue_that_was_never_stopped(
    seed: int, cuts: list[int], place: int
) -> None:
    stream = random_stream(seed, 200, len(SYMBOLS))
    run, steady = Run(SYMBOLS, WATCHED), Run(SYMBOLS, WATCHED)
    for number, part in enumerate(parts_of(len(stream), cuts)):
        run.fold(stream[part])
        steady.fold(stream[part])
        if number == place:
            run.restart()
    assert run.finish() == steady.finish(), "in the same parts, corrections too"


def test_the_bytes_are_those_of_the_state_that_they_give() -> None:
    world = World(*WATCHED)
    world.closes([10.0, 11.0, 12.0])
    data = encode(world.venue.state())
    assert encode(decode(data)) == data
    assert encode(world.restarted(*WATCHED).venue.state()) == data


def test_what_goes_on_in_a_venue_changes_none_of_the_states_that_it_has_given() -> None:
    world = World(*WATCHED)
    world.closes([10.0, 11.0, 12.0])
    world.trade(3.2, 13.0)
    state = world.venue.state()
    data = encode(state)
    world.trade(3.4, 20.0)
    world.trade(0.7, 20.0, received_s=4.0)
    world.closes([10.0] * 70, first_s=5)
    assert encode(state) == data


def test_live_values_and_charts_go_on_too() -> None:
    world = World(*WATCHED)
    world.closes([10.0, 11.0, 12.0, None, 13.0])
    world.trade(2.9, 14.0, received_s=7.0)
    world.trade(7.2, 13.0)
    after = world.restarted(*WATCHED)
    assert after.live(BARS, EMA) == world.live(BARS, EMA) != {}
    for name in (BARS, EMA):
        assert after.chart(name) == world.chart(name) != []


def test_what_is_watched_again_goes_on_at_once_and_what_is_new_warms_up() -> None:
    world = World(EMA)
    world.closes([10.0 + second % 5 for second in range(50)])
    after = World()
    after.venue.restore(decode(encode(world.venue.state())))
    for name in (EMA, EMA.replace("9", "7")):
        after.venue.watch(channels.parse(name))
    assert after.venue.warm(lambda: False) == [EMA]
    after.venue.forget()
    assert after.venue.warm(lambda: True) == [EMA.replace("9", "7")]


def test_what_was_received_before_the_newest_tick_is_not_taken_again() -> None:
    stream, place = random_stream(4, 200, len(SYMBOLS)), 120
    before = stream.received_ns < stream.received_ns[place - 1]
    again = stream.pick(before | (np.arange(200) >= place))
    assert before.sum() > 100
    run, steady = Run(SYMBOLS, WATCHED), Run(SYMBOLS, WATCHED)
    run.fold(stream[:place])
    run.restart()
    run.fold(again)
    for part in (stream[:place], stream[place:]):
        steady.fold(part)
    assert run.finish() == steady.finish()
    assert run.venue.bars.ticks == 200


def test_an_interruption_and_a_hole_are_remembered() -> None:
    world = World(BARS)
    world.closes([10.0])
    world.venue.interrupt(interrupted=True)
    after = world.restarted(BARS)
    after.closes([11.0], first_s=1)
    assert [each.get("gap", False) for each in after.said(BARS)] == [True]


@pytest.mark.parametrize("symbols", [("S00", "S01"), ("S01", "S00", "S02"), ("S00", "S01", "S02", "S03")])
def test_the_state_of_other_instruments_is_refused(symbols: tuple[str, ...]) -> None:
    with pytest.raises(SnapshotError, match="instruments"):
        World(BARS).restarted(symbols=symbols)


def test_the_state_of_a_venue_with_another_grace_is_refused() -> None:
    world = World(BARS)
    world.closes([10.0])
    other = Venue("DEMO", SYMBOLS, grace_ns=60 * NS_PER_S, budget=Budget())
    with pytest.raises(SnapshotError, match="settings"):
        other.restore(world.venue.state())


def test_damaged_bytes_are_refused_wherever_the_damage_is() -> None:
    world = World(*WATCHED)
    world.closes([10.0, 11.0])
    data = encode(world.venue.state())
    for place in (0, len(FORMAT) - 1, len(FORMAT) + 3, len(data) // 2, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(SnapshotError):
            decode(bytes(damaged))
    for length in (0, 5, len(FORMAT), len(FORMAT) + 32, len(data) - 1):
        with pytest.raises(SnapshotError):
            decode(data[:length])


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        decode(FORMAT + data)


def test_a_state_of_nothing_is_one_from_which_to_begin() -> None:
    after = World().restarted(BARS)
    after.closes([10.0])
    world = World(BARS)
    world.closes([10.0])
    assert published(after.boundaries) == published(world.boundaries)
