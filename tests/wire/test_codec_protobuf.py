"""Commands in, replies and pushes out, in protobuf: what JSON says, as an SDK's own module reads and writes it."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from centrifuge.codecs import _ProtobufCodec as SdkCodec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from wire import client_pb2 as proto
from wire import codec_json, codec_protobuf
from wire.client_messages import (
    ClientPublication,
    Command,
    ConnectRequest,
    ConnectResult,
    Error,
    HistoryResult,
    MessageError,
    RefreshResult,
    Reply,
    RpcRequest,
    RpcResult,
    SubscribeResult,
    UnsubscribeResult,
)

MAX_OFFSET: Final = 2**63 - 1
texts = st.text(max_size=40)
uint32s = st.integers(0, 2**32 - 1)
offsets = st.integers(0, MAX_OFFSET)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
raws = values.map(codec_json.raw)

# What the gateway answers.
publications = st.lists(st.builds(ClientPublication, data=raws, offset=offsets), max_size=3).map(tuple)
answers: Final = {
    "error": st.builds(Error, code=uint32s, message=texts, temporary=st.booleans()),
    "connect": st.builds(
        ConnectResult,
        client=texts,
        version=texts,
        data=raws,
        ping=uint32s,
        pong=st.booleans(),
        expires=st.booleans(),
        ttl=uint32s,
    ),
    "subscribe": st.builds(
        SubscribeResult,
        data=raws,
        recoverable=st.booleans(),
        positioned=st.booleans(),
        epoch=texts,
        offset=offsets,
        recovered=st.booleans(),
        was_recovering=st.booleans(),
        publications=publications,
    ),
    "unsubscribe": st.just(UnsubscribeResult()),
    "refresh": st.builds(RefreshResult, client=texts, version=texts, expires=st.booleans(), ttl=uint32s),
    "history": st.builds(HistoryResult, publications=publications, epoch=texts, offset=offsets),
    "rpc": st.builds(RpcResult, data=raws),
}
replies = st.sampled_from(sorted(answers)).flatmap(
    lambda kind: st.builds(lambda number, answer: Reply(number, **{kind: answer}), uint32s, answers[kind])
)

# What clients ask, in the names of the protocol.
positions = st.fixed_dictionaries({}, optional={"offset": offsets, "epoch": texts})
requests: Final = {
    "connect": st.fixed_dictionaries({}, optional={"token": texts, "name": texts, "version": texts, "data": values}),
    "subscribe": st.fixed_dictionaries(
        {"channel": texts},
        optional={
            "recover": st.booleans(),
            "epoch": texts,
            "offset": offsets,
            "data": values,
            "flag": st.integers(0, 3),
            "token": texts,
            "join_leave": st.booleans(),
        },
    ),
    "unsubscribe": st.fixed_dictionaries({"channel": texts}),
    "publish": st.fixed_dictionaries({"channel": texts, "data": values}),
    "presence": st.fixed_dictionaries({"channel": texts}),
    "presence_stats": st.fixed_dictionaries({"channel": texts}),
    "history": st.fixed_dictionaries(
        {"channel": texts},
        optional={"limit": st.integers(-(2**31), 2**31 - 1), "since": positions, "reverse": st.booleans()},
    ),
    "rpc": st.fixed_dictionaries({"method": texts, "data": values}),
    "refresh": st.fixed_dictionaries({"token": texts}),
    "sub_refresh": st.fixed_dictionaries({"channel": texts, "token": texts}),
    "send": st.fixed_dictionaries({"data": values}),
    "ping": st.just({}),
}
commands = st.builds(
    lambda number, asked: number | asked,
    st.fixed_dictionaries({}, optional={"id": uint32s}),
    st.fixed_dictionaries({}, optional=requests),
)


def decoded(frame: bytes) -> list[Command]:
    return [codec_protobuf.decode(line) for line in codec_protobuf.split(frame)]


def only(frame: bytes) -> bytes:
    """The one message of a frame."""
    (message,) = codec_protobuf.split(frame)
    return message


def command(**fields: Any) -> bytes:
    return proto.Command(**fields).SerializeToString()


def _prefixed(**fields: Any) -> bytes:
    line = command(id=7, **fields)
    return bytes((len(line),)) + line


def as_sdk_writes(asked: Any) -> Any:
    """Data as the SDK takes it: bytes, in base64."""
    if not isinstance(asked, dict):
        return asked
    return {
        name: base64.b64encode(json.dumps(value).encode()).decode() if name == "data" else as_sdk_writes(value)
        for name, value in asked.items()
    }


def as_sdk_read(told: Any, name: str = "") -> Any:
    """What the SDK's module read, with data and long integers as JSON has them."""
    if name == "data":
        return json.loads(base64.b64decode(told))
    if name == "offset":
        return int(told)
    if isinstance(told, dict):
        return {field: as_sdk_read(value, field) for field, value in told.items()}
    return [as_sdk_read(each) for each in told] if isinstance(told, list) else told


def without_defaults(told: Any, name: str = "") -> Any:
    """JSON as protobuf says it: 0, false, nothing are not written."""
    if name != "data" and isinstance(told, dict):
        kept = {field: without_defaults(value, field) for field, value in told.items()}
        return {f: v for f, v in kept.items() if f == "data" or isinstance(v, dict) or v not in (0, "", [])}
    return [without_defaults(each) for each in told] if name == "publications" else told


@given(replies)
def test_a_reply_says_what_it_says_in_json_to_an_sdk(reply: Reply) -> None:
    (told,) = SdkCodec.decode_replies(codec_protobuf.encode_reply(reply))
    assert as_sdk_read(told) == without_defaults(json.loads(codec_json.encode_reply(reply)))


@given(commands)
def test_a_command_that_an_sdk_writes_is_the_one_that_json_says(asked: dict[str, Any]) -> None:
    (found,) = decoded(SdkCodec.encode_commands([as_sdk_writes(asked)]))
    assert found == codec_json.decode(json.dumps(asked).encode())


@given(st.lists(commands, min_size=1, max_size=4))
def test_a_frame_holds_commands_one_behind_the_other(asked: list[dict[str, Any]]) -> None:
    found = decoded(SdkCodec.encode_commands([as_sdk_writes(each) for each in asked]))
    wanted = [codec_json.decode(json.dumps(each).encode()) for each in asked]
    assert found == [each for i, each in enumerate(wanted) if each != Command() or i == 0 or wanted[i - 1] != each]


def test_a_ping_is_a_message_of_no_bytes_and_so_is_its_pong() -> None:
    assert codec_protobuf.PING == b"\0"
    pong: Any = {}
    assert SdkCodec.encode_commands([pong]) == codec_protobuf.PING
    assert decoded(b"\0") == [Command()]
    (told,) = SdkCodec.decode_replies(codec_protobuf.PING)
    assert told == {}


def test_of_many_pongs_in_a_row_one_is_taken() -> None:
    one = _prefixed()
    assert codec_protobuf.split(b"\0" * 60_000) == [b""]
    assert decoded(b"\0\0" + one + one + b"\0\0\0") == [Command(), Command(7), Command(7), Command()]


def test_a_frame_holds_as_many_commands_as_can_mean_something() -> None:
    one = _prefixed(unsubscribe=proto.UnsubscribeRequest(channel="bars:D:S@1m"))
    assert len(codec_protobuf.split(one * (65_536 // len(one)))) > 3_600
    with pytest.raises(MessageError, match="at most 4096 commands"):
        codec_protobuf.split(b"\0\x02\x08\x07" * 2_049)


def test_fields_that_sdks_may_add_are_passed_over() -> None:
    newer = b"\xfa\x07\x01x"  # field 127
    line = command(id=1, subscribe=proto.SubscribeRequest.FromString(b"\x0a\x01c" + newer)) + newer
    assert codec_protobuf.decode(line) == codec_json.decode(b'{"id":1,"subscribe":{"channel":"c"}}')
    assert codec_protobuf.decode(newer) == Command()


def test_data_is_taken_as_it_is_whether_or_not_it_is_json() -> None:
    found = codec_protobuf.decode(command(id=1, rpc=proto.RpcRequest(method="time", data=b"\xff{")))
    assert found.rpc == RpcRequest("time", Raw(b"\xff{"))


def test_an_offset_is_as_large_as_in_json_at_most() -> None:
    for asked in (
        proto.Command(id=1, subscribe=proto.SubscribeRequest(channel="c", offset=MAX_OFFSET + 1)),
        proto.Command(id=1, history=proto.HistoryRequest(channel="c", since=proto.Since(offset=2**64 - 1))),
    ):
        with pytest.raises(MessageError, match="expected an offset"):
            codec_protobuf.decode(asked.SerializeToString())
    found = codec_protobuf.decode(command(subscribe=proto.SubscribeRequest(offset=MAX_OFFSET)))
    assert found.subscribe is not None
    assert found.subscribe.offset == MAX_OFFSET


def test_a_length_may_be_written_longer_than_need_be() -> None:
    for length in (b"\x02", b"\x82\x00", b"\x82\x80\x80\x80\x00"):
        assert decoded(length + command(id=7)) == [Command(7)]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x01",
        b"\x80",
        b"\x05\x08\x01",
        b"\0\x02\x08",
        b"\x80\x80\x80\x80\x80\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\x0f\x08",
        b"\x02\x08\x80",  # a number without an end
        b"\x02\x22\x05",  # connect beyond the end
        b"\x05\x22\x03\x0a\x01\xff",  # a token that is no UTF-8
        b"\x01\x0c",  # the end of a group that never began
        b'{"id":1,"connect":{}}',
        b"\x01\x07",
    ],
)
def test_what_is_no_command_is_an_error(frame: bytes) -> None:
    with pytest.raises(MessageError, match=r"."):
        decoded(frame)


@given(st.binary(max_size=200))
@example(b"\xe4\x9c\x01" + b"\x0b" * 20_068)
@example(b"\x80\x9e\x01" + b"\x22\x7e" * 10_112)
def test_any_bytes_are_commands_or_an_error(frame: bytes) -> None:
    found, why = _decoded(frame)
    assert found or why


@given(commands, st.integers(0, 2000), st.integers(0, 255))
def test_a_command_with_one_byte_changed_is_a_command_or_an_error(asked: dict[str, Any], at: int, byte: int) -> None:
    frame = bytearray(SdkCodec.encode_commands([as_sdk_writes(asked)]))
    frame[at % len(frame)] = byte
    found, why = _decoded(bytes(frame))
    assert found or why


def _decoded(frame: bytes) -> tuple[list[Command], str]:
    """The commands, or why there are none."""
    try:
        return decoded(frame), ""
    except MessageError as error:
        return [], str(error)


@given(st.text(min_size=1, max_size=300), st.integers(0, 70_000), offsets)
@example("c" * 127, 127, 127)
@example("c" * 128, 2_047, 2_047)
@example("c", 2_048, 2_048)
@example("bars:DEMO:S01@1m", 16_383, 2**14)
@example("bars:DEMO:S01@1m", 2**21, MAX_OFFSET)
def test_a_publication_is_one_message_whatever_its_sizes(channel: str, payload_bytes: int, offset: int) -> None:
    payload = b'"%b"' % (b"x" * payload_bytes)
    frame = codec_protobuf.encode_publication(codec_protobuf.encode_channel(channel), payload, offset)
    wanted = proto.Reply(push=proto.Push(channel=channel, pub=proto.Publication(data=payload, offset=offset)))
    assert proto.Reply.FromString(only(frame)) == wanted
    (told,) = SdkCodec.decode_replies(frame)
    pub = {"data": json.loads(payload), "offset": offset} if offset else {"data": json.loads(payload)}
    assert as_sdk_read(told) == {"push": {"channel": channel, "pub": pub}}


@given(st.text(min_size=1, max_size=300), st.integers(1, 2**32 - 1), st.text(min_size=1, max_size=200))
def test_an_unsubscribe_push_has_its_code_and_reason(channel: str, code: int, reason: str) -> None:
    frame = codec_protobuf.encode_unsubscribe(codec_protobuf.encode_channel(channel), code, reason)
    wanted = {"channel": channel, "unsubscribe": {"code": code, "reason": reason}}
    assert SdkCodec.decode_replies(frame) == [{"push": wanted}]


def test_a_connect_request_is_read_by_its_numbers() -> None:
    assert codec_protobuf.decode(b"\x08\x07\x22\x0a\x0a\x01t\x22\x01n\x2a\x02v1") == Command(
        7, connect=ConnectRequest("t", "n", "v1")
    )


def test_the_generated_module_is_what_the_definitions_give(repository: Path, tmp_path: Path) -> None:
    """To make it anew: this command, with ``.`` for both directories."""
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={repository}"),
            *(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", f"{repository}/wire/client.proto"),
        ],
        check=True,
    )
    for name in ("wire/client_pb2.py", "wire/client_pb2.pyi"):
        assert (tmp_path / name).read_text() == (repository / name).read_text()


def test_every_field_has_the_name_number_and_type_of_the_sdks_own() -> None:
    from centrifuge.protocol import client_pb2 as sdk  # noqa: PLC0415 - named as ours is

    ours_to_theirs = {"RpcRequest": "RPCRequest", "RpcResult": "RPCResult", "Since": "StreamPosition"}
    for name, message in proto.DESCRIPTOR.message_types_by_name.items():
        if name == "NotOffered":
            continue
        theirs = sdk.DESCRIPTOR.message_types_by_name[ours_to_theirs.get(name, name)].fields_by_name
        for field in message.fields:
            other = theirs[field.name]
            assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
