"""Scale: how much a benchmark takes on. Pure; no I/O."""

from msgspec import Struct


class Scale(Struct, frozen=True):
    """`quick`: enough to see that it works; its figures say little.

    `channels`, `ticks_per_s`, `measured_s` and `redis_url` (None: a bus in memory) are those of the load.
    """

    instruments: int = 5_000
    quick: bool = False
    channels: int = 10_000
    ticks_per_s: int = 100_000
    measured_s: float = 20.0
    redis_url: str | None = None

    def times(self, count: int) -> int:
        """How often something that is worth `count` repetitions is repeated."""
        return max(3, count // 50) if self.quick else count
