"""Status: how a venue's feed is, for the channel that tells it. Pure; no I/O."""

from collections.abc import Collection
from typing import Final

from engine.feeds.feed import FeedState, FeedStatus
from engine.payloads import Told, status_payload
from wire.envelope import Publication
from wire.market import NS_PER_S, NS_PER_US

PERIOD_NS: Final = NS_PER_S
"""How late a feed is, is told at most this often; what it has become, at once."""


class Status:
    """The status of one venue's feed, told when it has changed."""

    def __init__(self) -> None:
        self._channel: str | None = None
        self._state: FeedState | None = None
        self._lag_ms = 0
        self._told_ns = 0
        self._payload = b""

    def watch(self, channel: str) -> bool:
        """Tell it on `channel`; False if it is told already."""
        if self._channel is not None:
            return False
        self._channel, self._state = channel, None
        return True

    def unwatch(self) -> None:
        """Tell it no more."""
        self._channel = None

    def news(
        self, status: FeedStatus, now_ns: int, repeated: Collection[str], *, sent_us: int | None
    ) -> list[Publication]:
        """What is to be told at `now_ns` of the feed's clock; always, if the channel is in `repeated`."""
        if self._channel is None:
            return []
        late = status.lag_ms != self._lag_ms and now_ns - self._told_ns >= PERIOD_NS
        if status.state is not self._state or late:
            self._state, self._lag_ms, self._told_ns = status.state, status.lag_ms, now_ns
            told = Told(now_ns // NS_PER_US, now_ns // NS_PER_US if sent_us is None else sent_us)
            self._payload = status_payload(told, status.state.value, status.since_ms, status.lag_ms)
        elif self._channel not in repeated:
            return []
        return [Publication(self._channel, self._payload)]
