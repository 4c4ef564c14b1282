"""Congestion: one connection, from the first byte that its socket does not take until it flows again. Does I/O."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct, structs

from gateway.config import OutboxConfig
from gateway.outbox import Outbox, Overdue
from gateway.socket_options import unaccepted_bytes
from gateway.subscription import Subscription

RESUME_BYTES: Final = 16 * 1024
"""What is written at once to a reader that goes on: what is written can no longer be replaced by something newer."""
CHECKS: Final = 5
"""How often a reader is looked at within the time that it has."""


class Backlog(Struct, frozen=True):
    """How far a reader was behind when it was given up."""

    overdue: Overdue
    queued_bytes: int
    live_bytes: int
    unaccepted_bytes: int
    """Written, and not acknowledged."""
    held_ms: int
    """How long it had been behind."""

    def figures(self) -> dict[str, object]:
        """For a log line."""
        return {**structs.asdict(self), "overdue": self.overdue.value}


class Congestion:
    """Keeps what comes for one reader, writes it as the socket takes it, and watches the reader.

    `give_up` is called when the reader turns out to be a slow consumer; it has to call `end`.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        frames: Iterable[bytes],
        limits: OutboxConfig,
        give_up: Callable[[Backlog], None],
    ) -> None:
        self._transport = transport
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._outbox = Outbox(limits, self._began_s)
        for frame in frames:
            self._outbox.queue(frame, self._began_s)
        self._unaccepted_bytes = unaccepted_bytes(transport)
        """What is unaccepted if the reader has accepted nothing since the last look."""
        self._period_s = min(limits.oldest_s, limits.stalled_s) / CHECKS
        self._timer = self._loop.call_later(self._period_s, self._watch)

    def queue(self, frame: bytes) -> None:
        """Keep a reply or a push."""
        self._outbox.queue(frame, self._loop.time())
        self._check_size()

    def hold(self, subscription: Subscription, frame: bytes, *, final: bool) -> None:
        """Keep a publication."""
        self._outbox.hold(subscription, frame, self._loop.time(), final=final)
        self._check_size()

    def pong(self, frame: bytes) -> None:
        """Keep a pong, in place of an older one."""
        self._outbox.newest_pong = frame

    def drop(self, subscription: Subscription) -> None:
        """Forget what is kept of `subscription`."""
        self._outbox.drop(subscription)

    def drain(self) -> bool:
        """Write as much as the socket takes; True when nothing is left."""
        while not self._transport.get_write_buffer_size():
            frames = self._outbox.take(RESUME_BYTES)
            if not frames:
                return True
            data = b"".join(frames)
            self._transport.write(data)
            self._unaccepted_bytes += len(data)
        self._check_size()
        return False

    def end(self) -> list[bytes]:
        """Keep and watch no more; what was kept, in the order in which it would have been written."""
        self._timer.cancel()
        return self._outbox.take()

    def _watch(self) -> None:
        """See whether the reader has accepted anything since the last look, and whether its time is up."""
        now_s, size = self._loop.time(), unaccepted_bytes(self._transport)
        if size < self._unaccepted_bytes:
            self._outbox.accepted(now_s)
        self._unaccepted_bytes = size
        overdue = self._outbox.overdue(now_s)
        if overdue is None:
            self._timer = self._loop.call_later(self._period_s, self._watch)
        else:
            self._judge(overdue)

    def _check_size(self) -> None:
        if self._outbox.overflows:
            self._judge(Overdue.BYTES)

    def _judge(self, overdue: Overdue) -> None:
        outbox, held_s = self._outbox, self._loop.time() - self._began_s
        unaccepted = unaccepted_bytes(self._transport)
        self._give_up(Backlog(overdue, outbox.queued_bytes, outbox.live_bytes, unaccepted, round(held_s * 1000)))
