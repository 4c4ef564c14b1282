"""Whatever strangers send, no exception escapes and no memory stays: the short form of ``make fuzz``."""

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.campaign import Campaign, Finding, Summary
from tests.fuzz.mutation import MOST_BYTES, chance, mutated
from tests.fuzz.targets import TARGETS, Target

EACH = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
MAX_PEAK_BYTES = 8 * 1024 * 1024
"""What one input of the largest size may hold while it is judged: some copies of it, and what its commands come to."""


@EACH
@settings(max_examples=50)
@given(data=st.binary(max_size=300))
def test_no_exception_escapes_for_any_bytes(target: Target, data: bytes) -> None:
    target.feed(data)


@EACH
@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), damaged=st.booleans())
def test_no_exception_escapes_for_what_is_made_well_or_damaged(target: Target, seed: int, damaged: bool) -> None:
    random = chance(seed)
    data = target.make(random)
    target.feed(mutated(data, random) if damaged else data)


@EACH
def test_hundreds_of_inputs_leave_no_memory_behind(target: Target) -> None:
    outcome = Campaign(target, seed=0).run(0, 500)
    assert isinstance(outcome, Summary), str(outcome)


@EACH
def test_what_one_input_holds_is_bounded(target: Target) -> None:
    data = target.make(chance(1))
    longest = (data * (MOST_BYTES // len(data) + 1))[:MOST_BYTES]
    target.feed(data)
    tracemalloc.start()
    try:
        target.feed(longest)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MAX_PEAK_BYTES


def test_an_input_is_the_same_in_every_run() -> None:
    target = TARGETS[0]
    first, second = Campaign(target, seed=1), Campaign(target, seed=1)
    assert [first.input(n) for n in range(50)] == [second.input(n) for n in range(50)]
    assert first.input(0) != Campaign(target, seed=2).input(0)


def test_an_exception_is_found_and_can_be_had_again() -> None:
    def feed(data: bytes) -> None:
        if b"7" in data:
            raise RecursionError

    target = Target("digits", lambda random: b"%d" % random.randrange(100), feed)
    found = Campaign(target, seed=1).run(0, 1_000)
    assert isinstance(found, Finding)
    assert "RecursionError" in str(found)
    again = Campaign(target, seed=1).run(found.number, 1)
    assert isinstance(again, Finding)
    assert again.data == found.data


def test_an_input_that_takes_too_long_is_found() -> None:
    def feed(data: bytes) -> None:
        until_s = time.thread_time() + 0.02
        while time.thread_time() < until_s:
            pass

    found = Campaign(Target("slow", lambda random: b"x", feed), seed=1, max_input_s=0.01).run(0, 1)
    assert isinstance(found, Finding)
    assert "took" in found.what


def test_memory_that_stays_is_found() -> None:
    kept: list[bytearray] = []
    target = Target("leak", lambda random: b"x", lambda data: kept.append(bytearray(b"x") * 2**20))
    found = Campaign(target, seed=1).run(0, 100)
    assert isinstance(found, Finding)
    assert "grew" in found.what
