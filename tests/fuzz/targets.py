"""What is fuzzed: for each, how its inputs are made, and what must hold whatever the input is. No I/O."""

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

import msgspec
from msgspec import Struct
from websockets.frames import Opcode

from gateway.entitlements import Entitlements
from gateway.form import JSON
from gateway.introspection import decode_introspection
from gateway.offer import Refusal, offered
from gateway.options import options
from gateway.request_head import MAX_HEAD_BYTES, Destination, Passage, judge
from gateway.request_head import Refusal as Refused
from gateway.validation import validate_channel, validate_expression
from gateway.websocket import MAX_MESSAGE_BYTES, WebSocket
from tests.fuzz.commands import commands, protobuf_commands, to_json, value
from tests.fuzz.mutation import chance
from tests.fuzz.names import channel, expression, pattern
from tests.fuzz.played import PlayedSession, decoded
from tests.fuzz.sockets import head, stream
from wire import codec_json, codec_protobuf, envelope
from wire import expression as language
from wire.channel import MAX_CHANNEL_BYTES, Channel, ChannelKind, parse
from wire.codec import Codec
from wire.envelope import EnvelopeError

MAX_PATTERNS: Final = 1_000
"""More than any plan has: what they cost is no client's doing."""


class Target(Struct, frozen=True):
    """Something that takes bytes of strangers: `make` makes good and strange ones, `feed` asserts what must hold."""

    name: str
    make: Callable[[Random], bytes]
    feed: Callable[[bytes], None]


# a socket


def feed_head(data: bytes) -> None:
    """However the bytes come, the verdict is the same, and who is admitted is not failed by who reads on."""
    verdict = judge(data) if data else None
    assert judge(data + b"x") == verdict or verdict is None
    assert verdict is not None or len(data) < MAX_HEAD_BYTES, "nobody is waited for without end"
    for size in range(1, min(len(data), MAX_HEAD_BYTES), 997):
        early = judge(data[:size])
        assert early is None or early == verdict or (isinstance(early, Refused) and isinstance(verdict, Refused))
    if isinstance(verdict, Passage):
        assert verdict.head_bytes <= MAX_HEAD_BYTES
        if verdict.destination is Destination.WEBSOCKET:
            socket = WebSocket(None)
            assert socket.receive(data[: verdict.head_bytes]) == []
            assert b"".join(socket.data_to_send()).startswith(b"HTTP/1.1 ")


def feed_handshake(data: bytes) -> None:
    """A handshake is granted at once as the library grants it, which is asked when the head comes in two pieces."""
    verdict = judge(data)
    if not isinstance(verdict, Passage) or verdict.destination is not Destination.WEBSOCKET:
        return
    for origins in (None, ("https://example.org",)):
        ours, theirs = WebSocket(origins), WebSocket(origins)
        assert ours.receive(data[: verdict.head_bytes]) == []
        assert theirs.receive(data[:1]) == []
        assert theirs.receive(data[1 : verdict.head_bytes]) == []
        assert (ours.open, ours.form, ours.authorization) == (theirs.open, theirs.form, theirs.authorization)
        assert answer(ours) == answer(theirs)


def answer(socket: WebSocket) -> set[bytes]:
    """What a handshake is answered, but for what the library says about itself."""
    lines = b"".join(socket.data_to_send()).split(b"\r\n")
    return {line for line in lines if not line.startswith((b"Date:", b"Server:"))}


def feed_socket(data: bytes) -> None:
    """From bytes to replies: whatever comes, it is a message of ours, or the socket is closed and silent."""
    verdict = judge(data)
    if not isinstance(verdict, Passage) or verdict.destination is not Destination.WEBSOCKET:
        return
    random, socket = chance(data), WebSocket(None)
    socket.receive(data[: verdict.head_bytes])
    socket.data_to_send()
    upgraded, sent = socket.open, list[bytes]()
    client = PlayedSession(socket.form.codec, random)
    at = verdict.head_bytes
    while at < len(data):
        end = at + random.choice((1, 2, 7, 100, 5_000, len(data)))
        messages = socket.receive(data[at:end])
        assert upgraded or not messages
        for message in messages:
            assert len(message) <= MAX_MESSAGE_BYTES
            assert socket.form is not JSON or message.decode() is not None, "text is UTF-8"
            client.hear(message)
        at = end
        if client.closed:
            socket.close(3501, "bad request")
        sent += socket.data_to_send()
    answered = b"".join(sent)
    assert upgraded or not answered, "who was refused is told so once"
    assert len(answered) <= len(data) + 125 + 4, "nobody is answered more than was sent"
    assert frames(answered).count(Opcode.CLOSE) <= 1
    socket.receive_eof()


def frames(data: bytes) -> list[Opcode]:
    """What the server sends by itself: pongs, and a close."""
    found = list[Opcode]()
    while data:
        found.append(Opcode(data[0] & 0x0F))
        assert found[-1] in (Opcode.PONG, Opcode.CLOSE)
        assert data[0] & 0x80
        assert data[1] < 126
        data = data[2 + data[1] :]
    return found


# messages


def codec_target(name: str, codec: Codec, make: Callable[[Random], bytes]) -> Target:
    """A codec alone."""

    def feed(data: bytes) -> None:
        for command in decoded(codec, data):
            assert 0 <= command.id < 2**32

    return Target(name, make, feed)


def session_target(name: str, codec: Codec, make: Callable[[Random], bytes]) -> Target:
    """A session behind its codec: some messages, and outcomes for what they ask."""

    def feed(data: bytes) -> None:
        PlayedSession(codec, chance(data)).hear(data)

    return Target(name, make, feed)


# names


def feed_channel(data: bytes) -> None:
    """A name is a channel or refused; the canonical one names the same, and its entitlement is told without a fault."""
    name = data.decode("utf-8", "surrogatepass") if valid(data) else data.decode("latin-1")
    first, _, rest = name.partition("\n")
    found = offered(first)
    validate_channel(first)
    if isinstance(found, Refusal):
        assert found.message
        return
    assert found.name == canonical(found).name
    patterns = rest.split("\n", MAX_PATTERNS)
    Entitlements(patterns).may_read(found.name)
    assert Entitlements((*patterns, "*")).may_read(found.name)


def canonical(found: Channel) -> Channel:
    """The channel again, read from its canonical name; the same where that is too long to be asked for."""
    return parse(found.name) if len(found.name) <= MAX_CHANNEL_BYTES else found


def valid(data: bytes) -> bool:
    """Whether it is UTF-8, or as good as it."""
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def feed_expression(data: bytes) -> None:
    """A text is an expression or refused with a place; its canonical text is a fixed point."""
    text = data.decode("latin-1")
    validate_expression(text)
    try:
        found = language.parse(text)
    except language.ExpressionError:
        return
    again = language.canonical(found)
    assert len(again) > language.MAX_TEXT or language.canonical(language.parse(again)) == again


def feed_options(data: bytes) -> None:
    """Options are granted or refused with a message."""
    for kind in ChannelKind:
        wanted = options(data, kind)
        assert not isinstance(wanted, Refusal) or wanted.message


# what other services say


def feed_introspection(data: bytes) -> None:
    """The user service is understood, or it is a ValueError."""
    with suppress(ValueError):
        decode_introspection(data)


def feed_envelope(data: bytes) -> None:
    """An envelope is one of ours, or it is an EnvelopeError."""
    try:
        found = envelope.decode(data)
    except EnvelopeError:
        return
    assert envelope.decode(envelope.encode(found)) == found


# how inputs are made


def make_channel(random: Random) -> bytes:
    """A name, then patterns, a line each."""
    lines = [channel(random), *(pattern(random) for _ in range(random.randrange(4)))]
    return "\n".join(lines).encode()


def make_expression(random: Random) -> bytes:
    return expression(random, random.choice((1, 3, 5))).encode()


def make_options(random: Random) -> bytes:
    fields = {name: value(random) for name in ("max_rate", "final_only", "snapshot", "x") if random.random() < 0.5}
    return to_json(random, fields)


def make_introspection(random: Random) -> bytes:
    limits = {name: value(random) for name in ("connections", "subscriptions", "live_rate") if random.random() < 0.5}
    answer: dict[str, object] = {"active": True, "sub": "1", "channels": [pattern(random)], "limits": limits}
    for name in ("active", "sub", "exp", "plan", "channels", "limits", "watermark"):
        if random.random() < 0.1:
            answer[name] = value(random)
    return to_json(random, answer)


def make_envelope(random: Random) -> bytes:
    publications = [(channel(random), b"{}") for _ in range(random.randrange(3))]
    return msgspec.msgpack.encode([1, "e", random.choice((1, 2**63)), 1, publications, publications[:1]])


TARGETS: Final = (
    Target("head", head, feed_head),
    Target("handshake", head, feed_handshake),
    Target("socket", stream, feed_socket),
    codec_target("json", codec_json, commands),
    codec_target("protobuf", codec_protobuf, protobuf_commands),
    session_target("session", codec_json, commands),
    session_target("session-protobuf", codec_protobuf, protobuf_commands),
    Target("channel", make_channel, feed_channel),
    Target("expression", make_expression, feed_expression),
    Target("options", make_options, feed_options),
    Target("introspection", make_introspection, feed_introspection),
    Target("envelope", make_envelope, feed_envelope),
)
