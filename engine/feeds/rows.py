"""RowReading: a recording of one trade a line while it is played, whatever the columns mean. Reads files."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

import numpy as np

from engine.feeds.errors import FeedError
from engine.feeds.lines import numbered
from engine.feeds.recording import Counts
from engine.ticks import QuoteBatch, TickBatch

_NEVER: Final = -(1 << 62)
_SCANNED_AT_ONCE: Final = 8_192


class RowParser(Protocol):
    """What knows the columns. ``refused`` counts the trades that make no sense."""

    @property
    def refused(self) -> int:
        """How many trades were refused."""

    def parse(self, rows: Sequence[tuple[int, bytes]]) -> TickBatch:
        """The trades of numbered lines that make sense. Raises FeedError, which names line and field."""


class RowReading:
    """There are no times of receipt: a trade counts as received when it happened, or with the one before it."""

    def __init__(self, path: str, parser: RowParser, *, header: bool) -> None:
        self._path = path
        self._parser = parser
        self._header = header
        self._received_ns = _NEVER
        self._rows = self._begun()

    @property
    def counts(self) -> Counts:
        """What was refused since the beginning, all rounds together."""
        return Counts(refused=self._parser.refused)

    def read(self, lines: int) -> TickBatch | None:
        """The trades of so many lines more, perhaps none; None at the end."""
        rows = list(islice(self._rows, lines))
        if not rows:
            return None
        batch = self._parser.parse(rows)
        if len(batch) == 0:
            return batch
        received_ns = np.maximum(np.maximum.accumulate(batch.event_ns), self._received_ns)
        self._received_ns = received_ns.item(-1)
        return replace(batch, received_ns=received_ns)

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """None: there are only trades."""

    def settle_quotes(self, until_ns: int) -> None:
        """Nothing: there are only trades."""

    def take_new_kinds(self) -> Sequence[str]:
        """None: all lines are of one kind."""
        return ()

    def restart(self) -> None:
        """Begin again at the first trade."""
        self._received_ns = _NEVER
        self._rows = self._begun()

    def span_ns(self) -> tuple[int, int]:
        """Read to the end: the first and the last time of receipt. Raises FeedError when there is no trade."""
        first_ns: int | None = None
        while (batch := self.read(_SCANNED_AT_ONCE)) is not None:
            if first_ns is None and len(batch):
                first_ns = batch.received_ns.item(0)
        if first_ns is None:
            raise FeedError(f"{self._path}: expected trades, found none that makes sense")
        return first_ns, self._received_ns

    def _begun(self) -> Iterator[tuple[int, bytes]]:
        return islice(numbered(self._path), 1 if self._header else 0, None)
