"""What the function `signal_revoked` answered: the next revocations, and whether any went unread. Pure; no I/O."""

from collections.abc import Sequence
from typing import Any, Final

from wire.revocation import Place, Revocation, Revoked, revocations_of

PAGE: Final = 1000
"""Entries of one read, at most."""
LOOK_BACK_MS: Final = 60_000
"""How far back the stream is read for the first time: no answer of the user service is believed for longer."""


def revoked_of(found: Sequence[Any], place: Place | None) -> Revoked:
    """The answer to a read behind `place` (None: the first).

    How many entries were ever added says whether any was trimmed unread; after a first page that has more behind it
    that is not known before the end.
    """
    newest, added, entries = found[0].decode(), int(found[1]), found[2]
    lost = place is not None and _order(newest) < _order(place.id)
    more = len(entries) == PAGE
    known = None if place is None or lost or place.added is None else place.added + len(entries)
    revocations: list[Revocation] = []
    unreadable = 0
    for _, fields in entries:
        read = revocations_of(dict(zip(fields[::2], fields[1::2], strict=True)))
        revocations += read
        unreadable += not read
    return Revoked(
        tuple(revocations),
        Place(entries[-1][0].decode(), known) if more else Place(newest, added),
        more=more,
        missed=lost or (not more and known is not None and known != added),
        unreadable=unreadable,
    )


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)
