"""Frames that RFC 6455 forbids, or that are made to cost: each ends its own connection only, with the right code."""

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway.config import OutboxConfig
from gateway.websocket import MAX_FRAGMENTS, MAX_MESSAGE_BYTES
from tests.attack.attacker import (
    BINARY,
    CLOSE,
    CONNECT,
    CONT,
    PING,
    PONG,
    TEXT,
    Ending,
    attacker,
    command,
    frame,
    handshake,
    known,
    opened,
    serves,
)
from tests.gateway.service import BARS, running
from tests.gateway.slow_reader import slow_reader
from tests.waiting import until

TIME = command(2, rpc={"method": "time"})
FOUR_BYTES = "😀".encode()


async def ends(*frames: bytes) -> Ending:
    """How a connection that was granted ends when these frames come; others are served all the same."""
    async with running() as service, known(service) as peer:
        peer.send(*frames)
        ending = await peer.ending()
        await serves(service)
    return ending


# forbidden

FORBIDDEN = {
    "not masked": frame(TIME, masked=False),
    "not masked, ping": frame(opcode=PING, masked=False),
    "not masked, close": frame(b"\x03\xe8", CLOSE, masked=False),
    **{f"reserved bits {rsv}": frame(TIME, rsv=rsv) for rsv in range(1, 8)},
    "reserved bit of a ping": frame(opcode=PING, rsv=4),
    "reserved bit of a continuation": frame(b"{", fin=False) + frame(b"}", CONT, rsv=4),
    **{f"reserved opcode {opcode}": frame(TIME, opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "ping of 126 bytes": frame(b"x" * 126, PING),
    "pong of 65,536 bytes": frame(b"x" * 65_536, PONG),
    "close of 126 bytes": frame(b"\x03\xe8" + b"x" * 124, CLOSE),
    "ping in fragments": frame(opcode=PING, fin=False),
    "close in fragments": frame(b"\x03\xe8", CLOSE, fin=False),
    "continuation of nothing": frame(TIME, CONT),
    "end of nothing": frame(b"", CONT),
    "a message within a message": frame(b"{", fin=False) + frame(TIME),
    "binary within text": frame(b"{", fin=False) + frame(b"}", BINARY),
    "close of one byte": frame(b"\x03", CLOSE),
    **{
        f"close {code}": frame(code.to_bytes(2, "big"), CLOSE)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "close within a message": frame(b"{", fin=False) + frame(b"\x03\xe8", CLOSE),
}


@pytest.mark.parametrize("sent", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_what_the_specification_forbids_is_closed_with_1002(sent: bytes) -> None:
    assert (await ends(sent)).code == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
async def test_a_close_that_is_allowed_is_answered_with_its_own_code(code: int) -> None:
    ending = await ends(frame(code.to_bytes(2, "big") + b"bye", CLOSE))
    assert (ending.code, ending.reason) == (code, "bye")


async def test_a_close_without_a_code_is_answered_without_one() -> None:
    assert (await ends(frame(opcode=CLOSE))).code == 1005


async def test_a_fault_of_a_client_is_written_and_counted_with_its_code() -> None:
    with capture_logs() as logs:
        async with running() as service:
            for sent, code in ((frame(rsv=1), 1002), (frame(b"\xff"), 1007), (frame(size=2**40), 1009)):
                async with known(service) as peer:
                    peer.send(sent)
                    assert (await peer.ending()).code == code
                await until(lambda: service.sample("gateway_connections") == 0)
                assert service.sample("gateway_closes_total", {"code": str(code)}) == 1
            async with known(service) as peer:
                peer.send(frame(b"\x03\xe8", CLOSE))
                assert (await peer.ending()).code == 1000
            await until(lambda: service.sample("gateway_connections") == 0)
            assert service.sample("gateway_closes_total", {"code": "1000"}) is None, "that was the client"
    closed = [(line["code"], line["cause"]) for line in logs if line["event"] == "connection.closed"]
    assert [code for code, _ in closed] == [1002, 1007, 1009, 1000]
    assert [cause for _, cause in closed][3] == "client"
    assert "client" not in [cause for _, cause in closed][:3]


async def test_a_client_that_broke_the_rules_and_does_not_read_is_cut() -> None:
    patient = OutboxConfig(oldest_s=60.0, stalled_s=60.0)
    async with running(outbox=patient) as service, slow_reader(service) as slow:
        await slow.ask({"id": 2, "subscribe": {"channel": BARS}})
        while not service.sample("gateway_congested"):
            await service.engine.publish(BARS, "x" * 8000, final=True)
            await asyncio.sleep(0)
        await slow.send_raw(frame(rsv=1))
        async with asyncio.timeout(8):  # the kernel would give it up after 10
            await until(lambda: service.sample("gateway_connections") == 0)


# not UTF-8

INVALID = {
    "a byte that never occurs": b"\xff",
    "a lone continuation": b"\x80",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xe0\x80\x80",
    "a surrogate": b"\xed\xa0\x80",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "cut short": FOUR_BYTES[:3],
    "cut and begun anew": FOUR_BYTES[:2] + FOUR_BYTES,
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
async def test_text_that_is_not_utf8_is_closed_with_1007_however_it_is_cut(text: bytes) -> None:
    message = b'{"id":2,"rpc":{"method":"' + text + b'"}}'
    assert (await ends(frame(message))).code == 1007
    pieces = [message[at : at + 1] for at in range(len(message))]
    cut = [frame(piece, CONT if at else TEXT, fin=at == len(pieces) - 1) for at, piece in enumerate(pieces)]
    assert (await ends(*cut)).code == 1007


async def test_a_close_reason_that_is_not_utf8_is_closed_with_1007() -> None:
    assert (await ends(frame(b"\x03\xe8\xff\xfe", CLOSE))).code == 1007


async def test_a_character_may_be_split_over_frames_with_control_frames_in_between() -> None:
    text = b'{"id":2,"rpc":{"method":"' + FOUR_BYTES + b'"}}'
    async with running() as service, known(service) as peer:
        for at in range(len(text)):
            last = at == len(text) - 1
            peer.send(frame(text[at : at + 1], CONT if at else TEXT, fin=last), frame(b"%d" % at, PING))
        assert (await peer.message())["error"]["code"] == 104


# too much

HUGE = [65_536 + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("size", HUGE)
async def test_a_message_that_claims_to_be_too_large_is_closed_with_1009_before_it_comes(size: int) -> None:
    assert (await ends(frame(size=size))).code == 1009
    assert (await ends(frame(b"{", fin=False), frame(opcode=CONT, size=size))).code == 1009
    assert (await ends(frame(opcode=PING, size=size))).code in {1002, 1009}


async def test_a_message_of_64_kib_is_read_and_one_byte_more_is_not() -> None:
    padded = TIME + b" " * (MAX_MESSAGE_BYTES - len(TIME))
    async with running() as service, known(service) as peer:
        peer.send(frame(padded))
        assert "rpc" in await peer.message()
        half = MAX_MESSAGE_BYTES // 2
        peer.send(frame(padded[:half], fin=False), frame(padded[half:], CONT))
        assert "rpc" in await peer.message()
        peer.send(frame(padded + b" "))
        assert (await peer.ending()).code == 1009
    assert (await ends(frame(padded[:half], fin=False), frame(padded[half:] + b" ", CONT))).code == 1009


@pytest.mark.parametrize("piece", [b"", b"x"], ids=["empty", "tiny"])
async def test_fragments_are_counted_and_not_only_their_bytes(piece: bytes) -> None:
    flood = frame(piece, fin=False) + frame(piece, CONT, fin=False) * 100_000
    ending = await ends(flood)
    assert ending.code == 1008
    assert str(MAX_FRAGMENTS) in ending.reason


async def test_a_message_without_an_end_is_bounded_before_connect_too() -> None:
    async with running() as service, opened(service) as peer:
        peer.send(frame(b" " * 300, fin=False), *[frame(b" " * 300, CONT, fin=False)] * 300)
        assert (await peer.ending()).code in {1008, 1009}
        await serves(service)


# nothing after the end


async def test_nothing_is_done_that_comes_behind_a_close() -> None:
    subscribe = frame(command(3, subscribe={"channel": "bars:DEMO:S01@1m"}))
    async with running() as service, known(service) as peer:
        peer.send(frame(TIME), frame(b"\x03\xe8", CLOSE), frame(TIME), subscribe)
        ending = await peer.ending()
        assert ending.code == 1000
        assert [message["id"] for message in ending.messages] in ([], [2])
        assert service.sample("gateway_subscriptions") == 0


async def test_nothing_is_done_that_comes_behind_a_fault_in_the_same_bytes() -> None:
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake(), frame(rsv=4), CONNECT)
        await peer.head()
        ending = await peer.ending()
        assert (ending.code, ending.messages) == (1002, [])
        assert service.users.requests["all"] == 0


async def test_a_flood_of_closes_is_answered_once() -> None:
    ending = await ends(frame(b"\x03\xe8", CLOSE) * 50_000)
    assert (ending.code, ending.messages) == (1000, [])


# compression: there is none, so that no bomb can be sent

OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8",
    "x-webkit-deflate-frame, permessage-deflate, permessage-bzip2",
]


@pytest.mark.parametrize("offer", OFFERS)
async def test_no_compression_is_granted_and_a_compressed_frame_is_closed_with_1002(offer: str) -> None:
    async with running() as service, attacker(service.port) as peer:
        peer.send(handshake(f"Sec-WebSocket-Extensions: {offer}"))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        peer.send(CONNECT)
        assert "connect" in await peer.message()
        peer.send(frame(bytes.fromhex("aa560600"), rsv=4))
        assert (await peer.ending()).code == 1002
