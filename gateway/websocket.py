"""WebSocket on top of the library's Sans-I/O protocol: what it leaves to its user. Pure; no I/O.

The library parses, masks, checks and closes; joining fragments, checking UTF-8, refusing what is not a message of
ours, and the shared bytes of a published frame are here.
"""

from collections.abc import Sequence
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_FRAGMENTS: Final = 256
SUBPROTOCOL: Final = "centrifuge-json"
PATH: Final = "/connection/websocket"

_INVALID_UTF8: Final = 1007
_UNSUPPORTED: Final = 1003
_POLICY: Final = 1008


def text_frame(payload: bytes) -> bytes:
    """One unmasked text frame: the same bytes for every subscriber."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def _select_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


class WebSocket:
    """One server side connection. Feed it bytes, take messages and bytes to write out of it.

    That the handshake is for `PATH` and names one host was judged before.
    `origins`: those whose pages may connect, None for all; a client that names no origin (a bot) may always.
    """

    def __init__(self, origins: tuple[str, ...] | None) -> None:
        allowed = None if origins is None else [*(Origin(o) for o in origins), None]
        self._protocol = ServerProtocol(
            origins=allowed,
            select_subprotocol=_select_subprotocol,
            max_size=MAX_MESSAGE_BYTES,
        )
        self._fragments: list[bytes] = []
        self._text = True
        self.request: Request | None = None
        """The handshake, once it is there."""

    @property
    def open(self) -> bool:
        """True between the handshake and the first close frame."""
        return self._protocol.state is State.OPEN

    @property
    def close_received(self) -> int | None:
        """The code of the client's close frame, if there was one."""
        return None if self._protocol.close_rcvd is None else self._protocol.close_rcvd.code

    def receive(self, data: bytes) -> list[bytes]:
        """The whole text messages that `data` completes, each valid UTF-8 and not empty."""
        self._protocol.receive_data(data)
        messages = []
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame) and (message := self._join(event)) is not None:
                messages.append(message)
        return messages

    def receive_eof(self) -> None:
        """The client sends no more."""
        self._protocol.receive_eof()

    def data_to_send(self) -> list[bytes]:
        """What is to be written now; an empty item ends the stream."""
        return self._protocol.data_to_send()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake, once."""
        if self.open:
            self._protocol.send_close(code, reason)

    def _handshake(self, request: Request) -> None:
        self.request = request
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        if offered and not any(value.strip() for value in offered):
            # an SDK sends the header empty; the library takes that for a fault
            del request.headers["Sec-WebSocket-Protocol"]
        self._protocol.send_response(self._protocol.accept(request))

    def _join(self, frame: Frame) -> bytes | None:
        """The message that `frame` completes; None when there is none yet, or the connection was failed."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or not self.open:
            return None
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
        if not frame.fin or self._fragments:
            self._fragments.append(bytes(frame.data))
            if len(self._fragments) > MAX_FRAGMENTS:
                self._protocol.fail(_POLICY, f"more than {MAX_FRAGMENTS} fragments")
                return None
            if not frame.fin:
                return None
            message, self._fragments = b"".join(self._fragments), []
        else:
            message = bytes(frame.data)
        if not self._text:
            self._protocol.fail(_UNSUPPORTED, "expected text frames of JSON")
            return None
        try:
            message.decode()
        except UnicodeDecodeError as error:
            self._protocol.fail(_INVALID_UTF8, f"{error.reason} at position {error.start}")
            return None
        return message
