"""The rows of a whole venue: a bar's close to the last encoded byte. Computes, and reads this machine's clocks."""

from collections.abc import Iterator, Sequence
from typing import Final

from engine.budget import Budget
from engine.venue import Boundary, Venue
from signal_service.bench.feed import GRACE_NS, VENUE
from signal_service.bench.figures import Figure
from signal_service.bench.markets import START_NS, one_each, symbols
from signal_service.bench.scale import Scale
from signal_service.bench.timing import timed
from signal_service.bench.wanted import signals
from wire.channel import Channel
from wire.market import NS_PER_S

_WARM_UP_S: Final = 260
_CLOSED_NS: Final = NS_PER_S
"""So long after a second's end time alone has closed its bars, whatever the grace."""


def encode(scale: Scale) -> Iterator[Figure]:
    """A bar's close to the last encoded byte of all that is wanted."""
    names = symbols(scale.instruments)
    everything = [channel for name in names for channel in signals(name)]
    # 101 is prime to their number: all instruments and all indicators have their turn.
    some = [everything[place * 101 % len(everything)] for place in range(min(1_000, len(everything)))]
    for name, wanted, goal, times in (
        ("encode-all", everything, 80.0, 30),
        ("encode-1000", some, 3.0, 300),
    ):
        yield _encode(scale, name, wanted, goal, times)


def _encode(scale: Scale, name: str, wanted: Sequence[Channel], goal: float, times: int) -> Figure:
    venue = Venue(VENUE, symbols(scale.instruments), grace_ns=GRACE_NS, budget=Budget())
    start = 5 if scale.quick else _WARM_UP_S
    for second in range(start):
        venue.fold(one_each(scale.instruments, second), sent_us=1)
    for channel in wanted:
        venue.watch(channel)
    venue.warm(lambda: True)
    sizes: list[int] = []

    def bring(place: int) -> None:
        venue.fold(one_each(scale.instruments, start + place), sent_us=1)

    def close(place: int) -> None:
        now_ns = START_NS + (start + place + 1) * NS_PER_S + _CLOSED_NS
        sizes.append(_bytes(venue.advance(now_ns, sent_us=now_ns // 1000)))

    bring(0)
    close(0)
    start += 1
    sizes.clear()
    took = timed(close, scale.times(times), bring)
    return Figure(
        name=name,
        what=f"bar close to the last encoded byte, {len(wanted):,} channels wanted, p99",
        figure=took.p99,
        unit="ms",
        goal=goal,
        also={**took.numbers(), "MB": sizes[-1] / 1e6},
        method=f"{len(took.wall)} closes of a second of {scale.instruments:,} instruments: bars of all timeframes "
        "closed, 20 indicators committed, every final's payload as JSON",
    )


def _bytes(boundaries: Sequence[Boundary]) -> int:
    return sum(len(final.payload) for boundary in boundaries for final in boundary.finals)
