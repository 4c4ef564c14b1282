"""Who may no longer be served: what the stream of revocations says. Pure; no I/O."""

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from msgspec import Struct

MAX_SUBJECT: Final = 255
"""Characters of a subscriber's name, at most."""

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")


class RevocationError(ValueError):
    """What was given revokes nothing; says what was expected."""


class Revocation(Struct, frozen=True):
    """A subscriber whose every token is revoked, or one token: just one of the two is set.

    `token_sha256` is the digest of the token's UTF-8, in hexadecimal. Raises RevocationError.
    """

    sub: str | None = None
    token_sha256: str | None = None

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if (self.sub is None) == (self.token_sha256 is None):
            raise RevocationError("expected either sub or token_sha256")
        if self.sub is not None and not 0 < len(self.sub) <= MAX_SUBJECT:
            raise RevocationError(f"expected sub of 1 to {MAX_SUBJECT} characters, found {len(self.sub)}")
        if self.token_sha256 is not None and _DIGEST.fullmatch(self.token_sha256) is None:
            raise RevocationError("expected token_sha256 of 64 hexadecimal digits")

    @property
    def key(self) -> str | bytes:
        """What it is looked up by: the subscriber's name, or the token's digest as `digest_of` gives it."""
        return bytes.fromhex(self.token_sha256 or "") if self.sub is None else self.sub


class Place(Struct, frozen=True):
    """How far the stream was read: the `id` of an entry, and how many were ever `added` up to it, if that is known."""

    id: str
    added: int | None


class Revoked(Struct, frozen=True):
    """What one read of the stream gave, oldest first; `place` is where to read on.

    `more`: there is more now. `missed`: entries went unread, because they were trimmed or the stream was lost.
    `unreadable`: entries that revoke nothing.
    """

    revocations: tuple[Revocation, ...]
    place: Place
    more: bool = False
    missed: bool = False
    unreadable: int = 0


def digest_of(token: str) -> bytes:
    """The digest by which a token is named without giving it away. Raises UnicodeEncodeError for half a character."""
    return hashlib.sha256(token.encode()).digest()


def fields_of(revocation: Revocation) -> dict[str, str]:
    """The fields of a stream's entry."""
    if revocation.sub is not None:
        return {"sub": revocation.sub}
    return {"token_sha256": revocation.token_sha256 or ""}


def revocations_of(fields: Mapping[bytes, bytes]) -> tuple[Revocation, ...]:
    """What an entry revokes: nothing when it cannot be read, two where it names a subscriber and a token."""
    found: list[Revocation] = []
    with suppress(RevocationError, UnicodeDecodeError):
        if (sub := fields.get(b"sub")) is not None:
            found.append(Revocation(sub=sub.decode()))
    with suppress(RevocationError, UnicodeDecodeError):
        if (digest := fields.get(b"token_sha256")) is not None:
            found.append(Revocation(token_sha256=digest.decode()))
    return tuple(found)
