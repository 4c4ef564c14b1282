"""A channel's past: finals that the bus holds, and before them what its engine makes of older bars. Pure; no I/O.

A final that the bus holds has its offset; older bars have none. Both are told apart by the bar's time, the ``t`` of a
payload: the only thing that a gateway reads in one.
"""

from itertools import islice
from typing import Final

import msgspec
from msgspec import Raw, Struct

from gateway.recovery import MAX_PUBLICATIONS, MAX_REPLY_BYTES, PUBLICATION_OVERHEAD_BYTES, REPLY_OVERHEAD_BYTES
from wire.client_messages import ClientPublication, HistoryRequest
from wire.envelope import ClosedValue, Held, HeldFinal, Publication
from wire.position import Epoch, Offset, StreamPosition

WINDOW: Final = 2_000
"""Finals of a topic that are read for a chart; what is older comes from the engine, without offsets."""
CLOSED_MEANWHILE: Final = 2
"""Bars of a channel that may close between the reading of the bus and the engine's answer."""

_NO_TIME: Final = float("inf")


class Query(Struct, frozen=True):
    """What of the past is asked for: at most `limit` publications.

    Forward: what follows `since`, oldest first; without it, the newest, oldest first. `reverse`: what precedes `since`
    (or the end), newest first.
    """

    limit: int
    since: StreamPosition | None = None
    reverse: bool = False

    @property
    def forward_from(self) -> StreamPosition | None:
        """The position that is read on from; None when it is read back."""
        return None if self.reverse else self.since

    def read_from(self, top: Offset) -> Offset:
        """The offset above which the bus is read."""
        if self.forward_from is not None:
            return self.forward_from.offset
        end = top if self.since is None else self.since.offset
        return Offset(max(end - WINDOW, 0))


class _Timed(Struct, frozen=True):
    t: int


_timed: Final = msgspec.json.Decoder(_Timed)


def query(request: HistoryRequest) -> Query:
    """The query of a request, its limit cut to what one reply can hold."""
    limit = MAX_PUBLICATIONS if request.limit < 0 else min(request.limit, MAX_PUBLICATIONS)
    since = request.since
    position = None if since is None else StreamPosition(Epoch(since.epoch), Offset(since.offset))
    return Query(limit, position, request.reverse)


def reaches(held: Held, channel: str, asked: Query) -> bool:
    """Whether it can be told for sure which finals of `channel` come after the position asked for, and which before.

    These are the conditions of a recovery; what comes before a position is what does not come after the one below it.
    """
    if asked.since is None:
        return True
    newest = held.newest.get(channel)
    if newest is None or asked.since.epoch not in ("", held.epoch):
        return False
    offset = max(asked.since.offset - 1, 0) if asked.reverse else asked.since.offset
    if not newest.since <= offset <= held.top:
        return False
    return newest.offset <= offset or held.first_held <= offset + 1


def count_older(held: Held, channel: str, asked: Query) -> int:
    """How many of the newest closed bars the engine has to be asked for; 0 when the bus holds enough.

    Those that come after the position asked for, or closed since the bus was read, are told too, and passed over.
    """
    finals = _finals(held, channel)
    before = _before(finals, asked)
    if asked.forward_from is not None or len(before) >= asked.limit:
        return 0
    return asked.limit + len(finals) - len(before) + CLOSED_MEANWHILE


def chart(held: Held, channel: str, asked: Query, older: tuple[ClosedValue, ...]) -> tuple[ClientPublication, ...]:
    """Answer `asked` from what the bus held and what the engine said, oldest first, of closed bars.

    Cut to what one reply can hold: forward at the new end, so that a client can read on; else at the old end.
    """
    finals = _finals(held, channel)
    position = asked.forward_from
    if position is not None:
        return _fitting([_held(final) for final in finals if final.offset > position.offset], asked.limit)
    times_ms = {_time_ms(final.publication.payload) for final in finals} if older else set()
    newest_ms = max(times_ms, default=_NO_TIME)  # the oldest final may be of an old bar, which was corrected
    past = [ClientPublication(Raw(v.payload)) for v in older if v.t_ms < newest_ms and v.t_ms not in times_ms]
    past += [_held(final) for final in _before(finals, asked)]
    newest_first = _fitting(past[::-1], asked.limit)
    return newest_first if asked.reverse else newest_first[::-1]


def _finals(held: Held, channel: str) -> tuple[HeldFinal, ...]:
    """The finals of the channel's unbroken computing that are known with their offsets, in order."""
    newest = held.newest.get(channel)
    if newest is None or newest.payload is None:
        return ()
    finals = tuple(f for f in held.finals if f.publication.channel == channel and f.offset > newest.since)
    return finals or (HeldFinal(newest.offset, Publication(channel, newest.payload)),)


def _before(finals: tuple[HeldFinal, ...], asked: Query) -> tuple[HeldFinal, ...]:
    if asked.since is None:
        return finals
    end = asked.since.offset
    return tuple(final for final in finals if final.offset < end)


def _held(final: HeldFinal) -> ClientPublication:
    return ClientPublication(Raw(final.publication.payload), final.offset)


def _time_ms(payload: bytes) -> float:
    """The bar's time; a payload without one is as old as can be, so that nothing is said twice."""
    try:
        return _timed.decode(payload).t
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return -_NO_TIME


def _fitting(publications: list[ClientPublication], limit: int) -> tuple[ClientPublication, ...]:
    """As many from the start as are asked for and fit one reply."""
    room = MAX_REPLY_BYTES - REPLY_OVERHEAD_BYTES
    for count, publication in enumerate(publications):
        room -= len(bytes(publication.data)) + PUBLICATION_OVERHEAD_BYTES
        if room < 0:
            limit = min(limit, count)
            break
    return tuple(islice(publications, limit))
