"""What a FEED of the command line means, and the feed that it names. Reads files only when a feed is opened."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from engine.feeds.errors import FeedError
from engine.feeds.feed import Feed
from engine.feeds.replay import Replay
from engine.feeds.synthetic import Synthetic
from wire.channel import SYMBOL as SYMBOL_NAME
from wire.channel import VENUE as VENUE_NAME
from wire.market import Instrument

_NOT_YET: Final = ("binance", "binance-usdm", "coinbase", "kraken", "bybit", "ticker")
_DURATION: Final = re.compile(r"([0-9]{1,9})([smh]?)")
_LONGEST_S: Final = 8760 * 3600


class SyntheticSpec(Struct, frozen=True):
    """``synthetic[:instruments=20,rate=200,seed=1,duration=…]``: `rate` trades in a second over all instruments.

    ``duration_s`` None has no end.
    """

    instruments: int = 20
    rate: float = 200.0
    seed: int = 1
    duration_s: int | None = None

    @property
    def endless(self) -> bool:
        """True when it gives ticks for ever."""
        return self.duration_s is None


class ReplaySpec(Struct, frozen=True):
    """``replay:FILE[+FILE…][,speed=number or max][,loop][,venue=NYSE][,instrument=NYSE:AIG]``: `speed` None is max.

    What `venue` and `instrument` leave out the recordings say themselves.
    """

    files: tuple[str, ...]
    speed: float | None = 1.0
    loop: bool = False
    venue: str | None = None
    instrument: Instrument | None = None

    @property
    def endless(self) -> bool:
        """True when it gives ticks for ever."""
        return self.loop


FeedSpec = SyntheticSpec | ReplaySpec


def parse_feed(text: str) -> FeedSpec:
    """What `text` asks for. Raises FeedError, which names the option and what was expected."""
    kind, _, rest = text.partition(":")
    if kind == "synthetic":
        return _synthetic(_Options(text, rest.split(",") if rest else []))
    if kind == "replay":
        files, *options = rest.split(",")
        return _replay(files, _Options(text, options))
    if kind in _NOT_YET:
        raise FeedError(f"feed {text}: {kind} is not available yet; there are synthetic and replay:FILE")
    raise FeedError(f"feed {text}: expected synthetic[:options] or replay:FILE[,options], found {kind!r}")


def open_feed(spec: FeedSpec, *, start_ns: int, clock_ns: Callable[[], int] | None) -> Feed:
    """The feed of `spec`. A synthetic one starts at `start_ns` (ns since the epoch, UTC), a replay at its recording's.

    `clock_ns` is ns since the epoch, UTC, and must not go back; without one the feed goes as fast as it is drained.
    Raises FeedError when a recording cannot be read; scans it, about a second for each million frames.
    """
    if isinstance(spec, SyntheticSpec):
        settings = (spec.instruments, spec.rate, spec.seed, spec.duration_s)
        return Synthetic(*settings, start_ns=start_ns, clock_ns=clock_ns)
    speed, clock_ns = (1.0, None) if spec.speed is None else (spec.speed, clock_ns)
    return Replay(
        spec.files, venue=spec.venue, instrument=spec.instrument, speed=speed, loop=spec.loop, clock_ns=clock_ns
    )


class _Options:
    """The options of one FEED, each taken once by what knows it; every method raises FeedError."""

    def __init__(self, text: str, parts: Sequence[str]) -> None:
        self.text = text
        self._values: dict[str, str | None] = {}
        for part in parts:
            name, equals, value = part.partition("=")
            if name in self._values:
                raise self.fault(name, "it once", "it twice")
            self._values[name] = value if equals else None

    def fault(self, name: str, expected: str, found: str) -> FeedError:
        """The error to raise for an option."""
        return FeedError(f"feed {self.text}: option {name}: expected {expected}, found {found}")

    def text_of(self, name: str, expected: str) -> str | None:
        """The value of an option that needs one; None when it is not there."""
        if name not in self._values:
            return None
        value = self._values.pop(name)
        if not value:
            raise self.fault(name, expected, "none")
        return value

    def whole(self, name: str, default: int, bounds: range) -> int:
        """A whole number within `bounds`."""
        expected = f"a whole number from {bounds[0]} to {bounds[-1]}"
        value = self.text_of(name, expected)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) <= 20 and int(value) in bounds):
            raise self.fault(name, expected, repr(value))
        return int(value)

    def positive(self, name: str, value: str, most: float, expected: str) -> float:
        """What the value of an option says: a number over 0, at most `most`."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number <= most:
            raise self.fault(name, expected, repr(value))
        return number

    def flag(self, name: str) -> bool:
        """Whether an option without a value is there."""
        if name not in self._values:
            return False
        value = self._values.pop(name)
        if value is not None:
            raise self.fault(name, "no value", repr(value))
        return True

    def nothing_else(self, known: str) -> None:
        """Refuse what is left."""
        for name in self._values:
            raise FeedError(f"feed {self.text}: expected the options {known}, found {name!r}")


def _synthetic(options: _Options) -> SyntheticSpec:
    expected = "a number of trades in a second, over 0, at most 1000000"
    rate = options.text_of("rate", expected)
    spec = SyntheticSpec(
        instruments=options.whole("instruments", 20, range(1, 10_001)),
        rate=200.0 if rate is None else options.positive("rate", rate, 1e6, expected),
        seed=options.whole("seed", 1, range(1 << 63)),
        duration_s=_duration_s(options),
    )
    options.nothing_else("instruments, rate, seed, duration")
    return spec


def _duration_s(options: _Options) -> int | None:
    expected = "whole seconds, or as in 90s, 5m or 2h, at least 1s and at most 8760h"
    value = options.text_of("duration", expected)
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    units = {"": 1, "s": 1, "m": 60, "h": 3600}
    seconds = 0 if match is None else int(match[1]) * units[match[2]]
    if not 0 < seconds <= _LONGEST_S:
        raise options.fault("duration", expected, repr(value))
    return seconds


def _replay(files: str, options: _Options) -> ReplaySpec:
    if not all(files.split("+")):
        raise FeedError(f"feed {options.text}: expected replay:FILE, or several with + between, found {files!r}")
    expected = "a name of A-Z, 0-9, dash and underscore that begins with a letter"
    venue = options.text_of("venue", expected)
    if venue is not None and VENUE_NAME.fullmatch(venue) is None:
        raise options.fault("venue", expected, repr(venue))
    spec = ReplaySpec(
        files=tuple(files.split("+")),
        speed=_speed(options),
        loop=options.flag("loop"),
        venue=venue,
        instrument=_instrument(options),
    )
    options.nothing_else("speed, loop, venue, instrument")
    return spec


def _instrument(options: _Options) -> Instrument | None:
    expected = "VENUE:SYMBOL, as in NYSE:AIG"
    value = options.text_of("instrument", expected)
    if value is None:
        return None
    venue, _, symbol = value.partition(":")
    if VENUE_NAME.fullmatch(venue) is None or SYMBOL_NAME.fullmatch(symbol) is None:
        raise options.fault("instrument", expected, repr(value))
    return Instrument(venue, symbol)


def _speed(options: _Options) -> float | None:
    expected = "a number over 0, or max"
    value = options.text_of("speed", expected)
    if value == "max":
        return None
    return 1.0 if value is None else options.positive("speed", value, 1e9, expected)
