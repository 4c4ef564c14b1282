"""What holds of the engine whatever comes in: a whole venue, from ticks to the bytes that are published."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.feeds.feed import Feed, FeedState
from engine.feeds.spec import open_feed, parse_feed
from engine.ticks import TickBatch
from tests.engine.feeds import damaged
from tests.engine.streams import random_stream
from tests.engine.venue_world import Run, always, bars_of, by_time, parts_of, whole
from tests.property.engine_streams import delayed, mixed, orderly, without
from wire import channel as channels
from wire.market import NS_PER_MS, NS_PER_S

SYMBOLS = tuple(f"S{slot:02}" for slot in range(4))

EXPRESSIONS = (
    "ema(close,9)",
    "rsi(close,5)",
    "macd(close,3,7,4)",
    "bbands(close,12,2)",
    "supertrend(5,2)",
    "vwap",
    "highest(high,33)-lowest(low,12)",
)
CONDITIONS = ("close>open", "crossover(ema(close,3),sma(close,5))", "rsi(close,3)>60 and close>close[2]")


def wanted(symbols: Sequence[str], *timeframes: str, venue: str = "DEMO") -> list[str]:
    """Channels of every kind that has finals, in canonical spelling."""
    names: list[str] = []
    for timeframe in timeframes:
        subjects = [f"{venue}:{symbol}@{timeframe}" for symbol in symbols]
        names += [f"bars:{subject}" for subject in subjects]
        names += [f"signals:{subject}:{text}" for text in EXPRESSIONS for subject in subjects]
        names += [f"alerts:{subjects[0]}:{text}" for text in CONDITIONS]
        names += [f"screens:{venue}@{timeframe}:{text}" for text in CONDITIONS]
    return [channels.parse(name).name for name in names]


EVERYTHING = [*wanted(SYMBOLS, "1s", "5s"), *(f"bars:DEMO:{symbol}@1m" for symbol in SYMBOLS)]
SEEDS = st.integers(0, 10_000)
SEEDS_DO_NOT_SHRINK = settings(max_examples=6, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def stream_of(seed: int) -> TickBatch:
    """Some 80 seconds and more, with all that real streams have."""
    return random_stream(seed, 80 if seed % 2 else 300, len(SYMBOLS), ordinary=seed % 4 != 3)


def settled(finals: Mapping[str, Sequence[bytes]]) -> dict[str, tuple[list[bytes], Mapping[int, dict[str, Any]]]]:
    """What has come of a stream: of each channel the finals as they closed, and what its bars were corrected to.

    Late trades that come in one batch correct a bar once, so its revisions are counted by batches.
    """
    found = {}
    for name, payloads in finals.items():
        corrected = [payload for payload in payloads if b'"rev":' in payload]
        newest = by_time(corrected)
        for bar in newest.values():
            del bar["rev"]
        found[name] = ([payload for payload in payloads if b'"rev":' not in payload], newest)
    return found


def told(finals: Mapping[str, Sequence[bytes]], kind: str) -> dict[str, list[bytes]]:
    return {name: list(payloads) for name, payloads in finals.items() if name.startswith(f"{kind}:")}


# any cut of the ticks into batches, and a restart from a snapshot in the middle, give the same bytes


@SEEDS_DO_NOT_SHRINK
@given(
    seed=SEEDS,
    cuts=st.lists(st.integers(0, 200), max_size=12),
    restarts=st.sets(st.integers(0, 11), max_size=3),
    timer=st.booleans(),
    peeking=st.booleans(),
)
def test_any_cut_and_any_restart_gives_the_same_bytes(
    seed: int, cuts: list[int], restarts: set[int], *, timer: bool, peeking: bool
) -> None:
    stream = stream_of(seed)
    finals = finals_of_parts(stream, cuts, restarts, timer=timer, peeking=peeking)
    assert settled(finals) == settled(whole(SYMBOLS, EVERYTHING, stream))


def finals_of_parts(
    stream: TickBatch, cuts: list[int], restarts: set[int], *, timer: bool, peeking: bool
) -> dict[str, list[bytes]]:
    """All finals of a stream that is cut; it goes on from a snapshot before the parts that `restarts` names."""
    run = Run(SYMBOLS, EVERYTHING)
    for number, part in enumerate(parts_of(len(stream), cuts)):
        if number in restarts:
            run.restart()
        if timer:
            run.advance(int(stream.received_ns[part.start]))
        run.fold(stream[part])
        if peeking:
            run.venue.repeat(EVERYTHING, sent_us=None)
            list(run.venue.refresh(lambda: None) or ())
    return run.finish()


def test_a_restart_after_every_few_ticks_gives_the_same_bytes() -> None:
    stream = random_stream(2, 200, len(SYMBOLS))
    run = Run(SYMBOLS, EVERYTHING)
    for part in parts_of(200, range(7, 200, 20)):
        run.fold(stream[part])
        run.restart()
    assert settled(run.finish()) == settled(whole(SYMBOLS, EVERYTHING, stream))


# peek then commit of the same bar gives the peeked value


@SEEDS_DO_NOT_SHRINK
@given(SEEDS)
def test_the_live_value_just_before_a_bar_closes_is_its_final(seed: int) -> None:
    stream = random_stream(seed, 120, len(SYMBOLS), ordinary=seed % 4 != 3)
    names = wanted(SYMBOLS, "1s", "5s")
    run = Run(SYMBOLS, names)
    compared = 0
    for place in range(len(stream)):
        live = {p.channel: p.payload for p in run.venue.repeat(names, sent_us=None)}
        closed = [*run.advance(int(stream.received_ns[place])), *run.fold(stream[place : place + 1])]
        closed = [each for each in closed if each.newest is None]
        first_ns = min((each.open_ns + each.timeframe.ns for each in closed), default=0)
        for boundary in closed:
            if boundary.open_ns + boundary.timeframe.ns > first_ns:
                continue  # It formed on when the first had closed.
            for final in boundary.finals:
                if final.channel in live:
                    assert what_is_said(live[final.channel]) == what_is_said(final.payload)
                    compared += 1
    assert compared > 0


def what_is_said(payload: bytes) -> dict[str, Any]:
    """All but when: a value that has not changed is not told again for a newer tick."""
    return {field: value for field, value in json.loads(payload).items() if field not in {"final", "event", "sent"}}


# the order of ticks inside a bar does not change high, low, nor volume beyond the last unit in the last place


@SEEDS_DO_NOT_SHRINK
@given(SEEDS, SEEDS)
def test_the_order_of_ticks_inside_a_bar_changes_nothing_but_how_its_sizes_are_rounded(seed: int, order: int) -> None:
    stream = orderly(seed, 250, len(SYMBOLS))
    names = [name for name in EVERYTHING if name.startswith("bars:")]
    in_order, otherwise = whole(SYMBOLS, names, stream), whole(SYMBOLS, names, mixed(stream, order))
    assert in_order.keys() == otherwise.keys() == set(names)
    for name, payloads in in_order.items():
        bars, others = by_time(payloads), by_time(otherwise[name])
        assert len(bars) == len(payloads) == len(otherwise[name]), "no tick was late"
        assert bars.keys() == others.keys()
        for t, bar in bars.items():
            check_same_bar(others[t], bar)


def check_same_bar(bar: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Sizes are added in order of arrival, and each addition may round by half a unit in the last place."""
    same = ("o", "h", "l", "c", "n", "event", "final")
    assert {field: bar[field] for field in same} == {field: expected[field] for field in same}
    assert bar.get("synthetic", False) == expected.get("synthetic", False)
    assert bar["v"] == pytest.approx(expected["v"], rel=2.0**-52 * max(1, expected["n"]), abs=0)


# an instrument's values do not depend on which others are wanted


@SEEDS_DO_NOT_SHRINK
@given(seed=SEEDS, chosen=st.sets(st.sampled_from(EVERYTHING), min_size=1, max_size=12))
def test_a_channels_bytes_do_not_depend_on_which_others_are_wanted(seed: int, chosen: set[str]) -> None:
    stream = stream_of(seed)
    everything = whole(SYMBOLS, EVERYTHING, stream)
    names = sorted(chosen)
    assert whole(SYMBOLS, names, stream) == {name: everything[name] for name in names if name in everything}


@pytest.mark.parametrize("seed", range(2))
def test_an_instrument_of_a_crowd_has_the_bytes_of_one_that_is_wanted_alone(seed: int) -> None:
    """What is wanted for many is computed in another graph than what is wanted for one."""
    crowd = [f"S{slot:02}" for slot in range(70)]
    stream = orderly(seed, 2_000, len(crowd), each_ms=15)
    everything = whole(crowd, [name for name in wanted(crowd, "1s") if name.startswith("signals:")], stream)
    for symbol in crowd[:: len(crowd) // 3]:
        names = [channels.parse(f"signals:DEMO:{symbol}@1s:{text}").name for text in EXPRESSIONS]
        alone = whole(crowd, names, stream)
        assert len(alone) == len(names)
        assert alone == {name: everything[name] for name in names}


# a late tick changes no final signal, and the revised bar is the one that would have been built


@SEEDS_DO_NOT_SHRINK
@given(seed=SEEDS, place=st.integers(1, 180), by_ms=st.integers(3_000, 30_000))
def test_a_late_tick_changes_no_signal_and_corrects_the_bars_that_it_belongs_to(
    seed: int, place: int, by_ms: int
) -> None:
    stream = orderly(seed, 250, len(SYMBOLS))
    late = whole(SYMBOLS, EVERYTHING, delayed(stream, place, by_ms))
    in_time, never = whole(SYMBOLS, EVERYTHING, stream), whole(SYMBOLS, EVERYTHING, without(stream, place))
    for kind in ("signals", "alerts", "screens"):
        assert told(late, kind) == told(never, kind)
    slot, event_ns = stream.instrument.item(place), stream.event_ns.item(place)
    for timeframe, length_ns in (("1s", NS_PER_S), ("5s", 5 * NS_PER_S), ("1m", 60 * NS_PER_S)):
        for other in range(len(SYMBOLS)):
            name = f"bars:DEMO:{SYMBOLS[other]}@{timeframe}"
            corrected = [payload for payload in late.get(name, []) if b'"rev":' in payload]
            assert [payload for payload in late.get(name, []) if payload not in corrected] == never.get(name, [])
            if other != slot:
                assert corrected == []
                continue
            (payload,) = corrected
            bar = json.loads(payload)
            assert (bar["t"], bar["rev"]) == (event_ns // length_ns * length_ns // NS_PER_MS, 1)
            check_same_bar(bar, by_time(in_time[name])[bar["t"]])


# instruments that join later never change the others


@SEEDS_DO_NOT_SHRINK
@given(seed=SEEDS, births=st.lists(st.integers(0, 250), min_size=3, max_size=3))
def test_instruments_that_are_born_later_or_never_do_not_change_the_others(seed: int, births: list[int]) -> None:
    stream = orderly(seed, 250, len(SYMBOLS))
    first = np.array([0, *births])
    born = stream.pick(np.arange(len(stream)) >= first[stream.instrument])
    alone = stream.pick(stream.instrument == 0)
    names = [name for name in EVERYTHING if ":S00@" in name]
    expected = whole(SYMBOLS, names, stream)
    assert whole(SYMBOLS, names, born) == expected
    assert whole(SYMBOLS[:1], names, alone) == expected, "nor do others that are not there at all"


@SEEDS_DO_NOT_SHRINK
@given(
    seed=SEEDS,
    joins=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(EVERYTHING)), max_size=8),
    bars=st.integers(1, 9),
)
def test_channels_that_are_wanted_later_change_no_other_and_have_the_values_of_those_wanted_all_along(
    seed: int, joins: list[tuple[int, str]], bars: int
) -> None:
    stream = stream_of(seed)
    names = [name for name in EVERYTHING if ":S01@" in name]
    later = {name: number for number, name in joins if name not in names}
    expected, everything = whole(SYMBOLS, names, stream), whole(SYMBOLS, later, stream)
    run = Run(SYMBOLS, names)
    for number, part in enumerate(parts_of(len(stream), range(0, len(stream), len(stream) // 10))):
        for name in [name for name, at in later.items() if at == number]:
            run.venue.watch(channels.parse(name))
        run.venue.warm(bars_of(bars))
        run.fold(stream[part])
    run.venue.warm(always)
    finals = run.finish()
    assert settled({name: finals[name] for name in names if name in finals}) == settled(expected)
    for name in later:
        values, since = finals.get(name, []), everything.get(name, [])
        if not name.startswith("screens:"):
            (values, _), (since, _) = settled({name: values, "": since}).values()
            assert values == since[len(since) - len(values) :]


# recordings, whole and damaged


def opened(path: str | Path, venue: str) -> Feed:
    return open_feed(parse_feed(f"replay:{path},venue={venue}"), start_ns=0, clock_ns=None)


def drained(feed: Feed) -> TickBatch:
    batches = []
    while feed.status().state is not FeedState.CLOSED:
        batches.append(feed.drain(feed.now_ns()))
    return TickBatch.join(batches)


@pytest.mark.parametrize("how", ["as it is", "delayed", "shuffled", "cut", "repeated"])
def test_a_recording_gives_the_same_bytes_however_it_is_cut_and_restarted(
    how: str, recordings: Path, tmp_path: Path
) -> None:
    path = str(recordings / "binance-spot-ethusdt-20240808.gz")
    match how:
        case "delayed":
            path = damaged.delayed(path, tmp_path, 0.02, 3 * NS_PER_S)
        case "shuffled":
            path = damaged.shuffled(path, tmp_path, 2 * NS_PER_S)
        case "cut":
            path = damaged.cut(path, tmp_path, 20, 27)
        case "repeated":
            path = damaged.repeated(path, tmp_path, 0.1)
    feed = opened(path, "DEMO")
    check_recording(feed, drained(feed), "1s", "15s")


def test_a_recorded_session_gives_the_same_bytes_however_it_is_cut_and_restarted(recordings: Path) -> None:
    feed = opened(recordings / "lean-aig-20131009-trade.zip", "NYSE")
    stream = drained(feed)
    close_ns = 1_381_348_800 * NS_PER_S  # 16:00 in New York
    check_recording(feed, stream.pick(stream.event_ns >= close_ns - 1200 * NS_PER_S), "30s", "30m", "1d")


def check_recording(feed: Feed, stream: TickBatch, *timeframes: str) -> None:
    names = wanted(feed.instruments, *timeframes, venue=feed.venue)
    one, cut = (Run(feed.instruments, names, venue=feed.venue, sessions=feed.sessions) for _ in range(2))
    one.fold(stream)
    random = np.random.default_rng(len(stream))
    cuts = random.integers(1, len(stream), 12).tolist()
    for number, part in enumerate(parts_of(len(stream), cuts)):
        cut.fold(stream[part])
        if number % 6 == 1:
            cut.restart()
    finals = cut.finish()
    assert settled(finals) == settled(one.finish())
    assert sum(map(len, finals.values())) > 100
