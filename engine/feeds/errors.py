"""What can go wrong with a feed."""

from engine.errors import EngineError


class FeedError(EngineError):
    """A feed cannot be had as asked for, or its recording cannot be read; the message names what is wrong."""
