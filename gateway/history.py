"""Reads a channel's past for a client: from the bus, and what is older from the channel's engine."""

from gateway.broker import Broker
from gateway.chart import Query, chart, count_older, reaches
from gateway.errors import ChannelRefusedError
from gateway.offer import RefusedError
from wire import close
from wire.client_messages import HistoryResult
from wire.envelope import Chart


async def recall(broker: Broker, topic: int, channel: str, asked: Query) -> HistoryResult:
    """The answer to a query; it may never come: the caller sets the time.

    Raises RefusedError when its position cannot be served, ChannelRefusedError when the engine does not compute the
    channel, and BusUnavailableError.
    """
    held = await broker.read(topic, None, [channel])
    if asked.limit > 0:
        held = await broker.read(topic, asked.read_from(held.top), [channel])
    if not reaches(held, channel, asked):
        raise RefusedError(close.UNRECOVERABLE_POSITION)
    older = Chart(())
    if count := count_older(held, channel, asked):
        older = await broker.history(topic, channel, count)
    if older.refused is not None:
        raise ChannelRefusedError(older.refused)
    return HistoryResult(chart(held, channel, asked, older.values), held.epoch, held.top)
