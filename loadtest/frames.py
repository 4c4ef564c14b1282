"""WebSocket as a client of a load test needs it: frames to send, and where those that came begin and end. Pure."""

import base64
from typing import Final

from msgspec import Struct

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

END_OF_HEAD: Final = b"\r\n\r\n"


class Frame(Struct, frozen=True, gc=False):
    """One frame in a piece of what was received: its payload is from `start` to `end`."""

    opcode: int
    start: int
    end: int


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole message, masked with a key of zeros: legal, and it costs nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def split(data: bytes) -> tuple[list[Frame], int]:
    """The whole frames of `data`, which begins with one, and where the rest begins. A server's are not masked."""
    frames: list[Frame] = []
    begin, size = 0, len(data)
    while begin + 2 <= size:
        length, start = data[begin + 1], begin + 2
        if length == 126:
            length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif length == 127:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        end = start + length
        if end > size:
            break
        frames.append(Frame(data[begin] & 0xF, start, end))
        begin = end
    return frames, begin


def upgrade_request(host: str, path: str, subprotocol: str | None, number: int) -> bytes:
    """The request of client `number`."""
    key = base64.b64encode(number.to_bytes(16, "big")).decode()
    offer = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    ).encode()


def status_of(head: bytes) -> int:
    """The status of an answer's head; 0 when it is none."""
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
