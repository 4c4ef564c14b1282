"""Which answers of the user service are void, because they may be from before a revocation. Pure; no I/O.

Revocations are counted, and an answer carries the count at the time when it was asked for.
"""

from typing import Final

from wire.revocation import Revocation

KEPT: Final = 10_000
"""Revocations that are kept apart; older ones void every answer from before them."""


class Revocations:
    """All that were heard of so far."""

    def __init__(self, kept: int = KEPT) -> None:
        self.count = 0
        """How many there were: what an answer that is asked for now carries."""
        self._kept = kept
        self._counts: dict[str | bytes, int] = {}
        self._floor = 0

    def add(self, revocation: Revocation) -> None:
        """Void the answers about a subscriber, or a token."""
        self.count += 1
        self._counts.pop(revocation.key, None)
        if len(self._counts) >= self._kept:
            self._floor = self._counts.pop(next(iter(self._counts)))
        self._counts[revocation.key] = self.count

    def add_all(self) -> None:
        """Void every answer: it is not known who was revoked."""
        self.count += 1
        self._floor = self.count
        self._counts.clear()

    def void(self, asked: int, sub: str, digest: bytes) -> bool:
        """Whether an answer is void that was asked for at the count `asked`, about a token of `sub`."""
        counts = self._counts
        return asked < self._floor or asked < counts.get(sub, 0) or asked < counts.get(digest, 0)
