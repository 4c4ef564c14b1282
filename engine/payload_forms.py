"""What each kind of channel carries, field by field in the order of the JSON. Pure; no I/O.

Times: ``t`` in ms, ``event`` (exchange time of the newest tick in it) and ``sent`` (when it was published) in µs, all
since the epoch, UTC. Fields with a default are there only where they say something.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct


class BarPayload(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a ``bars`` channel carries."""

    t: int
    o: float
    h: float
    l: float  # noqa: E741 - the field's name on the wire
    c: float
    v: float
    n: int
    final: bool
    event: int
    sent: int
    synthetic: bool = False
    rev: int = 0
    gap: bool = False


class SignalPayload(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a ``signals`` channel carries: ``v`` a number, null while warming up, or an object of named outputs."""

    t: int
    v: float | Mapping[str, float] | None
    final: bool
    event: int
    sent: int
    settled: bool = True
    synthetic: bool = False
    gap: bool = False


class AlertPayload(Struct, frozen=True, omit_defaults=True):
    """What an ``alerts`` channel carries: ``v`` the operands that the condition compared, by their canonical text."""

    t: int
    v: Mapping[str, float]
    final: bool
    event: int
    sent: int
    settled: bool = True
    gap: bool = False


class ScreenPayload(Struct, frozen=True):
    """What a ``screens`` channel carries: the symbols for which the condition holds, and what has changed of them."""

    t: int
    holding: Sequence[str] = msgspec.field(name="in")
    entered: Sequence[str]
    left: Sequence[str]
    final: bool
    event: int
    sent: int


class TradePayload(Struct, frozen=True, omit_defaults=True):
    """What a ``trades`` channel carries: ``t`` the exchange's time, ms; ``side`` who took the price."""

    t: int
    p: float
    q: float
    event: int
    sent: int
    side: str | None = None
    id: int = -1


class QuotePayload(Struct, frozen=True):
    """What a ``quotes`` channel carries: best bid and ask, and the sizes there."""

    t: int
    bid: float
    ask: float
    bid_q: float
    ask_q: float
    event: int
    sent: int


class StatusPayload(Struct, frozen=True):
    """What a ``status`` channel carries: ``state`` up, down, stale or closed, since when (ms), and how late, ms."""

    state: str
    since: int
    lag_ms: int
    event: int
    sent: int


class GapPayload(Struct, frozen=True):
    """What a channel carries of a closed bar that was never computed: nothing is known of it."""

    t: int
    v: None
    final: bool
    event: int
    sent: int
    gap: bool


class GapBarPayload(Struct, frozen=True):
    """What a ``bars`` channel carries of a bar that was never computed."""

    t: int
    o: None
    h: None
    l: None  # noqa: E741 - the field's name on the wire
    c: None
    v: None
    n: None
    final: bool
    event: int
    sent: int
    gap: bool
