"""Tape: the newest trade and quote of each instrument of a venue, for the channels that tell them. Pure; no I/O."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.payloads import Told, quote_payload, trade_payload
from engine.ticks import QuoteBatch, TickBatch, TickFlag
from wire.channel import Channel, ChannelKind
from wire.envelope import Publication
from wire.market import NS_PER_US

_Encode = Callable[[Told, Sequence[float]], bytes]

_SIDES: Final = np.uint8(TickFlag.BUY | TickFlag.SELL)


class _Newest:
    """The newest row of each slot by exchange time, of equals the last to arrive; event 0 where there is none.

    Numbers are held as doubles: so a trade id is told up to 2**53, which is what JSON's readers can tell apart.
    """

    def __init__(self, width: int, columns: int) -> None:
        self.event_ns = np.zeros(width, np.int64)
        self.rows = np.zeros((columns, width))
        self.changed = np.zeros(width, np.bool_)
        self.watched: dict[str, int] = {}
        self.told: dict[str, tuple[list[float], bytes]] = {}
        """What each channel has told last, and in which bytes."""

    def take(self, slot: NDArray[np.int32], event_ns: NDArray[np.int64], *columns: NDArray[np.generic]) -> None:
        """Of several assignments to one place numpy keeps the last, so rows are laid in order of event time."""
        order = np.arange(len(slot))
        if (event_ns[1:] < event_ns[:-1]).any():
            order = np.argsort(event_ns, kind="stable")
        order = order[event_ns[order] >= self.event_ns[slot[order]]]
        at = slot[order]
        self.event_ns[at] = event_ns[order]
        for row, column in zip(self.rows, columns, strict=True):
            row[at] = column[order]
        self.changed[at] = True

    def payload(self, channel: str, slot: int, encode: _Encode, sent_us: int | None) -> bytes:
        """What the channel tells; byte for byte what it told last if that is the same."""
        event_us = self.event_ns.item(slot) // NS_PER_US
        row = [event_us, *self.rows[:, slot].tolist()]
        before, payload = self.told.get(channel, (None, b""))
        if row != before:
            payload = encode(Told(event_us, event_us if sent_us is None else sent_us), row[1:])
            self.told[channel] = (row, payload)
        return payload

    def asked(self, repeated: Collection[str], *, everything: bool) -> Iterator[tuple[str, int]]:
        """The channels in `repeated` and, with `everything`, those with news, each with its slot."""
        for channel, slot in self.watched.items():
            if self.event_ns.item(slot) and (channel in repeated or (everything and self.changed.item(slot))):
                self.changed[slot] = False  # Nobody else tells it.
                yield channel, slot
        if everything:
            self.changed[:] = False


class Tape:
    """What was traded and quoted last on a venue of `width` slots."""

    def __init__(self, width: int) -> None:
        self._trades = _Newest(width, 4)
        self._quotes = _Newest(width, 4)

    @property
    def changed(self) -> bool:
        """Whether anything has come that was not told yet to those who watch."""
        return any(bool(newest.watched) and bool(newest.changed.any()) for newest in (self._trades, self._quotes))

    def watch(self, channel: Channel, slot: int) -> bool:
        """Tell `channel`, of trades or quotes; False if it is told already."""
        watched = self._of(channel).watched
        if channel.name in watched:
            return False
        watched[channel.name] = slot
        return True

    def unwatch(self, channel: Channel) -> None:
        """Tell it no more; nothing happens if it is not told."""
        newest = self._of(channel)
        newest.watched.pop(channel.name, None)
        newest.told.pop(channel.name, None)

    def trade(self, batch: TickBatch) -> None:
        """Take trades in order of receipt."""
        ids = np.full(len(batch), -1) if batch.trade_id is None else batch.trade_id
        self._trades.take(batch.instrument, batch.event_ns, batch.price, batch.size, batch.flags & _SIDES, ids)

    def quote(self, batch: QuoteBatch) -> None:
        """Take quotes in order of receipt."""
        columns = (batch.bid, batch.ask, batch.bid_size, batch.ask_size)
        self._quotes.take(batch.instrument, batch.event_ns, *columns)

    def live(self, repeated: Collection[str], *, sent_us: int | None, everything: bool) -> list[Publication]:
        """What the channels in `repeated` tell and, with `everything`, all that have something new."""
        return [
            Publication(channel, newest.payload(channel, slot, encode, sent_us))
            for newest, encode in ((self._trades, trade_payload), (self._quotes, quote_payload))
            for channel, slot in newest.asked(repeated, everything=everything)
        ]

    def _of(self, channel: Channel) -> _Newest:
        return self._trades if channel.kind is ChannelKind.TRADES else self._quotes
