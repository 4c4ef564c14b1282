"""Acquisition: asks the bus for the topics that an engine does not own, and names its instruments before."""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import structlog

from engine.bus import Bus
from engine.errors import BusUnavailableError, OwnershipLostError
from engine.metrics import EngineMetrics
from engine.writer import HEARTBEAT_S, Writer

ACQUIRE_RETRY_S: Final = 0.5

log = structlog.get_logger("engine")


class Acquisition:
    """Of the topics of one engine; `instruments` are its symbols by venue."""

    def __init__(
        self,
        bus: Bus,
        instruments: Mapping[str, Sequence[str]],
        monotonic_s: Callable[[], float],
        metrics: EngineMetrics,
    ) -> None:
        self._bus = bus
        self._instruments = instruments
        self._monotonic_s = monotonic_s
        self._metrics = metrics
        self._announced = False
        self._chance = secrets.SystemRandom()

    def lost(self) -> None:
        """A topic was lost: the bus may have lost everything."""
        self._announced = False

    async def ask(self, writers: Collection[Writer]) -> str | None:
        """Ask for the topics of `writers` for as long as the others can do without a heartbeat.

        Why the bus gave no answer, if it did not. Raises OwnershipLostError when another engine has a topic of ours.
        """
        began_s, chance = self._monotonic_s(), self._chance.random()
        why, renewed = None, Counter[str]()
        for writer in sorted(writers, key=lambda writer: writer.failures):
            try:
                renewed.update(await self._claim(writer))
            except BusUnavailableError as error:
                why = str(error)
                writer.unanswered(self._monotonic_s(), chance)
            if self._monotonic_s() - began_s >= HEARTBEAT_S / 2:
                break
        for reason, topics in renewed.items():
            self._metrics.epochs.inc(topics)
            log.warning("epoch.changed", reason=reason, topics=topics)
        return why

    async def _claim(self, writer: Writer) -> list[str]:
        """Ask for one topic. Why its epoch is another one, if it is."""
        if not self._announced:
            await self._bus.announce(self._instruments)
            self._announced = True
        claim = writer.claim()
        if claim.release is not None:
            await self._bus.release([writer.topic], claim.release)
        acquired = await self._bus.acquire(writer.topic, claim.identity, known=claim.known, fresh=claim.fresh)
        now_s = self._monotonic_s()
        if acquired is not None:
            reason = writer.found(acquired, now_s)
            return [] if reason is None else [reason]
        if claim.known is not None:
            raise OwnershipLostError(f"another engine owns topic {writer.topic}, which was ours")
        writer.retry_s = now_s + ACQUIRE_RETRY_S
        return []
