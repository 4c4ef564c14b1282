"""The client protocol in JSON: text frames, a message a line. Pure; no I/O."""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from wire.client_messages import Command, MessageError, Reply

PING: Final = b"{}"

_command: Final = msgspec.json.Decoder(Command)
_encoder: Final = msgspec.json.Encoder()


class _UnsubscribePush(Struct, frozen=True):
    code: int
    reason: str


def split(frame: bytes) -> list[bytes]:
    """The commands in one frame, in order, each as it was sent. Raises MessageError when there is none."""
    lines = frame.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise MessageError("expected a command, found an empty frame")
    return lines


def decode(line: bytes) -> Command:
    """One command of those that `split` gives. Raises MessageError for anything that is none."""
    try:
        return _command.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MessageError(str(error)) from error
    except RecursionError as error:
        raise MessageError("nested too deeply") from error


def encode_reply(reply: Reply) -> bytes:
    """One reply. A refusal always carries its code and message."""
    return _encoder.encode(reply)


def encode_channel(channel: str) -> bytes:
    """A channel as a client spelled it, as the JSON string that `encode_publication` takes."""
    return _encoder.encode(channel)


def encode_publication(channel: bytes, payload: bytes, offset: int) -> bytes:
    """A publication push. `channel` comes from `encode_channel`; `payload` is JSON without line breaks, taken as is."""
    if offset == 0:
        return b'{"push":{"channel":%b,"pub":{"data":%b}}}' % (channel, payload)
    return b'{"push":{"channel":%b,"pub":{"data":%b,"offset":%d}}}' % (channel, payload, offset)


def encode_unsubscribe(channel: bytes, code: int, reason: str) -> bytes:
    """An unsubscribe push."""
    return b'{"push":{"channel":%b,"unsubscribe":%b}}' % (channel, _encoder.encode(_UnsubscribePush(code, reason)))


def raw(value: object) -> Raw:
    """`value` as embedded JSON."""
    return Raw(_encoder.encode(value))
