"""What a swarm's processes are told, and what they answer. Pure; no I/O."""

from collections.abc import Sequence

from msgspec import Struct, field

from loadtest.histogram import Histogram
from loadtest.target import Habits, Target


class Connect(Struct, frozen=True):
    """Open a client for each of `numbers`; each wants so many of `channels`, from its own place on."""

    target: Target
    numbers: Sequence[int]
    channels: Sequence[str]
    channels_per_client: int
    habits: Habits


class Stall(Struct, frozen=True):
    """So many clients read no more; answered with how many there were."""

    count: int


class Drop(Struct, frozen=True):
    """Cut so many, of those that are stalled if `stalled`; answered with how many there were."""

    count: int
    stalled: bool = False


class Reconnect(Struct, frozen=True):
    """Open those that are away; answered with how many there were."""


class Measure(Struct, frozen=True):
    """Tell what came since the last time, and count from now on; without `reset` only tell."""

    reset: bool


class Quit(Struct, frozen=True):
    """Cut all, and end."""


Request = Connect | Stall | Drop | Reconnect | Measure | Quit


class Sample(Struct):
    """What came to a swarm since it was measured before, and how it stands.

    `histogram` of the time from `sent` in a payload to here. `closed` counts all connections that ended, `by_code`
    tells them apart: close codes of WebSocket, HTTP statuses of refused handshakes, 0 for those that just ended.
    `handshakes` in each second of the monotonic clock. `last_s`, of that clock: the newest delivery, and `opened_s`
    the newest client that became a subscriber. `cpu_s` is that of the swarm's processes.
    """

    deliveries: int = 0
    bytes: int = 0
    histogram: Histogram = field(default_factory=Histogram)
    closed: int = 0
    by_code: dict[int, int] = {}
    handshakes: dict[int, int] = {}
    failures: dict[str, int] = {}
    first_s: float = 0.0
    last_s: float = 0.0
    opened_s: float = 0.0
    cpu_s: float = 0.0
    open: int = 0
    opening: int = 0
    stalled: int = 0
    away: int = 0
    finals: int = 0
    lost: int = 0
    repeated: int = 0
    unrecovered: int = 0
    evicted: int = 0

    @property
    def span_s(self) -> float:
        """From the first delivery to the last."""
        return self.last_s - self.first_s

    @property
    def failed(self) -> int:
        """How many handshakes and commands were refused, or never answered."""
        return sum(self.failures.values())


def join(samples: Sequence[Sample]) -> Sample:
    """What came to all of a swarm's processes."""
    whole = Sample()
    for sample in samples:
        whole.histogram.merge(sample.histogram)
        for mine, theirs in ((whole.by_code, sample.by_code), (whole.handshakes, sample.handshakes)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        for why, count in sample.failures.items():
            whole.failures[why] = whole.failures.get(why, 0) + count
        whole.first_s = min(filter(None, (whole.first_s, sample.first_s)), default=0.0)
        whole.last_s = max(whole.last_s, sample.last_s)
        whole.opened_s = max(whole.opened_s, sample.opened_s)
        for name in _SUMS:
            setattr(whole, name, getattr(whole, name) + getattr(sample, name))
    return whole


_SUMS = (
    *("deliveries", "bytes", "closed", "cpu_s", "open", "opening", "stalled", "away"),
    *("finals", "lost", "repeated", "unrecovered", "evicted"),
)
