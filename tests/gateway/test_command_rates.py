"""What one connection may send, and how soon it may come back to a channel that it has lost."""

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.command_rates import MAX_LOST, CommandRates, ReadRates, connection_rates
from gateway.config import NO_LIMITS
from gateway.token_bucket import TokenBucket, rate
from wire.client_messages import (
    Command,
    HistoryRequest,
    RefreshRequest,
    RpcRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)

NS = 1_000_000_000
BARS = "bars:DEMO:S01@1m"
SUBSCRIBE = Command(1, subscribe=SubscribeRequest(BARS))
UNSUBSCRIBE = Command(1, unsubscribe=UnsubscribeRequest(BARS))
HISTORY = Command(1, history=HistoryRequest(BARS))
OTHERS = [HISTORY, Command(1, rpc=RpcRequest("time")), Command(1, refresh=RefreshRequest("t"))]


def commands(**limits: Any) -> CommandRates:
    return CommandRates(connection_rates(msgspec.structs.replace(NO_LIMITS, **limits)))


def reads(**limits: Any) -> ReadRates:
    return ReadRates(connection_rates(msgspec.structs.replace(NO_LIMITS, **limits)))


@pytest.mark.parametrize("command", OTHERS)
def test_commands_have_a_rate_that_all_but_subscribes_share(command: Command) -> None:
    rates = commands(commands_per_s=1, command_burst=2)
    assert [rates.admits(each, 0, 0) for each in (HISTORY, command, command)] == [True, True, False]
    assert [rates.admits(each, 0, NS) for each in (command, HISTORY)] == [True, False]
    assert rates.admits(SUBSCRIBE, 0, 0)


def test_subscribes_have_a_rate_of_their_own() -> None:
    rates = commands(subscribes_per_s=1, subscribe_burst=2)
    assert [rates.admits(SUBSCRIBE, 0, 0) for _ in range(3)] == [True, True, False]
    assert [rates.admits(SUBSCRIBE, 0, NS) for _ in range(2)] == [True, False]
    assert rates.admits(HISTORY, 0, NS)


def test_all_that_a_plan_allows_may_be_subscribed_at_once() -> None:
    rates = commands(subscribes_per_s=1, subscribe_burst=2)
    assert [rates.admits(SUBSCRIBE, 5, 0) for _ in range(6)] == [*[True] * 5, False]


def test_an_unsubscribe_is_never_refused() -> None:
    rates = commands(subscribes_per_s=0.001, subscribe_burst=1, commands_per_s=0.001, command_burst=1)
    for command in (SUBSCRIBE, HISTORY):
        assert [rates.admits(command, 1, 0) for _ in range(2)] == [True, False]
    assert all(rates.admits(UNSUBSCRIBE, 1, 0) for _ in range(100))


@given(st.lists(st.tuples(st.integers(0, NS), st.sampled_from([SUBSCRIBE, *OTHERS])), max_size=50))
def test_where_no_rate_is_set_every_command_runs(sent: list[tuple[int, Command]]) -> None:
    rates, now_ns = commands(), 0
    for pause_ns, command in sent:
        now_ns += pause_ns
        assert rates.admits(command, 1, now_ns)


@given(st.lists(st.tuples(st.integers(0, NS), st.integers(1, 100_000)), max_size=50), st.booleans())
def test_bytes_and_frames_each_have_a_bucket(came: list[tuple[int, int]], frames: bool) -> None:
    limits = {"frames_per_s": 1_000, "frame_burst": 70_000} if frames else {"bytes_per_s": 1_000, "byte_burst": 70_000}
    wanted = rate(1_000, 70_000)
    assert wanted is not None
    rates, bucket, now_ns = reads(**limits), TokenBucket(wanted), 0
    for pause_ns, count in came:
        now_ns += pause_ns
        taken, free = rates.take_bytes(count, now_ns), rates.take_frames(count, now_ns)
        if frames:
            taken, free = free, taken
        assert taken == bucket.take(now_ns, count)
        assert free


def test_who_has_lost_a_channel_may_come_back_at_once() -> None:
    rates = commands()
    rates.lose(BARS, 0)
    assert rates.admits(SUBSCRIBE, 1, 0)


def test_who_loses_a_channel_again_within_10_s_may_come_back_after_another_10() -> None:
    rates = commands()
    rates.lose(BARS, 0)
    rates.lose(BARS, 10 * NS - 1)
    assert not rates.admits(SUBSCRIBE, 1, 10 * NS)
    assert not rates.admits(SUBSCRIBE, 1, 20 * NS - 2)
    assert rates.admits(Command(1, subscribe=SubscribeRequest("bars:DEMO:S02@1m")), 1, 10 * NS)
    assert rates.admits(SUBSCRIBE, 1, 20 * NS - 1)


def test_who_loses_a_channel_again_after_10_s_may_come_back_at_once() -> None:
    rates = commands()
    for turn in range(5):
        rates.lose(BARS, turn * 10 * NS)
        assert rates.admits(SUBSCRIBE, 1, turn * 10 * NS)


@given(st.lists(st.integers(0, 4 * NS), min_size=1, max_size=100))
def test_a_client_that_comes_back_as_soon_as_it_may_loses_a_channel_at_most_twice_in_10_s(pauses: list[int]) -> None:
    rates, now_ns, losses, subscribed = commands(), 0, list[int](), True
    for pause_ns in pauses:
        now_ns += pause_ns
        if subscribed:
            rates.lose(BARS, now_ns)
            losses.append(now_ns)
        subscribed = rates.admits(SUBSCRIBE, 1, now_ns)
    for first, third in zip(losses, losses[2:], strict=False):
        assert third - first >= 10 * NS


def test_what_was_lost_long_ago_is_forgotten_and_no_more_than_some_is_remembered() -> None:
    rates = commands()
    for n in range(2 * MAX_LOST):
        rates.lose(f"{n}", 0)
    assert rates._lost is not None
    assert len(rates._lost) == MAX_LOST
    rates.lose(BARS, 10 * NS)
    assert set(rates._lost) == {BARS}


def test_one_that_is_lost_again_and_again_keeps_no_other_from_being_forgotten() -> None:
    rates = commands()
    for name, now_ns in (("a", 0), ("b", 1), ("a", 9 * NS), ("c", 12 * NS)):
        rates.lose(name, now_ns)
    assert rates._lost is not None
    assert set(rates._lost) == {"a", "c"}


def test_a_connection_that_has_sent_something_keeps_some_300_bytes_for_it() -> None:
    limits = connection_rates(NO_LIMITS)
    assert sys.getsizeof(CommandRates(limits)) + sys.getsizeof(ReadRates(limits)) + 4 * sys.getsizeof(NS * NS) < 300
