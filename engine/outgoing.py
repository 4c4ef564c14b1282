"""What waits to be published for one topic. Pure; no I/O.

Finals, and the beginning and end of channels, wait in the order in which they came. Live values do not queue: the
newest of a channel waits, until a final of the channel makes it obsolete.
"""

from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from engine.packing import Corrections, Drop, Finals, Item, Start
from wire.envelope import Publication


class Taken(Struct, frozen=True):
    """What was taken out of the queue for one batch; `size_bytes` is that of its finals."""

    items: tuple[Item, ...]
    live: tuple[Publication, ...]
    size_bytes: int


class Outgoing:
    """The queue of one topic, and the live values beside it. ``size_bytes`` is that of the finals that wait."""

    __slots__ = ("_items", "_live", "size_bytes")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._live: dict[str, Publication] = {}
        self.size_bytes = 0

    @property
    def queued(self) -> bool:
        """Whether anything but live values waits."""
        return bool(self._items)

    @property
    def has_live(self) -> bool:
        """Whether a live value waits."""
        return bool(self._live)

    # what comes in

    def start(self, channel: str) -> None:
        """`channel` is computed from now on."""
        self._items.append(Start(channel))

    def drop(self, channel: str) -> None:
        """`channel` is computed no more."""
        self._live.pop(channel, None)
        self._items.append(Drop(channel))

    def close(self, finals: Finals) -> None:
        """A boundary of channels that were started, later than those of its timeframe that came before."""
        for publication in finals.publications:
            self._live.pop(publication.channel, None)
        self._items.append(finals)
        self.size_bytes += finals.size_bytes

    def correct(self, corrections: Corrections) -> None:
        """Finals of bars that closed before; live values are of newer ones."""
        self._items.append(corrections)
        self.size_bytes += corrections.size_bytes

    def offer(self, live: Iterable[Publication]) -> None:
        """Live values of channels that were started."""
        self._live.update({publication.channel: publication for publication in live})

    # what goes out

    def take(self, limit_bytes: int) -> Taken:
        """What goes next: finals up to about `limit_bytes`, at least one boundary unless that is 0.

        Live values go behind the last final, and wait while others do.
        """
        items: list[Item] = []
        size = 0
        while self._items and size < limit_bytes:
            item = self._items.popleft()
            items.append(item)
            if isinstance(item, Finals | Corrections):
                size += item.size_bytes
        self.size_bytes -= size
        live: tuple[Publication, ...] = ()
        if not self._items:
            live = tuple(self._live.values())
            self._live.clear()
        return Taken(tuple(items), live, size)

    def put_back(self, taken: Taken) -> None:
        """It waits as before, but for live values that something newer stands in for."""
        obsolete = {p.channel for item in self._items if isinstance(item, Finals) for p in item.publications}
        obsolete.update(item.channel for item in self._items if isinstance(item, Drop))
        for publication in taken.live:
            if publication.channel not in obsolete:
                self._live.setdefault(publication.channel, publication)
        self._items.extendleft(reversed(taken.items))
        self.size_bytes += taken.size_bytes

    def put_first(self, items: Iterable[Start | Drop]) -> None:
        """`items` go before all that waits."""
        self._items.extendleft(reversed(list(items)))

    def void(self) -> None:
        """All finals go."""
        self._items = deque(item for item in self._items if not isinstance(item, Finals | Corrections))
        self.size_bytes = 0
