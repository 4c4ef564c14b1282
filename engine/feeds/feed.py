"""The seam to whatever ticks come from. Pure; no I/O."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from msgspec import Struct

from engine.sessions import Sessions
from engine.ticks import QuoteBatch, TickBatch


class FeedState(Enum):
    """How a feed is: ``stale`` when it says nothing any more, ``closed`` when it has given its last tick."""

    UP = "up"
    STALE = "stale"
    DOWN = "down"
    CLOSED = "closed"


class FeedStatus(Struct, frozen=True):
    """A feed's state and what it has counted since its start.

    ``since_ms`` is when the state began, on the feed's clock of receipt, ms since the epoch; ``lag_ms`` how long after
    its event the newest tick was received, 0 where the venue's clock runs ahead of ours. ``ticks`` were given out.
    ``unknown`` messages were skipped, ``duplicates`` dropped (a trade id that came before), ``refused`` are trades
    that make no sense; ``gaps`` are holes in a venue's trade ids.
    """

    state: FeedState
    since_ms: int
    lag_ms: int
    ticks: int = 0
    unknown: int = 0
    duplicates: int = 0
    gaps: int = 0
    refused: int = 0


class Feed(Protocol):
    """A source of ticks of one venue that is asked for them; a slot is the place of a symbol in `instruments`."""

    @property
    def venue(self) -> str:
        """The venue's name, upper case."""

    @property
    def instruments(self) -> Sequence[str]:
        """The symbols, upper case, known before the first tick and for good."""

    @property
    def grace_ns(self) -> int:
        """How long a bar of this venue waits for trades behind the newest."""

    @property
    def sessions(self) -> Sessions:
        """When the venue trades."""

    @property
    def recorded(self) -> bool:
        """True when the ticks come from the past: what is published then was sent when it happened."""

    def now_ns(self) -> int:
        """The feed's clock of receipt, which never goes back.

        While more waits than one step should take it stands before what is left, and `behind` is True.
        """

    @property
    def behind(self) -> bool:
        """True when the clock was held back at its last reading: more may be had at once."""

    def drain(self, now_ns: int) -> TickBatch:
        """Everything received up to `now_ns` that was not given yet, in order of receipt.

        Raises FeedError when a recording turns out to be unreadable.
        """

    def take_quotes(self) -> QuoteBatch | None:
        """The best bids and asks received up to the last drain, those that were not given yet; None without any."""

    def take_new_kinds(self) -> Sequence[str]:
        """The kinds of unknown messages met for the first time since this was asked last."""

    def status(self) -> FeedStatus:
        """How the feed is; ``closed`` once the last tick was given."""

    async def run(self) -> None:
        """What the feed does by itself until it is cancelled, such as its connection; over at once without any."""
