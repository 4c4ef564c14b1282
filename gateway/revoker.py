"""Serves nobody any more who was revoked: reads the revocations of the bus, and does what they say. Does I/O."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from gateway.broker import RevocationLog
from gateway.errors import BusUnavailableError
from gateway.holders import Holder, Holders
from gateway.metrics import GatewayMetrics
from wire import close
from wire.close import Close
from wire.revocation import Place, Revocation

POLL_S: Final = 0.25
"""How often the bus is asked. A connection is to be closed within a second."""
SLICE: Final = 100
"""Connections that are closed without a pause."""

REVOKED: Final = close.INVALID_TOKEN.because("revoked")

log = structlog.get_logger("gateway")


class Believer(Protocol):
    """Who remembers answers of the user service."""

    def revoke(self, revocation: Revocation) -> None:
        """Believe no answer any more that is about who is revoked."""

    def revoke_all(self) -> None:
        """Believe no answer any more."""


class Revoker:
    """Ends the connections of who is revoked, and what is believed of them.

    While the bus cannot be read nothing is told. Whom that misses is found when the user service is asked again, as it
    is about every connection within a minute.
    """

    def __init__(self, bus: RevocationLog, users: Believer, holders: Holders, metrics: GatewayMetrics) -> None:
        self._bus = bus
        self._users = users
        self._holders = holders
        self._metrics = metrics
        self._place: Place | None = None
        self._reading = True

    async def run(self) -> None:
        """Do what the bus says, until it is cancelled."""
        while True:
            if not await self._read():
                await asyncio.sleep(POLL_S)

    async def revoke(self, revocation: Revocation) -> int:
        """End what one is served here, and believe nothing of before; how many connections that were."""
        self._users.revoke(revocation)
        self._metrics.revocations.labels("token" if revocation.sub is None else "sub").inc()
        return await shut(self._holders.of(revocation.key), REVOKED)

    async def tell(self, revocation: Revocation) -> None:
        """Have all gateways do it, this one too. Raises BusUnavailableError."""
        await self._bus.revoke(revocation)

    async def _read(self) -> bool:
        """Read once; whether there may be more now."""
        try:
            revoked = await self._bus.revoked(self._place)
        except BusUnavailableError as error:
            if self._reading:
                log.warning("revocations.unreadable", error=str(error))
            self._reading = False
            return False
        self._reading = True
        self._place = revoked.place
        if revoked.missed:
            log.warning("revocations.missed")
            self._metrics.revocations_missed.inc()
            self._users.revoke_all()
        if revoked.unreadable:
            log.warning("revocations.strange", entries=revoked.unreadable)
        for revocation in revoked.revocations:
            count = await self.revoke(revocation)
            log.info("revocation.done", subject=revocation.sub, connections=count)
        return revoked.more


async def shut(holders: Sequence[Holder], reason: Close) -> int:
    """Close all of `holders`, with pauses for others; how many they are."""
    for at in range(0, len(holders), SLICE):
        for holder in holders[at : at + SLICE]:
            holder.shut(reason)
        if at + SLICE < len(holders):
            await asyncio.sleep(0)
    return len(holders)
