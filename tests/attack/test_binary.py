"""The same in protobuf: bytes that are no commands end their own connection only, and never by a fault of ours."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attack.attacker import BINARY, CLOSE, TEXT, Attacker, attacker, frame, handshake, serves
from tests.attack.test_messages import CODES, no_fault_of_ours
from tests.gateway.service import BARS, Service, running
from wire import client_pb2 as proto


def prefixed(message: bytes) -> bytes:
    """A message behind its length."""
    size, length = len(message), b""
    while size >= 0x80:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return length + bytes((size,)) + message


def sent(*commands: proto.Command) -> bytes:
    return b"".join(prefixed(each.SerializeToString()) for each in commands)


CONNECT = sent(proto.Command(id=1, connect=proto.ConnectRequest(token="all")))
TIME = proto.Command(id=9, rpc=proto.RpcRequest(method="time"))


@asynccontextmanager
async def binary(service: Service) -> AsyncIterator[Attacker]:
    """A connection in protobuf that was granted."""
    async with attacker(service.port) as peer:
        peer.send(handshake("Sec-WebSocket-Protocol: centrifuge-protobuf"), frame(CONNECT, BINARY))
        assert b"centrifuge-protobuf" in await peer.head()
        assert (await peer.frame())[0] == BINARY
        yield peer


NO_COMMANDS = {
    "nothing": b"",
    "a length without an end": b"\xff" * 10,
    "a length beyond the frame": b"\x7f\x08\x02",
    "a length of 2^35-1": b"\xff\xff\xff\xff\x7f",
    "a field that is cut": prefixed(b"\x08"),
    "a number of eleven bytes": prefixed(b"\x08" + b"\xff" * 10 + b"\x01"),
    "a text longer than its message": prefixed(b"\x08\x02\x22\x04\x0a\x7fab"),
    "a text that is not UTF-8": prefixed(b"\x08\x02\x2a\x04\x0a\x02\xff\xfe"),
    "a surrogate in a text": prefixed(b"\x08\x02\x2a\x05\x0a\x03\xed\xa0\x80"),
    "field 0": prefixed(b"\x00\x01"),
    "a wire type that there is not": prefixed(b"\x0f\x01"),
    "groups in groups": prefixed(b"\xa3\x06" * 20_000),
    "the end of a group that did not begin": prefixed(b"\xa4\x06"),
    "no method": prefixed(b"\x08\x02"),
    "no id": sent(proto.Command(rpc=proto.RpcRequest(method="time"))),
    "an offset above 2^63": sent(
        proto.Command(id=2, subscribe=proto.SubscribeRequest(channel=BARS, recover=True, offset=2**64 - 1))
    ),
    "JSON": b'{"id":2,"rpc":{"method":"time"}}',
}


@pytest.mark.parametrize("message", NO_COMMANDS.values(), ids=NO_COMMANDS)
async def test_what_is_no_command_is_closed_with_3501(message: bytes) -> None:
    with no_fault_of_ours():
        async with running() as service, binary(service) as peer:
            peer.send(frame(message, BINARY))
            assert (await peer.ending()).code == 3501
            await serves(service)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"{", b"[" * 50_000, b'{"q":NaN}', b'{"q":"\\ud800"}', b"\xff\xfe", b"9" * 5000]
)
async def test_data_that_is_no_json_is_refused_and_the_connection_goes_on(data: bytes) -> None:
    requests = (
        proto.Command(id=2, rpc=proto.RpcRequest(method="instruments", data=data)),
        proto.Command(id=3, rpc=proto.RpcRequest(method="validate", data=data)),
        proto.Command(id=4, subscribe=proto.SubscribeRequest(channel=BARS, data=data)),
    )
    with no_fault_of_ours():
        async with running() as service, binary(service) as peer:
            for request in requests:
                peer.send(frame(sent(request), BINARY))
                opcode, _ = await peer.frame()
                assert opcode == BINARY
            peer.send(frame(sent(TIME), BINARY))
            while b"time_ms" not in (await peer.frame())[1]:
                pass


async def test_text_is_closed_with_1003_and_so_is_binary_where_text_was_agreed() -> None:
    async with running() as service, binary(service) as peer:
        peer.send(frame(b"{}", TEXT))
        assert (await peer.ending()).code == 1003


PIECES = st.binary(max_size=30) | st.sampled_from([sent(TIME), CONNECT, b"\x00", b"\x05\x08\x02\x2a\x01\x0a", b"\xff"])


@settings(max_examples=20)
@given(st.lists(st.lists(PIECES, max_size=6).map(b"".join), min_size=1, max_size=12))
async def test_whatever_is_sent_is_answered_or_ends_that_client_with_a_code_of_the_table(
    messages: Iterable[bytes],
) -> None:
    with no_fault_of_ours():
        async with running() as service:
            for message in messages:
                async with binary(service) as peer:
                    peer.send(frame(message, BINARY), frame(b"\x03\xe8", CLOSE))
                    assert (await peer.ending()).code in CODES | {1000}
            await serves(service)
