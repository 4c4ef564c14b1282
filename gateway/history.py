"""Reads a channel's past for a client: from the bus, and what is older from the channel's engine."""

from typing import Final

from gateway.chart import Query, chart, count_older, reaches
from gateway.errors import ChannelRefusedError
from gateway.offer import RefusedError
from gateway.relay import Relay
from wire import close
from wire.channel import Channel, ChannelKind
from wire.client_messages import HistoryResult
from wire.envelope import Chart

DRAWN: Final = frozenset({ChannelKind.BARS, ChannelKind.SIGNALS})
"""The kinds that say something of every bar: an engine can tell what that was. The others are told once."""


async def recall(relay: Relay, topic: int, channel: Channel, asked: Query) -> HistoryResult:
    """The answer to a query; it may never come: the caller sets the time.

    Raises RefusedError when its position cannot be served, ChannelRefusedError when the engine does not compute the
    channel, and BusUnavailableError.
    """
    name = channel.name
    held = await relay.read(topic, None, name)
    if asked.limit > 0:
        held = await relay.read(topic, asked.read_from(held.top), name)
    if not reaches(held, name, asked):
        raise RefusedError(close.UNRECOVERABLE_POSITION)
    older = Chart(())
    if channel.kind in DRAWN and (count := count_older(held, name, asked)):
        older = await relay.history(topic, name, count)
    if older.refused is not None:
        raise ChannelRefusedError(older.refused, temporary=True)
    return HistoryResult(chart(held, name, asked, older.values), held.epoch, held.top)
