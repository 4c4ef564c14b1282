"""Publish: what a peer is told to publish, a line of its standard input, and the messages that this makes. Pure."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

_WORD: Final = "publish"
_SENT_DIGITS: Final = 16
"""Of a time in µs since the epoch, until the year 2286: every message is as long as any other."""


class Publish(Struct, frozen=True):
    """`count` messages of `size_bytes` each, one every `interval_us`; 0: the next once the event loop has turned."""

    count: Annotated[int, Meta(ge=1)]
    interval_us: Annotated[int, Meta(ge=0)] = 0
    size_bytes: Annotated[int, Meta(ge=64, le=60_000)] = 256

    def line(self) -> str:
        """As it is said."""
        return f"{_WORD} {self.count} {self.interval_us} {self.size_bytes}"

    def message(self, number: int, sent_us: int) -> bytes:
        """The `number`-th message, stamped as ours are: text in JSON."""
        head = b'{"t":%d,"final":true,"pad":"' % number
        tail = b'","sent":%0*d}' % (_SENT_DIGITS, sent_us)
        return head + b"." * (self.size_bytes - len(head) - len(tail)) + tail


def parse(line: str) -> Publish:
    """What a line says: ``publish COUNT [INTERVAL_US] [SIZE_BYTES]``. Raises ValueError."""
    word, *numbers = line.split() or [""]
    if word != _WORD or not 1 <= len(numbers) <= len(Publish.__struct_fields__):
        raise ValueError(f"expected {_WORD} COUNT [INTERVAL_US] [SIZE_BYTES], found {line!r}")
    fields = dict(zip(Publish.__struct_fields__, numbers, strict=False))
    try:
        return msgspec.convert(fields, Publish, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{error}, found {line!r}") from error


def text_frame(message: bytes) -> bytes:
    """A server's WebSocket frame."""
    if len(message) < 126:
        return bytes((0x81, len(message))) + message
    return b"\x81\x7e" + len(message).to_bytes(2, "big") + message
