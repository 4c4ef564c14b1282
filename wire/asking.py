"""What gateways tell and ask the owner of a topic, and what it answers: MessagePack over pub/sub. Pure; no I/O."""

from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct

from wire.envelope import ClosedValue

Kind = Literal["describe", "history"]
T = TypeVar("T")


class AskingError(Exception):
    """Bytes that are not what was expected of a gateway, or of an owner."""


class Ask(Struct, frozen=True):
    """A question about a channel. `id` is the asker's own; the answer goes to the channel `reply_to`."""

    id: int
    reply_to: str
    kind: Kind
    channel: str
    limit: int = 0


class Answer(Struct, frozen=True, omit_defaults=True):
    """The answer to the question `id`: `warming` to describe, `values` to history; `refused` says why neither.

    `temporary`: what is refused to describe is so for now only.
    """

    id: int
    warming: bool = False
    refused: str | None = None
    temporary: bool = False
    values: tuple[ClosedValue, ...] = ()


_encoder: Final = msgspec.msgpack.Encoder()
_asks: Final = msgspec.msgpack.Decoder(Ask)
_answers: Final = msgspec.msgpack.Decoder(Answer)
_wanted: Final = msgspec.msgpack.Decoder(tuple[str, ...])


def encode(message: Ask | Answer) -> bytes:
    """The bytes of `message`."""
    return _encoder.encode(message)


def decode_ask(data: bytes) -> Ask:
    """The question that `data` holds. Raises AskingError."""
    return _decode(_asks, data)


def decode_answer(data: bytes) -> Answer:
    """The answer that `data` holds. Raises AskingError."""
    return _decode(_answers, data)


def decode_wanted(data: bytes) -> tuple[str, ...]:
    """The channels that `data` names. Raises AskingError."""
    return _decode(_wanted, data)


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AskingError(f"not what was expected: {error}") from error
