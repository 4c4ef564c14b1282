"""The seam to recordings of any form, and to their playing. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from engine.ticks import QuoteBatch, TickBatch


class Counts(Struct, frozen=True):
    """What playing has met but ticks: see FeedStatus."""

    unknown: int = 0
    duplicates: int = 0
    gaps: int = 0
    refused: int = 0


class Reading(Protocol):
    """A recording, or several, while they are played; every method raises FeedError when one cannot be read."""

    @property
    def counts(self) -> Counts:
        """What was met since the beginning, all rounds together."""

    def read(self, lines: int) -> TickBatch | None:
        """The ticks of about so many lines more, in order of receipt, perhaps none; None at the end."""

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """The newest quote of each symbol received up to `until_ns`, those not given yet; None without any."""

    def settle_quotes(self, until_ns: int) -> None:
        """Forget all quotes received up to `until_ns` but the newest of each symbol."""

    def take_new_kinds(self) -> Sequence[str]:
        """The kinds of unknown messages met for the first time since this was asked last."""

    def restart(self) -> None:
        """Begin again at the first line; ids begin anew."""


class Recording(Protocol):
    """A file that was looked through once. Times are ns since the epoch, UTC."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def venue(self) -> str | None:
        """The venue that it is of; None when it does not say."""

    @property
    def symbols(self) -> Sequence[str]:
        """The symbols that traded, sorted, as the recording has them."""

    @property
    def first_ns(self) -> int:
        """The first time of receipt."""

    @property
    def last_ns(self) -> int:
        """The last time of receipt."""

    @property
    def grace_ns(self) -> int:
        """How long a bar of such a venue waits for trades behind the newest."""

    @property
    def has_receipts(self) -> bool:
        """True when times of receipt were recorded; else each trade counts as received when it happened."""

    def play(self, slots: Mapping[str, int]) -> Reading:
        """Play it from its start; `slots` gives each of its symbols its slot."""
