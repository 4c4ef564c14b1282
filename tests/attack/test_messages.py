"""Messages that are none, or that are made to cost: each ends its own connection only, and never by a fault of ours."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.attack.attacker import Attacker, command, frame, known, opened, serves
from tests.gateway.service import BARS, RSI, running
from wire.close import CLOSES

FAULTS = {3004, 1011}
CODES = {each.code for each in CLOSES} - FAULTS | {1002, 1003, 1007, 1008, 1009}
END = frame(b"\x03\xe8", 8)


@contextmanager
def no_fault_of_ours() -> Iterator[None]:
    """Check that nothing was logged that is more than the end of a client."""
    with capture_logs() as logs:
        yield
    assert [line for line in logs if line["log_level"] not in {"info", "debug"}] == []


# what is no command

DEEP = 30_000
NO_COMMANDS = {
    "nested arrays": b"[" * 60_000,
    "nested objects": b'{"a":' * 12_000,
    "nested in what is passed over": b'{"id":2,"new":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "nested in data": b'{"id":2,"rpc":{"method":"time","data":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "a number of 60,000 digits": b'{"id":' + b"9" * 60_000 + b"}",
    "an offset of 60,000 digits": b'{"id":2,"subscribe":{"channel":"x","offset":' + b"9" * 60_000 + b"}}",
    "an offset above 2^63": b'{"id":2,"subscribe":{"channel":"x","offset":9223372036854775808}}',
    "an exponent without end": b'{"id":1e99999999}',
    "a fraction": b'{"id":2.5}',
    "a negative id": b'{"id":-2}',
    "minus zero and a half": b'{"id":-0.5}',
    "an id above 32 bits": b'{"id":4294967296}',
    "NaN": b'{"id":NaN}',
    "infinity": b'{"id":Infinity}',
    "minus infinity": b'{"id":2,"history":{"channel":"x","limit":-Infinity}}',
    "NaN in what is passed over": b'{"id":2,"new":NaN}',
    "true as an id": b'{"id":true,"rpc":{"method":"time"}}',
    "null as an id": b'{"id":null,"rpc":{"method":"time"}}',
    "a leading zero": b'{"id":02,"rpc":{"method":"time"}}',
    "hexadecimal": b'{"id":0x2,"rpc":{"method":"time"}}',
    "single quotes": b"{'id':2}",
    "a comment": b'{"id":2/*x*/}',
    "a comma at the end": b'{"id":2,}',
    "two values": b'{"id":2}{"id":3}',
    "a byte order mark": b'\xef\xbb\xbf{"id":2,"rpc":{"method":"time"}}',
    "a raw control character": b'{"id":2,"rpc":{"method":"ti\x01me"}}',
    "NUL at the end": b'{"id":2,"rpc":{"method":"time"}}\x00',
    "a lone surrogate": b'{"id":2,"rpc":{"method":"\\ud800"}}',
    "a lone low surrogate": b'{"id":2,"subscribe":{"channel":"\\udc00"}}',
    "surrogates the wrong way round": b'{"id":2,"rpc":{"method":"\\udc00\\ud800"}}',
    "half an escape": b'{"id":2,"rpc":{"method":"\\u12"}}',
    "a method that is no object": b'{"id":2,"subscribe":[]}',
    "a channel that is no text": b'{"id":2,"subscribe":{"channel":["x"]}}',
    "a channel that is an object": b'{"id":2,"subscribe":{"channel":{"$ne":""}}}',
    "only spaces": b" " * 1000,
    "a text": b'"connect"',
    "no method": b'{"id":2}',
    "a method that there is not": b'{"id":2,"__class__":{}}',
    "a ping of the client": b'{"id":2,"ping":{}}',
}


@pytest.mark.parametrize("message", NO_COMMANDS.values(), ids=NO_COMMANDS)
async def test_what_is_no_command_is_closed_with_3501(message: bytes) -> None:
    with no_fault_of_ours():
        async with running() as service, known(service) as peer:
            peer.send(frame(message))
            ending = await peer.ending()
            await serves(service)
    assert ending.code == 3501
    assert ending.messages == []
    assert ending.reason.isascii()
    assert ending.reason.isprintable()


async def test_a_megabyte_of_text_is_closed_with_1009() -> None:
    async with running() as service, known(service) as peer:
        peer.send(frame(command(2, rpc={"method": "x" * 1_000_000})))
        assert (await peer.ending()).code == 1009
        await serves(service)


# what is odd, and one thing only

LONG = "x" * 60_000
ODD: dict[str, tuple[bytes, int]] = {
    "a channel of 60,000 letters": (command(2, subscribe={"channel": LONG}), 107),
    "an rpc method of 60,000 letters": (command(2, rpc={"method": LONG}), 104),
    "a channel of control characters": (command(2, subscribe={"channel": "\x00\x1b[31m\r\n"}), 107),
    "a channel of other scripts": (command(2, subscribe={"channel": "bars:\uff24EMO:S01@1m"}), 107),
    "a channel with a path in it": (command(2, subscribe={"channel": "bars:DEMO:../S01@1m"}), 107),
    "a position beyond the end": (
        command(2, subscribe={"channel": BARS, "recover": True, "offset": 2**63 - 1, "epoch": LONG[:100], "flag": 2}),
        112,
    ),
    "a flag of 4,000 digits": (
        b'{"id":2,"subscribe":{"channel":"%b","recover":true,"epoch":"x","flag":%b}}' % (BARS.encode(), b"2" * 4000),
        112,
    ),
    "a limit of 4,000 digits and a stranger's epoch": (
        b'{"id":2,"history":{"channel":"%b","limit":%b,"since":{"epoch":"x"}}}' % (BARS.encode(), b"9" * 4000),
        112,
    ),
    "numbers as rpc data": (b'{"id":2,"rpc":{"method":"instruments","data":1e308}}', 107),
    "nested rpc data": (b'{"id":2,"rpc":{"method":"instruments","data":' + b"[" * 500 + b"]" * 500 + b"}}", 107),
}


@pytest.mark.parametrize(("message", "code"), ODD.values(), ids=ODD)
async def test_what_is_odd_is_refused_and_the_connection_goes_on(message: bytes, code: int) -> None:
    with no_fault_of_ours():
        async with running() as service, known(service) as peer:
            await service.engine.compute(BARS)
            peer.send(frame(message), frame(command(3, rpc={"method": "time"})))
            refused = await peer.message()
            assert (refused["id"], refused["error"]["code"]) == (2, code)
            assert "rpc" in await peer.message()


async def test_of_a_name_that_is_given_twice_the_last_counts_everywhere() -> None:
    async with running() as service, opened(service) as peer:
        peer.send(frame(b'{"id":1,"id":7,"connect":{"token":"all"},"connect":{"token":"few","token":"none"}}'))
        reply = await peer.message()
        assert (reply["id"], "connect" in reply) == (7, True)
        peer.send(frame(b'{"id":2,"subscribe":{"channel":"x","channel":"bars:DEMO:S01@1m"}}'))
        assert (await peer.message())["error"]["code"] == 103, "as who it is in the end"
        assert service.users.requests["all"] == 0


async def test_an_expression_that_could_reach_python_is_an_error_with_a_place() -> None:
    async with running() as service, known(service) as peer:
        for text in (
            "__import__('os')",
            "close.__class__",
            "().__class__",
            "exec(1)",
            "lambda: 1",
            "close" + "[1]" * 60,
        ):
            peer.send(frame(command(2, subscribe={"channel": f"signals:DEMO:S01@1m:{text}"})))
            assert (await peer.message())["error"]["code"] == 107


# anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=5,
)
NAMES = st.sampled_from([BARS, RSI, "trades:DEMO:S01", "status:DEMO", "screens:DEMO@1m:close>open", "x", ""])
METHODS = st.sampled_from(
    [
        "connect",
        "subscribe",
        "unsubscribe",
        "publish",
        "presence",
        "presence_stats",
        "history",
        "rpc",
        "refresh",
        "sub_refresh",
        "send",
        "ping",
    ]
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "channel": NAMES | JSON,
        "token": st.sampled_from(["all", "none"]) | JSON,
        "recover": JSON,
        "epoch": JSON,
        "offset": JSON,
        "flag": JSON,
        "data": JSON,
        "limit": JSON,
        "since": JSON,
        "reverse": JSON,
        "method": st.sampled_from(["time", "indicators", "instruments", "validate"]) | JSON,
    },
)
LIKELY = st.builds(
    lambda number, method, request: {"id": number, method: request}, st.integers(0, 9), METHODS, REQUESTS
)
COMMANDS = LIKELY.map(json.dumps) | st.dictionaries(METHODS, JSON, max_size=3).map(json.dumps) | JSON.map(json.dumps)
SPOILED = st.builds(
    lambda text, at, piece: text[: at % (len(text) + 1)] + piece + text[at % (len(text) + 1) + len(piece) // 2 :],
    LIKELY.map(json.dumps),
    st.integers(0, 300),
    st.sampled_from(["", "\n", "\x00", '"', "\\u", "\\ud800", "{", "]", ":", ",", "NaN", "1e400", "9" * 400, " ", "é"]),
)
MESSAGES = st.lists(COMMANDS | SPOILED, min_size=1, max_size=4).map(lambda lines: "\n".join(lines).encode())


async def answers(peer: Attacker, messages: list[bytes]) -> tuple[int | None, list[Any]]:
    peer.send(*(frame(message) for message in messages), END)
    ending = await peer.ending()
    return ending.code, ending.messages


@settings(max_examples=20)
@given(st.lists(st.lists(MESSAGES, max_size=6), min_size=1, max_size=6), st.booleans())
async def test_whatever_is_sent_is_answered_or_ends_that_client_with_a_code_of_the_table(
    clients: list[list[bytes]], first_known: bool
) -> None:
    with no_fault_of_ours():
        async with running() as service:
            for messages in clients:
                async with known(service) if first_known else opened(service) as peer:
                    code, replies = await answers(peer, messages)
                assert code in CODES | {1000}
                for reply in replies:
                    assert reply.keys() <= {"id", "error", "connect", "subscribe", "unsubscribe", "history"} | {
                        *("rpc", "refresh", "push")
                    }
                    if "error" in reply:
                        assert reply["error"]["message"]
            await serves(service)
