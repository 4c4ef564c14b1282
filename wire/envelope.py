"""What travels between engine and gateway for one topic: envelopes, and the structs of the other questions. Pure.

An envelope is MessagePack, arrays without names: [version, epoch, number, first_offset, finals, live].
"""

from typing import Final

import msgspec
from msgspec import Struct

from wire.position import Epoch, Offset

VERSION: Final = 1
MAX_PUBLICATIONS: Final = 500
"""Publications of one envelope, at most."""


class EnvelopeError(Exception):
    """Bytes that are not an envelope of this version."""


class Publication(Struct, frozen=True, array_like=True, gc=False):
    """One value of one channel; `payload` is JSON, ready to be put in a frame. `channel` is canonical."""

    channel: str
    payload: bytes


class Envelope(Struct, frozen=True, array_like=True):
    """A batch of publications of one topic.

    The i-th final has offset ``first_offset + i``; a live value the topic's top after this envelope.
    ``number`` counts the envelopes of a topic one by one: a jump is a loss. No publications: a heartbeat.
    """

    version: int
    epoch: Epoch
    number: int
    first_offset: Offset
    finals: tuple[Publication, ...] = ()
    live: tuple[Publication, ...] = ()

    @property
    def top(self) -> Offset:
        """The topic's newest offset after this envelope."""
        return Offset(self.first_offset + len(self.finals) - 1)


class HeldFinal(Struct, frozen=True, array_like=True):
    """A final with the offset that it was given."""

    offset: Offset
    publication: Publication


class NewestFinal(Struct, frozen=True, array_like=True):
    """A channel's newest final: `offset` 0 and no payload before the first.

    ``since`` is the topic's top when the channel's unbroken computing began: a position below it cannot be recovered.
    """

    since: Offset
    offset: Offset
    payload: bytes | None


class Held(Struct, frozen=True):
    """What the bus holds of a topic, read in one step.

    ``top`` newest offset; ``number`` of the newest envelope; ``first_held`` the oldest offset that `finals` can reach
    (top + 1 when none is held); ``finals`` those above the offset asked for, in order, of all channels;
    ``newest`` of the channels asked for (a channel that nobody computes is missing).
    """

    epoch: Epoch
    number: int
    top: Offset
    first_held: Offset
    finals: tuple[HeldFinal, ...]
    newest: dict[str, NewestFinal]


class Ownership(Struct, frozen=True):
    """Who owns a topic, and where its publishing stands: ``next_offset`` and the ``number`` of its newest envelope."""

    owner: str
    epoch: Epoch
    next_offset: Offset
    number: int


class Acquired(Struct, frozen=True):
    """A topic as its new owner finds it.

    ``closed``: the newest boundary published, by ``VENUE@TIMEFRAME``: its open time in ms since the epoch.
    ``since``: the channels that have a row, with the offset at which their unbroken computing began.
    """

    ownership: Ownership
    closed: dict[str, int]
    since: dict[str, Offset]


class Batch(Struct, frozen=True):
    """What an owner publishes for one topic in one step, or not at all.

    It is taken only while the topic stands as `expected`; after a lost answer it is sent again as it is.
    ``rows``: the newest final of every channel whose row it changes; ``dropped``: channels that are computed no more;
    ``closed``: the boundaries that it completes; finals up to ``forget`` need not be held any longer.
    """

    expected: Ownership
    envelopes: tuple[Envelope, ...]
    rows: dict[str, NewestFinal] = {}
    dropped: tuple[str, ...] = ()
    closed: dict[str, int] = {}
    forget: Offset = Offset(0)

    @property
    def after(self) -> Ownership:
        """Where the topic stands once this is in."""
        before = self.expected
        if not self.envelopes:
            return before
        last = self.envelopes[-1]
        return Ownership(before.owner, before.epoch, Offset(last.top + 1), last.number)


class Description(Struct, frozen=True):
    """What an engine answers about a channel: whether it is still warming up, or why it is refused.

    ``temporary``: it is refused for now, and may be computed later.
    """

    warming: bool
    refused: str | None = None
    temporary: bool = False


class ClosedValue(Struct, frozen=True, array_like=True):
    """What a channel says of one closed bar; `t_ms` is the bar's open time, ms since the epoch."""

    t_ms: int
    payload: bytes


class Chart(Struct, frozen=True):
    """What an engine answers about a channel's past: the newest closed bars that it holds, oldest first."""

    values: tuple[ClosedValue, ...]
    refused: str | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """The bytes of `envelope`."""
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """The envelope that `data` holds. Raises EnvelopeError."""
    try:
        envelope = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(f"not an envelope: {error}") from error
    if envelope.version != VERSION:
        raise EnvelopeError(f"expected an envelope of version {VERSION}, found {envelope.version}")
    return envelope
