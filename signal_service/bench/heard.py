"""Ear: listens to a bus as a gateway does, and notes when what came. Reads this machine's clock."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from wire.envelope import Envelope, Publication
from wire.market import NS_PER_MS

_SAMPLED: Final = 100
"""Of so many channels the time between live values is noted."""


class Heard(Struct, frozen=True):
    """What came in `seconds`; times in ms.

    `late_ms`: of each envelope with finals how long after its bar's end the latest came; `refresh_ms`: the times
    between the live values of a channel, of some.
    """

    seconds: float
    finals: int
    live: int
    envelopes: int
    late_ms: Sequence[float]
    refresh_ms: Sequence[float]

    def late(self, percent: float) -> float:
        """A percentile of how late finals were, ms; NaN without any."""
        return float(np.percentile(self.late_ms, percent)) if self.late_ms else float("nan")

    def refresh(self, percent: float) -> float:
        """A percentile of the time between live values of one channel, ms; NaN without any."""
        return float(np.percentile(self.refresh_ms, percent)) if self.refresh_ms else float("nan")


class _Opened(Struct):
    """The bar that a payload speaks of."""

    t: int


class Ear:
    """Listens; `durations_ms` are the lengths of the bars that each channel of interest follows.

    Once it is reset, everything begins anew but which channels have had a value.
    """

    def __init__(self, durations_ms: Mapping[str, int]) -> None:
        self._durations_ms = durations_ms
        self._sampled: dict[str, int] = dict.fromkeys(list(durations_ms)[:: max(1, len(durations_ms) // _SAMPLED)], 0)
        self._decoder = msgspec.json.Decoder(_Opened)
        self.valued: set[str] = set()
        """The channels that have had a value that is no null."""
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._began_ns = time.monotonic_ns()
        self._finals = self._live = self._envelopes = 0
        self._late_ms: list[float] = []
        self._refresh_ms: list[float] = []
        self._sampled = dict.fromkeys(self._sampled, 0)

    def taken(self) -> Heard:
        """What came since it began anew."""
        return Heard(
            (time.monotonic_ns() - self._began_ns) / 1e9,
            self._finals,
            self._live,
            self._envelopes,
            tuple(self._late_ms),
            tuple(self._refresh_ms),
        )

    def attached(self, topic: int) -> None:
        """Nothing is missed that matters here."""

    def heard(self, topic: int, envelope: Envelope) -> None:  # noqa: ARG002 - the seam's
        """An envelope came in."""
        if not (envelope.finals or envelope.live):
            return
        now_ns = time.time_ns()
        self._envelopes += 1
        self._finals += len(envelope.finals)
        self._live += len(envelope.live)
        if envelope.finals:
            self._late_ms.append(max(self._late(each, now_ns) for each in envelope.finals))
        for each in envelope.live:
            if (before := self._sampled.get(each.channel)) is not None:
                if before:
                    self._refresh_ms.append((now_ns - before) / NS_PER_MS)
                self._sampled[each.channel] = now_ns
        if len(self.valued) < len(self._durations_ms):
            self.valued.update(each.channel for each in (*envelope.finals, *envelope.live) if _has_value(each))

    def _late(self, final: Publication, now_ns: int) -> float:
        end_ms = self._decoder.decode(final.payload).t + self._durations_ms.get(final.channel, 0)
        return now_ns / NS_PER_MS - end_ms


def _has_value(publication: Publication) -> bool:
    return b'"v":null' not in publication.payload
