"""Outbox: what waits for one reader that is slower than what it is sent. Pure; no I/O, no clock.

Finals, replies and pushes share one queue, in order. Of live values only the newest of each subscription waits, and
goes behind the queue; a final takes the place of its subscription's live value.
"""

from collections import OrderedDict, deque
from enum import Enum

from gateway.config import OutboxConfig
from gateway.subscription import Subscription


class Overdue(Enum):
    """Why a reader is a slow consumer."""

    BYTES = "bytes"
    """More is queued than may be."""
    AGE = "age"
    """The oldest of the queue waits for too long."""
    STALLED = "stalled"
    """It has accepted nothing for too long."""


class Outbox:
    """What waits for one reader, from `now_s` on; all times are of one clock, in seconds.

    What overflows is kept all the same: who fills it asks, and ends the connection.
    """

    __slots__ = ("_accepted_s", "_limits", "_live", "_queue", "live_bytes", "newest_pong", "queued_bytes")

    def __init__(self, limits: OutboxConfig, now_s: float) -> None:
        self._limits = limits
        self._accepted_s = now_s
        self._queue: deque[tuple[Subscription | None, bytes, float]] = deque()
        self._live: OrderedDict[Subscription, bytes] = OrderedDict()
        """By subscription, those first that wait longest: the newest value takes its predecessor's place."""
        self.newest_pong: bytes | None = None
        """A client's pings may be answered by one pong (RFC 6455, 5.5.3)."""
        self.queued_bytes = 0
        self.live_bytes = 0

    def queue(self, frame: bytes, now_s: float) -> None:
        """Let a reply or a push wait."""
        self._append(None, frame, now_s)

    def hold(self, subscription: Subscription, frame: bytes, now_s: float, *, final: bool) -> None:
        """Let a publication wait."""
        self.live_bytes -= len(self._live.pop(subscription, b"")) if final else len(self._live.get(subscription, b""))
        if final:
            self._append(subscription, frame, now_s)
        else:
            self._live[subscription] = frame
            self.live_bytes += len(frame)

    def drop(self, subscription: Subscription) -> None:
        """Forget what waits of `subscription`; O(frames that wait)."""
        self.live_bytes -= len(self._live.pop(subscription, b""))
        left = deque(waiting for waiting in self._queue if waiting[0] is not subscription)
        if len(left) < len(self._queue):
            self._queue = left
            self.queued_bytes = sum(len(frame) for _, frame, _ in left)

    def take(self, limit_bytes: int | None = None) -> list[bytes]:
        """The frames to write next, whole ones until there are `limit_bytes` (None: all); empty when nothing waits."""
        frames: list[bytes] = []
        size = 0
        if self.newest_pong is not None:
            frames.append(self.newest_pong)
            self.newest_pong = None
        while self._queue and (limit_bytes is None or size < limit_bytes):
            _, frame, _ = self._queue.popleft()
            self.queued_bytes -= len(frame)
            frames.append(frame)
            size += len(frame)
        while self._live and (limit_bytes is None or size < limit_bytes):
            _, frame = self._live.popitem(last=False)
            self.live_bytes -= len(frame)
            frames.append(frame)
            size += len(frame)
        return frames

    def accepted(self, now_s: float) -> None:
        """The reader has accepted something."""
        self._accepted_s = now_s

    @property
    def overflows(self) -> bool:
        """True when more is queued than may be."""
        return self.queued_bytes > self._limits.queue_bytes

    def overdue(self, now_s: float) -> Overdue | None:
        """Why the reader is a slow consumer by now; None when it is not."""
        if now_s - self._accepted_s > self._limits.stalled_s:
            return Overdue.STALLED
        if self.overflows:
            return Overdue.BYTES
        if self._queue and now_s - self._queue[0][2] > self._limits.oldest_s:
            return Overdue.AGE
        return None

    def _append(self, subscription: Subscription | None, frame: bytes, now_s: float) -> None:
        self._queue.append((subscription, frame, now_s))
        self.queued_bytes += len(frame)
