"""Values -> the JSON bytes that clients get. Pure; no I/O.

Times: ``t`` is the bar's open in ms, ``event`` (exchange time of the newest tick in it) and ``sent`` (when it was
published) in µs, all since the epoch, UTC. A NaN becomes null. Fields after ``sent`` are there only where they say
something.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from engine.columns import Columns
from wire.market import NS_PER_MS, NS_PER_US


class BarPayload(Struct, frozen=True, omit_defaults=True):
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


class SignalPayload(Struct, frozen=True, omit_defaults=True):
    """What a ``signals`` channel carries: ``v`` a number, null while warming up, or an object of named outputs."""

    t: int
    v: float | Mapping[str, float] | None
    final: bool
    event: int
    sent: int
    settled: bool = True
    synthetic: bool = False


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


class Moment(Struct, frozen=True):
    """A bar about to be published: closed (`final`) or forming. `sent_us` None: as sent at its newest tick's time."""

    bar: Columns
    final: bool
    sent_us: int | None

    def times(self, at: int) -> tuple[int, int, int]:
        """(t in ms, event in µs, sent in µs) of the slot at place `at` of the columns."""
        event_us = self.bar.event_ns.item(at) // NS_PER_US
        return self.bar.open_ns // NS_PER_MS, event_us, event_us if self.sent_us is None else self.sent_us

    def born(self, at: int) -> bool:
        """False while the slot has never traded: there is nothing to say of it then."""
        return not math.isnan(self.bar.close.item(at))


_US_PER_MS: Final = NS_PER_MS // NS_PER_US
_encoder: Final = msgspec.json.Encoder()


def bar_payload(moment: Moment, at: int) -> bytes:
    """The bar of the slot at place `at`: compact JSON in ASCII, without line breaks."""
    bar = moment.bar
    t, event, sent = moment.times(at)
    count = bar.count.item(at)
    return _encoder.encode(
        BarPayload(
            t,
            bar.open.item(at),
            bar.high.item(at),
            bar.low.item(at),
            bar.close.item(at),
            bar.volume.item(at),
            count,
            moment.final,
            event,
            sent,
            count == 0,
        )
    )


def signal_payload(
    moment: Moment, at: int, outputs: Sequence[str], values: tuple[float, ...], *, settled: bool
) -> bytes:
    """A signal's `values` at the slot at place `at`, one for each of `outputs` (one unnamed value for none)."""
    t, event, sent = moment.times(at)
    warm = not all(map(math.isnan, values))
    v: float | dict[str, float] | None = None
    if warm:
        v = dict(zip(outputs, values, strict=True)) if outputs else values[0]
    return _encoder.encode(
        SignalPayload(t, v, moment.final, event, sent, settled or not warm, moment.bar.count.item(at) == 0)
    )


def gap_payload(t_ms: int, end_ms: int, sent_us: int | None, *, bar: bool) -> bytes:
    """A closed bar over [t_ms, end_ms) that was never computed; its event is told as its end."""
    event = end_ms * _US_PER_MS
    sent = event if sent_us is None else sent_us
    if bar:
        return _encoder.encode(
            GapBarPayload(t_ms, None, None, None, None, None, None, final=True, event=event, sent=sent, gap=True)
        )
    return _encoder.encode(GapPayload(t_ms, None, final=True, event=event, sent=sent, gap=True))
