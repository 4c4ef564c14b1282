"""Commands in, replies and pushes out, in JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from wire import close, codec_json
from wire.client_messages import (
    ClientPublication,
    Command,
    ConnectRequest,
    Error,
    MessageError,
    Reply,
    SubscribeResult,
    UnsubscribeResult,
)


def decoded(frame: bytes) -> list[Command]:
    return [codec_json.decode(line) for line in codec_json.split(frame)]


def test_a_frame_holds_a_command_a_line_with_or_without_a_line_break_at_its_end() -> None:
    one, two = '{"id":1,"connect":{"token":"t"}}', '{"id":2,"unsubscribe":{"channel":"c"}}'
    for frame in (f"{one}\n{two}", f"{one}\n{two}\n"):
        commands = decoded(frame.encode())
        assert [command.id for command in commands] == [1, 2]
        assert commands[0].connect == ConnectRequest(token="t")


def test_a_pong_is_the_empty_command() -> None:
    assert decoded(b"{}") == [Command()]


def test_fields_that_sdks_may_add_are_passed_over() -> None:
    (command,) = decoded(b'{"id":1,"new":1,"subscribe":{"channel":"c","flag":1,"newer":{}}}')
    assert command.subscribe is not None
    assert (command.subscribe.channel, command.subscribe.flag) == ("c", 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\n",
        b"{}\n\n{}",
        b"null",
        b"[]",
        b'{"id":4294967296}',
        b'{"id":1.5}',
        b'{"id":1,"subscribe":{"offset":-1}}',
        b"\xff",
        b'{"id":1',
        b"[" * 100_000,
    ],
)
def test_what_is_no_command_is_an_error(frame: bytes) -> None:
    with pytest.raises(MessageError):
        decoded(frame)


@given(st.binary(max_size=100))
def test_any_bytes_are_commands_or_an_error(frame: bytes) -> None:
    commands, why = _decoded(frame)
    assert commands or why


def _decoded(frame: bytes) -> tuple[list[Command], str]:
    """The commands, or why there are none."""
    try:
        return decoded(frame), ""
    except MessageError as error:
        return [], str(error)


@given(st.text(max_size=50), st.integers(0, 2**53))
def test_a_publication_is_json_whatever_the_channel_is_called(channel: str, offset: int) -> None:
    push = codec_json.encode_publication(codec_json.encode_channel(channel), b'{"v":1}', offset)
    pub = {"data": {"v": 1}, "offset": offset} if offset else {"data": {"v": 1}}
    assert json.loads(push) == {"push": {"channel": channel, "pub": pub}}
    assert b"\n" not in push


def test_an_unsubscribe_push_has_its_code_and_reason() -> None:
    push = codec_json.encode_unsubscribe(codec_json.encode_channel("c"), 2500, "insufficient state")
    wanted = {"channel": "c", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}
    assert json.loads(push) == {"push": wanted}


def test_replies_leave_out_what_is_unset_and_keep_what_sdks_read_without_asking() -> None:
    error = codec_json.encode_reply(Reply(3, error=Error(100, "no", temporary=True)))
    assert json.loads(error) == {"id": 3, "error": {"code": 100, "message": "no", "temporary": True}}
    assert json.loads(codec_json.encode_reply(Reply(4, unsubscribe=UnsubscribeResult()))) == {
        "id": 4,
        "unsubscribe": {},
    }
    result = SubscribeResult(Raw(b"{}"), recovered=True, publications=(ClientPublication(Raw(b"[1]"), 7),))
    assert json.loads(codec_json.encode_reply(Reply(5, subscribe=result))) == {
        "id": 5,
        "subscribe": {"data": {}, "recovered": True, "publications": [{"data": [1], "offset": 7}]},
    }


def test_codes_are_unique_and_reasons_are_what_sdks_can_bear() -> None:
    for table in (close.CLOSES, close.UNSUBSCRIBES, close.ERRORS):
        codes = [entry.code for entry in table]
        assert len(codes) == len(set(codes))
    for entry in (*close.CLOSES, *close.UNSUBSCRIBES):
        assert 0 < len(entry.reason.encode()) <= 123
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(entry.reason)


def test_sdks_stop_at_terminal_closes_only() -> None:
    assert {entry.code for entry in close.CLOSES if entry.terminal} == {3500, 3501, 3502, 3503, 3508}


@given(st.text(max_size=300))
def test_a_detail_never_makes_a_reason_too_long_for_a_close_frame(detail: str) -> None:
    reason = close.BAD_REQUEST.because(detail).reason
    assert reason.isascii()
    assert len(reason) <= 123
