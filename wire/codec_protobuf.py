"""The client protocol in protobuf: binary frames, each message behind its length. Pure; no I/O.

What is JSON stays JSON: `data` holds its bytes. The messages are those of client.proto; the two pushes are put
together by hand, because they are encoded for every publication.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from msgspec import Raw

from wire import client_pb2 as proto
from wire.client_messages import (
    ClientPublication,
    Command,
    ConnectRequest,
    HistoryRequest,
    HistoryResult,
    MessageError,
    NotOffered,
    RefreshRequest,
    Reply,
    RpcRequest,
    Since,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
)

PING: Final = b"\0"

MAX_COMMANDS: Final = 4096
"""Commands in one frame, at most: of the shortest that mean anything 64 KiB hold fewer."""
MAX_OFFSET: Final = 0x7FFF_FFFF_FFFF_FFFF
_MAX_LENGTH_BYTES: Final = 5
"""What the length of a message takes: frames are far smaller than that can say."""
_MORE: Final = tuple(bytes((low | 0x80,)) for low in range(0x80))
"""Seven bits of a number that has more."""
_SHORT: Final = tuple(bytes((n,)) if n < 0x80 else _MORE[n & 0x7F] + bytes((n >> 7,)) for n in range(2048))
"""Numbers as they are written; sizes are mostly among them."""
_PONGS: Final = re.compile(rb"\0+")
"""Of many pongs in a row one is taken: a frame could hold 65,536."""
_PONG: Final = Command()
_NOT_OFFERED: Final = NotOffered()


def split(frame: bytes) -> list[bytes]:
    """The commands in one frame, in order, each as it was sent. Raises MessageError when there is none."""
    if not frame:
        raise MessageError("expected a command, found an empty frame")
    messages: list[bytes] = []
    at, end = 0, len(frame)
    while at < end:
        if len(messages) == MAX_COMMANDS:
            raise MessageError(f"expected at most {MAX_COMMANDS} commands in a frame")
        if (pongs := _PONGS.match(frame, at)) is not None:
            messages.append(b"")
            at = pongs.end()
            continue
        length, at = (frame[at], at + 1) if frame[at] < 0x80 else _length(frame, at)
        if length > end - at:
            raise MessageError(f"expected a command of {length} bytes, found {end - at}")
        messages.append(frame[at : at + length])
        at += length
    return messages


def _length(frame: bytes, at: int) -> tuple[int, int]:
    """The length that stands at `at`, and where the message begins."""
    length = 0
    for i, byte in enumerate(frame[at : at + _MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return length, at + i + 1
    raise MessageError("expected the length of a command, found no end of it")


def decode(line: bytes) -> Command:
    """One command of those that `split` gives. Raises MessageError for anything that is none."""
    if not line:
        return _PONG
    try:
        sent = proto.Command.FromString(line)
    except DecodeError as error:
        raise MessageError(str(error) or "expected a command") from error
    return Command(**{field.name: _READ[field.name](value) for field, value in sent.ListFields()})


def _connect(sent: proto.ConnectRequest) -> ConnectRequest:
    return ConnectRequest(sent.token, sent.name, sent.version)


def _subscribe(sent: proto.SubscribeRequest) -> SubscribeRequest:
    return SubscribeRequest(sent.channel, sent.recover, sent.epoch, _offset(sent.offset), Raw(sent.data), sent.flag)


def _history(sent: proto.HistoryRequest) -> HistoryRequest:
    since = Since(_offset(sent.since.offset), sent.since.epoch) if sent.HasField("since") else None
    return HistoryRequest(sent.channel, sent.limit, since, sent.reverse)


def _offset(sent: int) -> int:
    if sent > MAX_OFFSET:
        raise MessageError(f"expected an offset of {MAX_OFFSET} at most, found {sent}")
    return sent


def _as_sent(value: int) -> int:
    return value


def _not_offered(_: proto.NotOffered) -> NotOffered:
    return _NOT_OFFERED


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "id": _as_sent,
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": lambda sent: UnsubscribeRequest(sent.channel),
    "publish": _not_offered,
    "presence": _not_offered,
    "presence_stats": _not_offered,
    "history": _history,
    "rpc": lambda sent: RpcRequest(sent.method, Raw(sent.data)),
    "refresh": lambda sent: RefreshRequest(sent.token),
    "sub_refresh": _not_offered,
    "send": _not_offered,
    "ping": _not_offered,
}
"""How each field of a command is read that is set."""


def encode_reply(reply: Reply) -> bytes:
    """One reply. A refusal always carries its code and message."""
    answer = proto.Reply(id=reply.id)
    if (error := reply.error) is not None:
        answer.error.CopyFrom(proto.Error(code=error.code, message=error.message, temporary=error.temporary))
    if (connect := reply.connect) is not None:
        answer.connect.CopyFrom(
            proto.ConnectResult(
                client=connect.client,
                version=connect.version,
                expires=connect.expires,
                ttl=connect.ttl,
                data=bytes(connect.data),
                ping=connect.ping,
                pong=connect.pong,
            )
        )
    if reply.subscribe is not None:
        answer.subscribe.CopyFrom(_subscribed(reply.subscribe))
    if reply.unsubscribe is not None:
        answer.unsubscribe.SetInParent()
    if (refresh := reply.refresh) is not None:
        answer.refresh.CopyFrom(
            proto.RefreshResult(
                client=refresh.client, version=refresh.version, expires=refresh.expires, ttl=refresh.ttl
            )
        )
    if reply.history is not None:
        answer.history.CopyFrom(_recalled(reply.history))
    if reply.rpc is not None:
        answer.rpc.CopyFrom(proto.RpcResult(data=bytes(reply.rpc.data)))
    return _prefixed(answer)


def _subscribed(result: SubscribeResult) -> proto.SubscribeResult:
    return proto.SubscribeResult(
        recoverable=result.recoverable,
        epoch=result.epoch,
        publications=_publications(result.publications),
        recovered=result.recovered,
        offset=result.offset,
        positioned=result.positioned,
        data=bytes(result.data),
        was_recovering=result.was_recovering,
    )


def _recalled(result: HistoryResult) -> proto.HistoryResult:
    publications = _publications(result.publications)
    return proto.HistoryResult(publications=publications, epoch=result.epoch, offset=result.offset)


def _publications(publications: Iterable[ClientPublication]) -> list[proto.Publication]:
    return [proto.Publication(data=bytes(each.data), offset=each.offset) for each in publications]


def _prefixed(message: Message) -> bytes:
    encoded = message.SerializeToString()
    return _varint(len(encoded)) + encoded


def encode_channel(channel: str) -> bytes:
    """A channel as a client spelled it, as the field of a push that `encode_publication` takes."""
    name = channel.encode()
    return b"\x12%b%b" % (_varint(len(name)), name)  # Push.channel = 2


def encode_publication(channel: bytes, payload: bytes, offset: int) -> bytes:
    """A publication push. `channel` comes from `encode_channel`; `payload` is JSON, taken as is."""
    size = _varint(len(payload))
    if offset == 0:
        pub = len(size) + len(payload) + 1
        end = b""
    else:
        end = b"0" + _varint(offset)  # Publication.offset = 6
        pub = len(size) + len(payload) + len(end) + 1
    pub_size = _varint(pub)
    push = len(channel) + len(pub_size) + pub + 1
    push_size = _varint(push)
    head = _varint(len(push_size) + push + 1)
    # Reply.push = 4, Push.pub = 4, Publication.data = 4
    return b'%b"%b%b"%b"%b%b%b' % (head, push_size, channel, pub_size, size, payload, end)


def encode_unsubscribe(channel: bytes, code: int, reason: str) -> bytes:
    """An unsubscribe push."""
    body = proto.Unsubscribe(code=code, reason=reason).SerializeToString()
    push = b"%b:%b%b" % (channel, _varint(len(body)), body)  # Push.unsubscribe = 7
    push_size = _varint(len(push))
    return b'%b"%b%b' % (_varint(1 + len(push_size) + len(push)), push_size, push)


def _varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    if number < 2048:
        return _SHORT[number]
    return _MORE[number & 0x7F] + _varint(number >> 7)
