"""The round: everything that became pending in one step of the event loop is written once for each connection.

It tells the hub the time too, while live values wait for their turn.
"""

import asyncio

from gateway.hub import Hub
from gateway.metrics import GatewayMetrics
from gateway.pace import TICK_S
from gateway.subscription import Hold, Sink


class Round:
    """Writes the hub's round out, once a step of the loop, however many publications came in."""

    def __init__(self, hub: Hub, metrics: GatewayMetrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._scheduled = False
        self._ticking = False
        self._counted = 0
        metrics.congested.set_function(lambda: len(hub.congested))

    def schedule(self) -> None:
        """Something is pending."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write_out)

    def touch(self, sink: Sink) -> None:
        """Something is pending for `sink`."""
        self._hub.touched.add(sink)
        self.schedule()

    def congest(self, sink: Sink, hold: Hold) -> None:
        """Give publications for `sink` to `hold` from now on."""
        self._hub.congested[sink] = hold

    def release(self, sink: Sink) -> None:
        """Let `sink` flow again; without effect when it does."""
        self._hub.congested.pop(sink, None)

    def _write_out(self) -> None:
        self._scheduled = False
        self._hub.write_out()
        if self._hub.pacing and not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._metrics.deliveries.inc(self._hub.deliveries - self._counted)
        self._counted = self._hub.deliveries

    def _tick(self) -> None:
        self._ticking = False
        self._hub.tick()
        self._write_out()
