"""What recordings are called when they are played: their venue, and the slot of each of their symbols. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import attrgetter

from msgspec import Struct

from engine.feeds.errors import FeedError
from engine.feeds.recording import Recording
from wire.channel import SYMBOL as SYMBOL_NAME
from wire.market import Instrument


class Names(Struct, frozen=True):
    """The venue, its symbols sorted, and for each recording the slot of each symbol that it has."""

    venue: str
    symbols: tuple[str, ...]
    slots: tuple[Mapping[str, int], ...]


def named(recordings: Sequence[Recording], venue: str | None, instrument: Instrument | None) -> Names:
    """Names by the recordings themselves, or by the options `venue` and `instrument`, which go before.

    `instrument` is for recordings of one symbol. Raises FeedError, which names the option, when the venue remains
    unknown, or when two recordings have a symbol at one time.
    """
    if instrument is not None:
        for recording in recordings:
            if len(recording.symbols) != 1:
                raise FeedError(
                    f"{recording.path}: option instrument: expected a recording of one symbol, found "
                    f"{', '.join(recording.symbols[:10])}"
                )
    _refuse_overlaps(recordings, renamed=instrument)
    chosen = _venue(recordings, venue, instrument)
    called = [[_called(recording, each, instrument) for each in recording.symbols] for recording in recordings]
    symbols = tuple(sorted({symbol for each in called for symbol in each}))
    place = {symbol: slot for slot, symbol in enumerate(symbols)}
    slots = (
        {own: place[symbol] for own, symbol in zip(recording.symbols, each, strict=True)}
        for recording, each in zip(recordings, called, strict=True)
    )
    return Names(chosen, symbols, tuple(slots))


def _venue(recordings: Sequence[Recording], venue: str | None, instrument: Instrument | None) -> str:
    if instrument is not None:
        if venue not in {None, instrument.venue}:
            raise FeedError(f"option venue: expected {instrument.venue}, as in instrument={instrument}, found {venue}")
        return instrument.venue
    if venue is not None:
        return venue
    for recording in recordings:
        if recording.venue is None:
            raise FeedError(
                f"{recording.path}: expected the option venue= or instrument=VENUE:SYMBOL, because the recording does "
                f"not say where {recording.symbols[0]} was traded"
            )
    stated = sorted({recording.venue for recording in recordings if recording.venue is not None})
    if len(stated) > 1:
        raise FeedError(f"option venue: expected it for recordings of several venues, found {' and '.join(stated)}")
    return stated[0]


def _called(recording: Recording, symbol: str, instrument: Instrument | None) -> str:
    if instrument is not None:
        return instrument.symbol
    if SYMBOL_NAME.fullmatch(symbol) is None:
        raise FeedError(
            f"{recording.path}: expected the option instrument=VENUE:SYMBOL, because no channel can be named for "
            f"{symbol!r}"
        )
    return symbol


def _refuse_overlaps(recordings: Sequence[Recording], renamed: Instrument | None) -> None:
    """A symbol may go on in another recording, as the days of a share do, but is in one at a time."""
    spans: dict[str, list[Recording]] = {}
    for recording in sorted(recordings, key=attrgetter("first_ns")):
        for symbol in recording.symbols:
            spans.setdefault(symbol if renamed is None else renamed.symbol, []).append(recording)
    for symbol, ones in spans.items():
        for earlier, later in pairwise(ones):
            if later.first_ns <= earlier.last_ns:
                files = "+".join(recording.path for recording in recordings)
                raise FeedError(
                    f"replay of {files}: expected each symbol in one file at a time, found {symbol} in "
                    f"{earlier.path} and {later.path}"
                )
