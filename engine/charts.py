"""Charts: the past of channels, computed between the cycles of the engine's loop. No I/O but reading a clock."""

import asyncio
from typing import Final

from engine.charting import Charting
from engine.errors import UnknownChannelError
from engine.shard import Shard
from runtime.clock import Clock
from wire import channel as channels
from wire.channel import ChannelError
from wire.envelope import Chart
from wire.market import NS_PER_MS

SLICE_NS: Final = 2 * NS_PER_MS
"""A chart is computed for so long at a time; then the loop has its turn."""

MAX_ASKED: Final = 32
"""Charts that wait, and the one being computed: about what can be answered before those who ask give up, after 2 s."""


class Charts:
    """Computes one chart after the other, in the order they were asked for: two at once would delay a cycle twice.

    One that is asked for while MAX_ASKED are is refused.
    """

    def __init__(self, shard: Shard, clock: Clock) -> None:
        self._shard = shard
        self._clock = clock
        self._asked = 0
        self._turn = asyncio.Lock()

    async def chart(self, name: str, limit: int) -> Chart:
        """What the channel `name` says of the newest `limit` closed bars that are held when its turn has come.

        Whoever asks no longer should cancel this.
        """
        if self._asked == MAX_ASKED:
            return Chart((), refused="too many charts are asked for at once")
        self._asked += 1
        try:
            async with self._turn:
                return await self._compute(name, limit)
        finally:
            self._asked -= 1

    async def _compute(self, name: str, limit: int) -> Chart:
        try:
            charting = self._shard.history(channels.parse(name), limit, self._clock.wall_ns())
        except (ChannelError, UnknownChannelError) as error:
            return Chart((), refused=str(error))
        while True:
            await asyncio.sleep(0)
            if self._advance(charting):
                return Chart(charting.values)

    def _advance(self, charting: Charting) -> bool:
        """One slice; True when the chart is complete."""
        end_ns = self._clock.monotonic_ns() + SLICE_NS
        while not charting.advance(1):
            if self._clock.monotonic_ns() >= end_ns:
                return False
        return True
