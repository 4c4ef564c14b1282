"""The channels that a benchmark wants. Pure; no I/O."""

from collections.abc import Sequence
from typing import Final

from signal_service.bench.feed import VENUE
from signal_service.bench.indicators import TWENTY
from wire.channel import Channel, ChannelKind
from wire.expression import parse
from wire.market import Timeframe

TIMEFRAMES: Final = (Timeframe.S1, Timeframe.S5, Timeframe.S15, Timeframe.S30)


def signals(symbol: str, timeframe: Timeframe = Timeframe.S1) -> list[Channel]:
    """The twenty indicators of one instrument."""
    return [Channel(ChannelKind.SIGNALS, VENUE, symbol, timeframe, parse(each.expression)) for each in TWENTY]


def spread(symbols: Sequence[str], count: int) -> list[Channel]:
    """`count` different channels, evenly over the instruments, the twenty indicators and four timeframes.

    Every instrument has about as many as any other, and so has every indicator on every timeframe. At most 80 an
    instrument.
    """
    kinds = [(timeframe, parse(each.expression)) for timeframe in TIMEFRAMES for each in TWENTY]
    channels = []
    for place in range(min(count, len(kinds) * len(symbols))):
        turn, at = divmod(place, len(symbols))
        timeframe, expression = kinds[(at + turn * 7) % len(kinds)]
        channels.append(Channel(ChannelKind.SIGNALS, VENUE, symbols[at], timeframe, expression))
    return channels
