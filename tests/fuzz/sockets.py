"""What comes on a socket: the head of a request, a handshake with frames behind it. Pure; no I/O."""

from random import Random
from typing import Final

from websockets.frames import CloseCode, Opcode

from tests.fuzz.commands import commands, protobuf_commands

HANDSHAKE: Final = (
    "GET /connection/websocket HTTP/1.1\r\n",
    "Host: test\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade\r\n",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "Sec-WebSocket-Version: 13\r\n",
)
PROTOBUF: Final = "Sec-WebSocket-Protocol: centrifuge-protobuf\r\n"
JSON: Final = ("Sec-WebSocket-Protocol:\r\n", "Sec-WebSocket-Protocol: centrifuge-json, centrifuge-protobuf\r\n")
HEADERS: Final = (
    *JSON,
    PROTOBUF,
    "Host: other\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Upgrade: h2c, websocket\r\n",
    "Sec-WebSocket-Protocol: ,\u00e9,\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    "Sec-WebSocket-Key: short\r\n",
    "Sec-WebSocket-Version: 12\r\n",
    "Authorization: Bearer all\r\n",
    "Authorization: Bearer\r\n",
    "Origin: https://example.org\r\n",
    "Origin: https://example.com\r\n",
    "Origin:\r\n",
    "connection: keep-alive, upgrade\r\n",
    "Connection: keep-alive,, Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Origin: null\r\n",
    "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n",
    "Cookie: a=b\r\n a folded line\r\n",
    "No colon\r\n",
)
TARGETS: Final = (
    "/connection/websocket?format=protobuf",
    "/connection/websocket?cf_protocol=protobuf&cf_protocol=json",
    "//connection/websocket",
    "http://test/connection/websocket",
    "/health",
    "*",
)
METHODS: Final = ("GET", "HEAD", "POST", "get", "PRI", "G ET")
VERSIONS: Final = ("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1")


def head(random: Random) -> bytes:
    """The head of a request, most often for the WebSocket."""
    lines = list(HANDSHAKE)
    if random.random() < 0.5:
        method, target, version = random.choice(METHODS), random.choice(TARGETS), random.choice(VERSIONS)
        lines[0] = f"{method} {target} {version}\r\n"
    for _ in range(random.choice((0, 0, 1, 1, 2, 5))):
        lines.insert(random.randint(1, len(lines)), random.choice(HEADERS))
    if random.random() < 0.2:
        del lines[random.randrange(1, len(lines))]
    return "".join([*lines, "\r\n"]).encode("latin-1")


def upgrade(random: Random, *, protobuf: bool) -> bytes:
    """A handshake that is accepted; the form of the messages is agreed in one of the ways there are."""
    lines = [*HANDSHAKE, "\r\n"]
    match random.randrange(3) if protobuf else random.randrange(3, 6):
        case 0:
            lines[0] = f"GET {random.choice(TARGETS[:2])} HTTP/1.1\r\n"
        case 1 | 2:
            lines.insert(-1, PROTOBUF)
        case 3:
            lines.insert(-1, random.choice(JSON))
    return "".join(lines).encode()


# frames


def frame(random: Random, payload: bytes, usual: Opcode) -> bytes:
    """A client's frame, most often a whole message of the usual opcode, or one in fragments."""
    kind = random.random()
    if kind < 0.7:
        return _masked(usual, payload)
    if kind < 0.8:
        return _fragments(random, payload, usual)
    opcode = random.choice((Opcode.PING, Opcode.PONG, Opcode.CLOSE, Opcode.CONT, Opcode.TEXT, Opcode.BINARY))
    if opcode is Opcode.CLOSE and random.random() < 0.8:
        code = random.choice((*CloseCode, 0, 999, 1004, 1016, 2999, 4999, 5000))
        payload = code.to_bytes(2, "big") + payload[: random.choice((0, 10, 124))]
    elif opcode in (Opcode.PING, Opcode.PONG):
        payload = payload[:125]
    return _masked(opcode, payload, fin=random.random() < 0.8, rsv1=random.random() < 0.1)


def _fragments(random: Random, payload: bytes, first: Opcode) -> bytes:
    cuts = sorted(random.randint(0, len(payload)) for _ in range(random.choice((0, 1, 2, 5, 300))))
    pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    opcodes = [first] + [Opcode.CONT] * (len(pieces) - 1)
    last = len(pieces) - 1
    return b"".join(
        _masked(opcode, piece, fin=i == last) for i, (opcode, piece) in enumerate(zip(opcodes, pieces, strict=True))
    )


def _masked(opcode: Opcode, payload: bytes, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """One frame, masked with zeros, as the seven, sixteen or sixty-four bits of its length want it."""
    size = len(payload)
    first = (fin << 7) | (rsv1 << 6) | opcode
    if size < 126:
        length = bytes((first, 0x80 | size))
    elif size < 65_536:
        length = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        length = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return length + bytes(4) + payload


def stream(random: Random) -> bytes:
    """All that a client sends: a handshake, then frames of commands."""
    protobuf = random.random() < 0.4
    made, opcode = (protobuf_commands, Opcode.BINARY) if protobuf else (commands, Opcode.TEXT)
    frames = [frame(random, made(random), opcode) for _ in range(random.choice((1, 2, 3, 8)))]
    return upgrade(random, protobuf=protobuf) + b"".join(frames)
