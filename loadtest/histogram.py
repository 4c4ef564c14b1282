"""Histogram: how long things took, in buckets whose width is a fixed share of the value. Pure; no I/O."""

from collections.abc import Sequence
from typing import Final

_PRECISION_BITS: Final = 6
_OCTAVES: Final = 30
_EXACT: Final = 2 << _PRECISION_BITS
MAX_US: Final = (1 << (_PRECISION_BITS + _OCTAVES)) - 1
"""What is longer, some 19 hours, counts as that."""
BUCKETS: Final = _EXACT + ((_OCTAVES - 1) << _PRECISION_BITS)


class Histogram:
    """Counts durations in µs; each is known to 1.6 %, below 128 µs exactly."""

    __slots__ = ("count", "counts", "total_us")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        """By bucket."""
        self.count = 0
        self.total_us = 0

    def record(self, duration_us: int) -> None:
        """Count one; a negative one, which only two clocks can make, is 0."""
        duration_us = min(max(duration_us, 0), MAX_US)
        self.counts[bucket_of(duration_us)] += 1
        self.count += 1
        self.total_us += duration_us

    def merge(self, other: "Histogram") -> None:
        """Take over all that `other` has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.total_us += other.total_us

    def percentile_us(self, percent: float) -> int:
        """The longest duration that may be among the shortest `percent` of all; 0 when nothing was counted."""
        wanted = min(max(1, -int(-percent * self.count // 100)), self.count)
        reached = 0
        for bucket, count in enumerate(self.counts):
            reached += count
            if reached >= wanted > 0:
                return longest_of(bucket)
        return 0

    def percentiles_ms(self, percents: Sequence[float]) -> dict[str, float]:
        """Percentiles by name, as ``p99``, in ms."""
        return {f"p{percent:g}": self.percentile_us(percent) / 1e3 for percent in percents}


def bucket_of(duration_us: int) -> int:
    """The bucket of a duration from 0 to MAX_US."""
    if duration_us < _EXACT:
        return duration_us
    shift = duration_us.bit_length() - _PRECISION_BITS - 1
    return (shift << _PRECISION_BITS) + (duration_us >> shift)


def longest_of(bucket: int) -> int:
    """The longest duration of a bucket, in µs."""
    if bucket < _EXACT:
        return bucket
    shift = (bucket >> _PRECISION_BITS) - 1
    return (((bucket & ((1 << _PRECISION_BITS) - 1)) + (1 << _PRECISION_BITS) + 1) << shift) - 1
