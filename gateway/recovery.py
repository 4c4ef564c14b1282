"""Position + what the bus holds -> publications to replay, or "cannot". Pure; no I/O."""

from typing import Final

from msgspec import Struct

from wire.envelope import Held, HeldFinal
from wire.position import Epoch, Offset, StreamPosition

MAX_PUBLICATIONS: Final = 1_000
MAX_REPLY_BYTES: Final = 192 * 1024
PUBLICATION_OVERHEAD_BYTES: Final = 48
"""What a publication costs in a reply beside its payload: keys, braces, and up to 20 digits of offset."""
REPLY_OVERHEAD_BYTES: Final = 1_024


class Recovery(Struct, frozen=True):
    """How a subscription starts.

    ``offset``: the position that the reply gives. ``publications``: the channel's finals above the client's position,
    in order; none unless `recovered`. ``newest``: the channel's newest final, to be sent behind the reply; None when
    there is none or the client has it.
    """

    epoch: Epoch
    offset: Offset
    recovered: bool
    publications: tuple[HeldFinal, ...]
    newest: bytes | None


def recover(held: Held, channel: str, position: StreamPosition | None) -> Recovery:
    """How a subscription to `channel` starts for a client at `position` (None: it has none)."""
    missed = None if position is None else _missed(held, channel, position)
    if position is not None and missed is not None:
        offset = position.offset if missed else held.top
        return Recovery(held.epoch, offset, recovered=True, publications=missed, newest=None)
    newest = held.newest.get(channel)
    payload = None
    if newest is not None and not _has(position, held.epoch, newest.offset):
        payload = newest.payload
    return Recovery(held.epoch, held.top, recovered=False, publications=(), newest=payload)


def _missed(held: Held, channel: str, position: StreamPosition) -> tuple[HeldFinal, ...] | None:
    """Every final of `channel` after `position`, or None when that cannot be told for sure or is too much."""
    newest = held.newest.get(channel)
    if newest is None or position.epoch not in ("", held.epoch):
        return None
    if not newest.since <= position.offset <= held.top:
        return None
    if newest.offset > position.offset and held.first_held > position.offset + 1:
        return None
    missed = tuple(f for f in held.finals if f.publication.channel == channel and f.offset > position.offset)
    size = sum(len(f.publication.payload) + PUBLICATION_OVERHEAD_BYTES for f in missed)
    if len(missed) > MAX_PUBLICATIONS or size + REPLY_OVERHEAD_BYTES > MAX_REPLY_BYTES:
        return None
    return missed


def _has(position: StreamPosition | None, epoch: Epoch, offset: Offset) -> bool:
    return position is not None and position.epoch in ("", epoch) and position.offset >= offset
