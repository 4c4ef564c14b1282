"""Token buckets: how often a thing may happen, and how often at once. Pure; no I/O, no clock.

All times are of one monotonic clock, in nanoseconds. A bucket is told by one number: when it will be full again.
"""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

_NS_PER_S: Final = 1_000_000_000
_NEVER_NS: Final = 1e18  # 30 years


class Rate(Struct, frozen=True):
    """A token comes back every `interval_ns`, up to `burst` tokens."""

    interval_ns: int
    burst: int

    def take(self, full_ns: int, now_ns: int, count: int = 1) -> int | None:
        """When a bucket, full at `full_ns`, is full again once `count` tokens are gone; None: it has not so many."""
        after_ns = max(full_ns, now_ns) + count * self.interval_ns
        return None if after_ns - now_ns > self.burst * self.interval_ns else after_ns

    def wait_ns(self, full_ns: int, now_ns: int, count: int = 1) -> int:
        """How long until the bucket has `count` tokens, of at most `burst`."""
        return max(max(full_ns, now_ns) - now_ns - (self.burst - count) * self.interval_ns, 0)


def rate(per_s: float, burst: int) -> Rate | None:
    """The rate that a configuration names; None for 0 a second, which is no limit."""
    return None if per_s == 0 else Rate(max(round(min(_NS_PER_S / per_s, _NEVER_NS)), 1), burst)


class TokenBucket:
    """One bucket, full at first."""

    __slots__ = ("_full_ns", "_rate")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_ns: int | None = None

    def take(self, now_ns: int, count: int = 1) -> bool:
        """Take `count` tokens if there are so many; else none."""
        full_ns = self._rate.take(now_ns if self._full_ns is None else self._full_ns, now_ns, count)
        if full_ns is None:
            return False
        self._full_ns = full_ns
        return True

    def wait_ns(self, now_ns: int, count: int = 1) -> int:
        """How long until there are `count` tokens."""
        return self._rate.wait_ns(now_ns if self._full_ns is None else self._full_ns, now_ns, count)


class TokenBuckets:
    """A bucket for each key; one that is full again is forgotten.

    At most `capacity` are kept: then the one that was not used for longest makes room, and is full when it is used
    again.
    """

    __slots__ = ("_capacity", "_full_ns")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._full_ns: OrderedDict[str, int] = (
            OrderedDict()
        )  # to find the first of a dict takes long once many are gone

    def __len__(self) -> int:
        return len(self._full_ns)

    def take(self, key: str, rate: Rate, now_ns: int) -> bool:
        """Take a token of the key's bucket, which has this rate, if there is one. O(1)."""
        self._tidy(now_ns)
        full_ns = rate.take(self._full_ns.get(key, now_ns), now_ns)
        if full_ns is None:
            return False
        self._full_ns[key] = full_ns
        self._full_ns.move_to_end(key)  # so that the first of them is the one used longest ago
        if len(self._full_ns) > self._capacity:
            self._full_ns.popitem(last=False)
        return True

    def wait_ns(self, key: str, rate: Rate, now_ns: int) -> int:
        """How long until the key's bucket has a token."""
        return rate.wait_ns(self._full_ns.get(key, now_ns), now_ns)

    def _tidy(self, now_ns: int) -> None:
        """Forget two of the oldest if they are full: more than come in."""
        for _ in range(2):
            oldest = next(iter(self._full_ns), None)
            if oldest is None or self._full_ns[oldest] > now_ns:
                return
            del self._full_ns[oldest]
