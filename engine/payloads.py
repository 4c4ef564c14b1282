"""Values -> the JSON bytes that clients get. Pure; no I/O.

Times: ``t`` is the bar's open in ms, ``event`` (exchange time of the newest tick in it) and ``sent`` (when it was
published) in µs, all since the epoch, UTC. A NaN becomes null. Fields after ``sent`` are there only where they say
something.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.columns import Columns
from engine.kernels.instant import Column, Slots
from engine.payload_forms import (
    AlertPayload,
    BarPayload,
    GapBarPayload,
    GapPayload,
    QuotePayload,
    ScreenPayload,
    SignalPayload,
    StatusPayload,
    TradePayload,
)
from engine.revisions import Revision
from wire.market import NS_PER_MS, NS_PER_US


class Moment(Struct, frozen=True):
    """A bar about to be published: closed (`final`) or forming. `sent_us` None: as sent at its newest tick's time."""

    bar: Columns
    final: bool
    sent_us: int | None

    @property
    def t_ms(self) -> int:
        """When the bar opened."""
        return self.bar.open_ns // NS_PER_MS

    def born(self, slots: Slots) -> NDArray[np.bool_]:
        """False of a slot that has never traded: there is nothing to say of it then."""
        return ~np.isnan(self.bar.close.take(slots))

    def times(self, slots: Slots) -> tuple[list[int], list[int]]:
        """(event, sent) of each slot, µs since the epoch."""
        events: list[int] = (self.bar.event_ns.take(slots) // NS_PER_US).tolist()
        return events, events if self.sent_us is None else [self.sent_us] * len(events)

    def synthetic(self, slots: Slots) -> NDArray[np.bool_]:
        """The slots that have no trade in the bar."""
        return np.equal(self.bar.count.take(slots), 0)

    def gap(self, slots: Slots) -> list[bool]:
        """The slots of which trades are known to be missing."""
        gap = self.bar.gap
        return [False] * len(slots) if gap is None else gap.take(slots).tolist()


class Told(Struct, frozen=True):
    """When something happened that is no bar's, and when it is published, µs since the epoch."""

    event_us: int
    sent_us: int


_US_PER_MS: Final = NS_PER_MS // NS_PER_US
_SIDES: Final = (None, "buy", "sell")
_encoder: Final = msgspec.json.Encoder()


def bar_payloads(moment: Moment, slots: Slots) -> list[bytes]:
    """The bar of each slot: compact JSON in ASCII, without line breaks."""
    bar, t, final, encode = moment.bar, moment.t_ms, moment.final, _encoder.encode
    prices = [column.take(slots).tolist() for column in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    rows = zip(*prices, bar.count.take(slots).tolist(), *moment.times(slots), moment.gap(slots), strict=True)
    return [
        encode(BarPayload(t, o, h, l, c, v, n, final, event, sent, n == 0, 0, gap))
        for o, h, l, c, v, n, event, sent, gap in rows  # noqa: E741 - as on the wire
    ]


def signal_payloads(
    moment: Moment, slots: Slots, outputs: Sequence[str], values: Sequence[Column], settled: NDArray[np.bool_]
) -> list[bytes]:
    """A signal at each slot: `values` has a column for each of `outputs` (one unnamed for none), `settled` one mask.

    Costs about half a microsecond each.
    """
    t, final, encode = moment.t_ms, moment.final, _encoder.encode
    told = _told(outputs, values)
    events, sents = moment.times(slots)
    synthetic, gap = moment.synthetic(slots), moment.bar.gap
    plain = gap is None and not synthetic.any()
    if plain and settled.all():
        rows = zip(told, events, sents, strict=True)
        return [encode(SignalPayload(t, v, final, event, sent)) for v, event, sent in rows]
    sure = (settled | _unknown(values)).tolist()
    if plain:
        unsure = zip(told, events, sents, sure, strict=True)
        return [encode(SignalPayload(t, v, final, event, sent, yes)) for v, event, sent, yes in unsure]
    flagged = zip(told, events, sents, sure, synthetic.tolist(), moment.gap(slots), strict=True)
    return [
        encode(SignalPayload(t, v, final, event, sent, yes, flat, gapped))
        for v, event, sent, yes, flat, gapped in flagged
    ]


def alert_payloads(
    moment: Moment, slots: Slots, operands: Sequence[str], values: Sequence[Column], settled: NDArray[np.bool_]
) -> list[bytes]:
    """What a condition that turned true compared, at each slot: a column for each of `operands`."""
    rows = zip(
        zip(*[column.tolist() for column in values], strict=True) if values else [()] * len(slots),
        *moment.times(slots),
        settled.tolist(),
        moment.gap(slots),
        strict=True,
    )
    return [
        _encoder.encode(AlertPayload(moment.t_ms, dict(zip(operands, v, strict=True)), True, event, sent, sure, gap))
        for v, event, sent, sure, gap in rows
    ]


def screen_payload(moment: Moment, holding: Sequence[str], entered: Sequence[str], left: Sequence[str]) -> bytes:
    """The symbols of a venue for which a condition holds at a closed bar; its event is the newest of all."""
    event = int(moment.bar.event_ns.max(initial=0)) // NS_PER_US
    sent = event if moment.sent_us is None else moment.sent_us
    return _encoder.encode(
        ScreenPayload(moment.t_ms, holding=holding, entered=entered, left=left, final=True, event=event, sent=sent)
    )


def revision_payload(revision: Revision, sent_us: int | None) -> bytes:
    """A closed bar, corrected."""
    event = revision.event_ns // NS_PER_US
    return _encoder.encode(
        BarPayload(
            revision.open_ns // NS_PER_MS,
            revision.open,
            revision.high,
            revision.low,
            revision.close,
            revision.volume,
            revision.count,
            final=True,
            event=event,
            sent=event if sent_us is None else sent_us,
            synthetic=revision.count == 0,
            rev=revision.rev,
            gap=revision.gap,
        )
    )


def trade_payload(told: Told, row: Sequence[float]) -> bytes:
    """A trade: price, size, side (1 bought, 2 sold, 0 unknown) and id (-1 for none)."""
    price, size, side, trade_id = row
    t = told.event_us // _US_PER_MS
    return _encoder.encode(TradePayload(t, price, size, told.event_us, told.sent_us, _SIDES[int(side)], int(trade_id)))


def quote_payload(told: Told, row: Sequence[float]) -> bytes:
    """A quote: bid, ask, and the sizes there."""
    bid, ask, bid_size, ask_size = row
    t = told.event_us // _US_PER_MS
    return _encoder.encode(QuotePayload(t, bid, ask, bid_size, ask_size, told.event_us, told.sent_us))


def status_payload(told: Told, state: str, since_ms: int, lag_ms: int) -> bytes:
    """How a venue's feed is."""
    return _encoder.encode(StatusPayload(state, since_ms, lag_ms, told.event_us, told.sent_us))


def _told(outputs: Sequence[str], values: Sequence[Column]) -> list[Any]:
    """What each slot's ``v`` is; msgspec makes null of a NaN."""
    if not outputs:
        told: list[float] = values[0].tolist()
        return told
    unknown = _unknown(values).tolist()
    rows = zip(*[column.tolist() for column in values], strict=True)
    return [None if none else dict(zip(outputs, row, strict=True)) for none, row in zip(unknown, rows, strict=True)]


def _unknown(values: Sequence[Column]) -> NDArray[np.bool_]:
    """The slots without a value of any output."""
    unknown = np.isnan(values[0])
    for column in values[1:]:
        unknown &= np.isnan(column)
    return unknown


def gap_payload(t_ms: int, end_ms: int, sent_us: int | None, *, bar: bool) -> bytes:
    """A closed bar over [t_ms, end_ms) that was never computed; its event is told as its end."""
    event = end_ms * _US_PER_MS
    sent = event if sent_us is None else sent_us
    if bar:
        return _encoder.encode(
            GapBarPayload(t_ms, None, None, None, None, None, None, final=True, event=event, sent=sent, gap=True)
        )
    return _encoder.encode(GapPayload(t_ms, None, final=True, event=event, sent=sent, gap=True))
