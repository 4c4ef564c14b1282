"""WebSocket on top of the library's Sans-I/O protocol: what it leaves to its user. Pure; no I/O.

The library parses, masks, checks and closes; joining fragments, checking UTF-8, refusing what is not a message of
ours, and the shared bytes of a published frame are here.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from gateway.form import JSON, PROTOBUF, Form
from gateway.handshake import accept
from wire.close import Close

MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_FRAGMENTS: Final = 256
PATH: Final = "/connection/websocket"

_END: Final = b"\r\n\r\n"
_INVALID_UTF8: Final = 1007
_UNSUPPORTED: Final = 1003
_POLICY: Final = 1008
_FORMS: Final[Mapping[str, Form]] = {form.subprotocol: form for form in (JSON, PROTOBUF)}


def _select_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first of ours, or none: the library's own choice refuses a client that offers none of them."""
    return next((each for each in offered if each in _FORMS), None)


def _form(subprotocol: str | None, target: str) -> Form:
    """How a client writes that agreed on `subprotocol`; without one the query of its URL may say it."""
    if subprotocol is not None:
        return _FORMS[subprotocol]
    if "?" not in target:
        return JSON
    asked = parse_qsl(target.partition("?")[2])
    return PROTOBUF if ("cf_protocol", "protobuf") in asked or ("format", "protobuf") in asked else JSON


class WebSocket:
    """One server side connection. Feed it bytes, take messages and bytes to write out of it.

    That the handshake is for `PATH` and names one host was judged before.
    `origins`: those whose pages may connect, None for all; a client that names no origin (a bot) may always.
    """

    __slots__ = (
        "_answer",
        "_fragments",
        "_max_bytes",
        "_opcode",
        "_origins",
        "_protocol",
        "authorization",
        "form",
        "frames",
        "greeted",
    )

    def __init__(self, origins: tuple[str, ...] | None, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._origins = origins
        self._max_bytes = max_bytes
        self._protocol: Protocol | None = None
        """None before the first byte."""
        self._answer = b""
        """To a handshake that the library has not seen."""
        self._fragments: list[bytes] | None = None
        self._opcode = Opcode.TEXT
        self.form = JSON
        """How the client writes and is written to, once the handshake is there."""
        self.frames = 0
        """How many came so far, of all kinds; the handshake is one."""
        self.greeted = False
        """True once the handshake is there."""
        self.authorization: tuple[str, ...] = ()
        """The handshake's headers of that name."""

    @property
    def open(self) -> bool:
        """True between the handshake and the first close frame."""
        return self._protocol is not None and self._protocol.state is State.OPEN

    @property
    def close_received(self) -> int | None:
        """The code of the client's close frame, if there was one."""
        received = None if self._protocol is None else self._protocol.close_rcvd
        return None if received is None else received.code

    @property
    def fault(self) -> Close | None:
        """What a client was told that broke the rules of WebSocket; None if it was told nothing but its own code."""
        if self._protocol is None:
            return None
        sent = self._protocol.close_sent
        return None if sent is None or sent is self._protocol.close_rcvd else Close(sent.code, sent.reason)

    def receive(self, data: bytes) -> list[bytes]:
        """The whole messages that `data` completes, each in the frames of its form; text is valid UTF-8."""
        protocol = self._protocol
        if protocol is None:
            if self._grant(data):
                return []
            protocol = self._protocol = self._refer()
        protocol.receive_data(data)
        messages = []
        events = protocol.events_received()
        self.frames += len(events)
        for event in events:
            if isinstance(event, Request) and isinstance(protocol, ServerProtocol):
                self._handshake(protocol, event)
            elif isinstance(event, Frame) and (message := self._join(event)) is not None:
                messages.append(message)
        return messages

    def receive_eof(self) -> None:
        """The client sends no more."""
        if self._protocol is not None:
            self._protocol.receive_eof()

    def data_to_send(self) -> list[bytes]:
        """What is to be written now; an empty item ends the stream."""
        items = [] if self._protocol is None else self._protocol.data_to_send()
        if self._answer:
            items.insert(0, self._answer)
            self._answer = b""
        return items

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake, once."""
        if self._protocol is not None and self.open:
            self._protocol.send_close(code, reason)

    def _grant(self, head: bytes) -> bool:
        """Grant a handshake that is as it should be; the library would take five times as long, and remember it."""
        if head.find(_END) != len(head) - len(_END):
            return False
        accepted = accept(head, self._origins, _FORMS)
        if accepted is None:
            return False
        self._protocol = Protocol(Side.SERVER, max_size=self._max_bytes)
        self._protocol.debug = False  # or the library logs at that level what clients send
        self._answer = accepted.answer
        self.form = _form(accepted.subprotocol, accepted.target)
        self.authorization = () if accepted.authorization is None else (accepted.authorization,)
        self.frames += 1
        self.greeted = True
        return True

    def _refer(self) -> ServerProtocol:
        """Let the library look at the handshake."""
        protocol = ServerProtocol(
            origins=None if self._origins is None else [*(Origin(o) for o in self._origins), None],
            select_subprotocol=_select_subprotocol,
            max_size=self._max_bytes,
        )
        protocol.debug = False
        return protocol

    def _handshake(self, protocol: ServerProtocol, request: Request) -> None:
        self.greeted = True
        self.authorization = tuple(request.headers.get_all("Authorization"))
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        if offered and not any(value.strip() for value in offered):
            # an SDK sends the header empty; the library takes that for a fault
            del request.headers["Sec-WebSocket-Protocol"]
        protocol.send_response(protocol.accept(request))
        self.form = _form(protocol.subprotocol, request.path)

    def _join(self, frame: Frame) -> bytes | None:
        """The message that `frame` completes; None when there is none yet, or the connection was failed."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or not self.open:
            return None
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        message = bytes(frame.data)
        if self._fragments is not None or not frame.fin:
            fragments = self._fragments = self._fragments or []
            fragments.append(message)
            if len(fragments) > MAX_FRAGMENTS:
                self._fail(_POLICY, f"more than {MAX_FRAGMENTS} fragments")
                return None
            if not frame.fin:
                return None
            message, self._fragments = b"".join(fragments), None
        return message if self._is_ours(message) else None

    def _is_ours(self, message: bytes) -> bool:
        """Whether a message is one of this form; one that is not fails the connection."""
        if self._opcode is not self.form.opcode:
            expected = "text frames of JSON" if self.form is JSON else "binary frames of protobuf"
            self._fail(_UNSUPPORTED, f"expected {expected}")
            return False
        if self._opcode is Opcode.TEXT:
            try:
                message.decode()
            except UnicodeDecodeError as error:
                self._fail(_INVALID_UTF8, f"{error.reason} at position {error.start}")
                return False
        return True

    def _fail(self, code: int, reason: str) -> None:
        if self._protocol is not None:
            self._protocol.fail(code, reason)
