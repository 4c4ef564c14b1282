"""Drain: which client is closed when, so that they do not come back to the other gateways as one wave. Pure; no I/O."""

from collections.abc import Sequence
from typing import Generic, TypeVar

Client = TypeVar("Client")


class Drain(Generic[Client]):
    """Clients in the order in which they are closed: the first at once, the others evenly over `period_s`.

    Times are seconds since the drain began, and never go back.
    """

    def __init__(self, order: Sequence[Client], period_s: float) -> None:
        self._order = order
        self._period_s = period_s
        self._taken = 0

    def due(self, elapsed_s: float) -> Sequence[Client]:
        """Those whose time has come and who were not given before; whoever is late by a little is told at once."""
        count = len(self._order)
        passed = count if elapsed_s >= self._period_s else int(elapsed_s / self._period_s * count) + 1
        first, self._taken = self._taken, max(self._taken, min(passed, count))
        return self._order[first : self._taken]

    def wait_s(self, elapsed_s: float) -> float | None:
        """How long until somebody is due; None when nobody is left."""
        if self._taken == len(self._order):
            return None
        return max(0.0, self._period_s * self._taken / len(self._order) - elapsed_s)
