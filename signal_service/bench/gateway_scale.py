"""GatewayScale: how much the gateway's benchmarks take on. Pure; no I/O."""

from pathlib import Path

from msgspec import Struct


class GatewayScale(Struct, frozen=True):
    """`quick`: enough to see that it works; its figures say little. `centrifugo`: its program, None: without it."""

    quick: bool = False
    centrifugo: Path | None = None

    def clients(self, count: int) -> int:
        """How many take the place of `count`."""
        return min(count, 20) if self.quick else count

    def seconds(self, seconds: float) -> float:
        """How long what is worth so long is watched."""
        return min(seconds, 0.2) if self.quick else seconds

    def runs(self, count: int) -> int:
        """How often something that is worth `count` runs is run."""
        return 1 if self.quick else count
