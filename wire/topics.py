"""Which topic a channel belongs to. Pure; no I/O."""

from typing import Final
from zlib import crc32

from wire.channel import Channel

DEFAULT_TOPICS: Final = 64
"""Topics of a deployment; fixed for its life, because offsets count per topic."""


def topic_of(channel: Channel, topics: int = DEFAULT_TOPICS) -> int:
    """The topic in [0, topics) that carries `channel`: by instrument, or by venue where there is none."""
    return crc32(channel.subject.encode("ascii")) % topics
