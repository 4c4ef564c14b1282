"""The dialects that are known: the Centrifuge protocol in JSON, and no protocol at all. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct, field

from loadtest.target import Answer, Evicted, Opening, Position, Told

_FIRST_SUBSCRIBE: Final = 2
"""The id of the first subscribe command: those of the other channels follow."""
_RESUBSCRIBE_CODE: Final = 2500


class Plain(Struct, frozen=True):
    """A server that sends publications to everybody who is connected; each message is one."""

    subprotocol: str | None = None
    heartbeat: tuple[bytes, bytes] | None = None

    def opening(self, client: int, channels: Sequence[str], positions: Mapping[str, Position]) -> Opening:  # noqa: ARG002
        """Nothing is to be said."""
        return Opening((), 0)

    def subscribe(self, place: int, channel: str, position: Position | None) -> bytes:  # noqa: ARG002
        """It is never asked for."""
        return b""

    def deliveries(self, message: bytes) -> int:  # noqa: ARG002
        """Each is one."""
        return 1

    def read(self, message: bytes) -> Sequence[Answer | Evicted | Told]:  # noqa: ARG002
        """Nothing is known of it."""
        return ()


class _Data(Struct):
    t: int = 0
    final: bool = False


class _Publication(Struct):
    data: _Data
    offset: int = 0


class _Unsubscribe(Struct):
    code: int


class _Push(Struct):
    channel: str = ""
    pub: _Publication | None = None
    unsubscribe: _Unsubscribe | None = None


class _Subscribed(Struct):
    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    recovered: bool = False
    publications: tuple[_Publication, ...] = ()


class _Error(Struct):
    code: int
    message: str = ""


class _Message(Struct):
    identity: int = field(default=0, name="id")
    error: _Error | None = None
    subscribe: _Subscribed | None = None
    push: _Push | None = None


_decoder: Final = msgspec.json.Decoder(_Message)
_encoder: Final = msgspec.json.Encoder()


class Centrifuge(Struct, frozen=True):
    """The Centrifuge protocol in JSON: connect and all subscribes in the first frame, as SDKs do.

    Client i has token i modulo their number; without any, none is sent. `data` goes with every subscribe.
    """

    tokens: tuple[str, ...] = ()
    data: Mapping[str, object] = {}

    @property
    def subprotocol(self) -> str | None:
        """JSON is what one speaks without any."""
        return None

    @property
    def heartbeat(self) -> tuple[bytes, bytes] | None:
        """An empty command each way."""
        return b"{}", b"{}"

    def opening(self, client: int, channels: Sequence[str], positions: Mapping[str, Position]) -> Opening:
        """Connect, and subscribe to all."""
        connect = {"token": self.tokens[client % len(self.tokens)]} if self.tokens else {}
        commands = [_encoder.encode({"id": 1, "connect": connect})]
        for place, channel in enumerate(channels):
            commands.append(self.subscribe(place, channel, positions.get(channel)))
        return Opening((b"\n".join(commands),), len(commands))

    def subscribe(self, place: int, channel: str, position: Position | None) -> bytes:
        """Its id says the place."""
        request: dict[str, object] = {"channel": channel}
        if self.data:
            request["data"] = self.data
        if position is not None:
            request |= {"recover": True, "epoch": position.epoch, "offset": position.offset}
        return _encoder.encode({"id": _FIRST_SUBSCRIBE + place, "subscribe": request})

    def deliveries(self, message: bytes) -> int:
        """Some servers put several into one message, a line each."""
        return message.count(b'"pub":{') if message.startswith(b'{"push"') else 0

    def read(self, message: bytes) -> Sequence[Answer | Evicted | Told]:
        """All lines of it."""
        events: list[Answer | Evicted | Told] = []
        for line in message.splitlines():
            said = _decoder.decode(line)
            push = said.push
            if said.identity:
                events.append(_answer(said))
            elif push is not None and push.pub is not None:
                events.append(_told(push.channel, push.pub))
            elif push is not None and push.unsubscribe is not None and push.unsubscribe.code >= _RESUBSCRIBE_CODE:
                events.append(Evicted(push.channel))
        return events


def _answer(said: _Message) -> Answer:
    place = None if said.identity < _FIRST_SUBSCRIBE else said.identity - _FIRST_SUBSCRIBE
    if said.error is not None:
        what = "connect" if place is None else "subscribe"
        return Answer(place, f"{what} refused: {said.error.code} {said.error.message}")
    subscribed = said.subscribe
    if subscribed is None or not subscribed.recoverable:
        return Answer(place)
    told = tuple(_told("", publication) for publication in subscribed.publications)
    return Answer(place, None, Position(subscribed.epoch, subscribed.offset), subscribed.recovered, told)


def _told(channel: str, publication: _Publication) -> Told:
    return Told(channel, publication.offset, publication.data.t if publication.data.final else None)
