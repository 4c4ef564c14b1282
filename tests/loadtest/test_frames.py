"""WebSocket as the clients of a swarm speak it, beside a library that does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as LibraryFrame
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from loadtest.frames import BINARY, TEXT, client_frame, split, status_of, upgrade_request

payloads = st.lists(st.binary(max_size=200) | st.sampled_from([bytes(125), bytes(126), bytes(65_535), bytes(65_536)]))


def server_bytes(opcode: Opcode, payload: bytes) -> bytes:
    return LibraryFrame(opcode, payload).serialize(mask=False)


@given(payloads, st.data())
def test_frames_are_found_wherever_what_came_was_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(server_bytes(Opcode.BINARY, payload) for payload in payloads)
    cut = data.draw(st.integers(0, len(stream)))

    first, rest = split(stream[:cut])
    second, end = split(stream[rest:])

    found = [stream[:cut][frame.start : frame.end] for frame in first]
    found += [stream[rest:][frame.start : frame.end] for frame in second]
    assert found == payloads
    assert rest + end == len(stream)
    assert {frame.opcode for frame in (*first, *second)} <= {BINARY}


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_server_reads_what_a_client_sends(size: int) -> None:
    server = ServerProtocol(max_size=None)
    server.receive_data(upgrade_request("127.0.0.1:80", "/", None, 7))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))

    server.receive_data(client_frame(b"x" * size, TEXT))

    (frame,) = server.events_received()
    assert isinstance(frame, LibraryFrame)
    assert (frame.opcode, frame.data) == (Opcode.TEXT, b"x" * size)


def test_a_subprotocol_is_offered_if_there_is_one() -> None:
    assert b"Sec-WebSocket-Protocol: p\r\n" in upgrade_request("h", "/", "p", 1)
    assert b"Protocol" not in upgrade_request("h", "/", None, 1)


@pytest.mark.parametrize(("head", "status"), [(b"HTTP/1.1 503 No", 503), (b"nonsense", 0), (b"HTTP/1.1 abc", 0)])
def test_the_status_of_an_answer_is_read(head: bytes, status: int) -> None:
    assert status_of(head) == status
