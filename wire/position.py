"""Where a reader of a topic's finals stands. Pure; no I/O."""

from typing import NewType

from msgspec import Struct

Epoch = NewType("Epoch", str)
"""Names one unbroken life of a topic's offsets; a new one means that positions of the old are void."""

Offset = NewType("Offset", int)
"""Counts the finals of a topic, from 1. 0 is before the first."""


class StreamPosition(Struct, frozen=True):
    """The last final that a reader has: everything after it is news. An empty epoch is not compared."""

    epoch: Epoch
    offset: Offset
