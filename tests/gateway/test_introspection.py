"""What counts as an answer of the user service, and how long answers are kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.introspection import INACTIVE, ExpiringCache, Introspection, Limits, decode_introspection

FULL = {
    "active": True,
    "sub": "42",
    "exp": 1_800_000_000,
    "plan": "pro",
    "channels": ["bars:BINANCE:*"],
    "limits": {"connections": 5, "subscriptions": 200, "live_rate": 10},
    "watermark": True,
}


def test_an_active_answer_is_read_in_full() -> None:
    assert decode_introspection(json.dumps(FULL).encode()) == Introspection(
        active=True,
        sub="42",
        exp=1_800_000_000,
        plan="pro",
        channels=("bars:BINANCE:*",),
        limits=Limits(connections=5, subscriptions=200, live_rate=10.0),
        watermark=True,
    )


def test_an_active_answer_needs_only_its_subject_and_then_entitles_to_nothing() -> None:
    answer = decode_introspection(b'{"active": true, "sub": "42"}')

    assert answer == Introspection(active=True, sub="42")
    assert answer.channels == ()
    assert answer.exp is None


def test_fields_that_are_not_ours_are_passed_over() -> None:
    assert decode_introspection(b'{"active": true, "sub": "42", "scope": "read", "client_id": [1]}').sub == "42"


@pytest.mark.parametrize("body", [b'{"active": false}', b'{"active": false, "sub": 42, "channels": ["*"], "exp": "x"}'])
def test_of_an_inactive_answer_nothing_else_is_believed(body: bytes) -> None:
    assert decode_introspection(body) == INACTIVE


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b'{"active": true', id="cut short"),
        pytest.param(b"[true]", id="no object"),
        pytest.param(b"{}", id="no active"),
        pytest.param(b'{"active": "true", "sub": "42"}', id="active as text"),
        pytest.param(b'{"active": 1, "sub": "42"}', id="active as a number"),
        pytest.param(b'{"active": true}', id="no subject"),
        pytest.param(b'{"active": true, "sub": ""}', id="an empty subject"),
        pytest.param(b'{"active": true, "sub": 42}', id="a subject that is a number"),
        pytest.param(b'{"active": true, "sub": "42", "exp": "soon"}', id="exp as text"),
        pytest.param(b'{"active": true, "sub": "42", "exp": 1e300}', id="exp beyond all years"),
        pytest.param(b'{"active": true, "sub": "42", "exp": -1}', id="exp before the epoch"),
        pytest.param(b'{"active": true, "sub": "42", "channels": "*"}', id="channels as text"),
        pytest.param(b'{"active": true, "sub": "42", "channels": [1]}', id="a channel that is a number"),
        pytest.param(b'{"active": true, "sub": "42", "limits": {"connections": -1}}', id="a negative limit"),
        pytest.param(b'{"active": true, "sub": "42", "watermark": "no"}', id="watermark as text"),
        pytest.param(b'{"active": true, "sub": "\xff"}', id="no UTF-8"),
        pytest.param(b'{"active": true, "sub": "42", "x": ' + b"[" * 100_000, id="nested without end"),
    ],
)
def test_anything_else_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match="expected an introspection"):
        decode_introspection(body)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_value_error(body: bytes) -> None:
    try:
        decode_introspection(body)
    except ValueError as error:
        assert "expected an introspection" in str(error)  # noqa: PT017 - most bytes are no answer, some may be


def test_a_token_without_an_end_never_expires() -> None:
    assert not Introspection(active=True, sub="42").expired(wall_ns=2**62)


def test_a_token_expires_at_its_end_and_not_before() -> None:
    answer = Introspection(active=True, sub="42", exp=1000)

    assert not answer.expired(wall_ns=999_999_999_999)
    assert answer.expired(wall_ns=1_000_000_000_000)


def test_a_value_is_kept_until_its_time() -> None:
    cache: ExpiringCache[str] = ExpiringCache(2)
    cache.put(b"a", "one", until_ns=10)

    assert cache.get(b"a", now_ns=9) == "one"
    assert cache.get(b"a", now_ns=10) is None
    assert len(cache) == 0


def test_a_new_value_takes_the_place_of_the_old_one() -> None:
    cache: ExpiringCache[str] = ExpiringCache(2)
    cache.put(b"a", "one", until_ns=10)
    cache.put(b"a", "two", until_ns=20)

    assert cache.get(b"a", now_ns=15) == "two"
    assert len(cache) == 1


def test_a_full_cache_gives_up_what_it_took_first() -> None:
    cache: ExpiringCache[int] = ExpiringCache(3)
    for key in (b"a", b"b", b"c", b"d"):
        cache.put(key, 1, until_ns=10)

    assert [cache.get(key, now_ns=0) for key in (b"a", b"b", b"c", b"d")] == [None, 1, 1, 1]


def test_a_value_put_again_pushes_nothing_out_and_is_the_newest() -> None:
    cache: ExpiringCache[int] = ExpiringCache(2)
    for key in (b"a", b"b", b"b"):
        cache.put(key, 1, until_ns=10)
    kept = [cache.get(key, now_ns=0) for key in (b"a", b"b")]
    for key in (b"a", b"c"):
        cache.put(key, 1, until_ns=10)

    assert kept == [1, 1]
    assert [cache.get(key, now_ns=0) for key in (b"a", b"b", b"c")] == [1, None, 1]
