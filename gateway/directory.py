"""Which instruments exist, as the bus names them; asked again after a while, or on a miss."""

from collections.abc import Callable
from typing import Final

from gateway.broker import Broker
from gateway.errors import BusUnavailableError

FRESH_S: Final = 10.0


class Directory:
    """A cache of the venues' symbols. `monotonic_s` is the clock."""

    def __init__(self, broker: Broker, monotonic_s: Callable[[], float]) -> None:
        self._broker = broker
        self._monotonic_s = monotonic_s
        self._venues: dict[str, tuple[float, frozenset[str]]] = {}

    async def knows(self, venue: str, symbol: str | None) -> bool:
        """Whether the instrument (or, with None, the venue) exists.

        Raises BusUnavailableError when an engine that could know is not there yet, or the bus is not.
        """
        cached = self._venues.get(venue)
        if cached is not None and self._monotonic_s() - cached[0] < FRESH_S and (symbol is None or symbol in cached[1]):
            return True
        symbols = await self._broker.instruments(venue)
        if symbols is None:
            self._venues.pop(venue, None)
            if await self._broker.unowned():
                raise BusUnavailableError(f"no engine has named the instruments of {venue} yet")
            return False
        self._venues[venue] = (self._monotonic_s(), symbols)
        return symbol is None or symbol in symbols
