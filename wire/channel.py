"""The grammar of channel names: parse, canonical form, match. Pure; no I/O.

::

    bars:VENUE:SYMBOL@TIMEFRAME                 signals:VENUE:SYMBOL@TIMEFRAME:EXPRESSION
    trades:VENUE:SYMBOL   quotes:VENUE:SYMBOL   alerts:VENUE:SYMBOL@TIMEFRAME:CONDITION
    status:VENUE                                screens:VENUE@TIMEFRAME:CONDITION
"""

import re
from enum import Enum
from typing import Final

from msgspec import Struct

from wire import expression as language
from wire.expression import Expression, ExpressionError
from wire.market import Timeframe

MAX_CHANNEL_BYTES: Final = 255

VENUE: Final = re.compile(r"[A-Z][A-Z0-9_-]{0,31}")
SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9._!-]{0,63}")


class ChannelKind(Enum):
    """What a channel carries: the first part of its name."""

    TRADES = "trades"
    QUOTES = "quotes"
    BARS = "bars"
    SIGNALS = "signals"
    ALERTS = "alerts"
    SCREENS = "screens"
    STATUS = "status"

    @property
    def has_symbol(self) -> bool:
        """False for the kinds that speak of a whole venue."""
        return self not in (ChannelKind.SCREENS, ChannelKind.STATUS)

    @property
    def has_timeframe(self) -> bool:
        """True for the kinds that follow bars."""
        return self in (ChannelKind.BARS, ChannelKind.SIGNALS, ChannelKind.ALERTS, ChannelKind.SCREENS)

    @property
    def has_finals(self) -> bool:
        """False for the kinds that say only what is now: they have no row, no position and no past."""
        return self.has_timeframe

    @property
    def has_expression(self) -> bool:
        """True for the kinds that compute something."""
        return self in (ChannelKind.SIGNALS, ChannelKind.ALERTS, ChannelKind.SCREENS)

    @property
    def form(self) -> str:
        """How a name of this kind is written."""
        name = f"{self.value}:VENUE"
        if self.has_symbol:
            name += ":SYMBOL"
        if self.has_timeframe:
            name += "@TIMEFRAME"
        if self.has_expression:
            name += ":EXPRESSION" if self is ChannelKind.SIGNALS else ":CONDITION"
        return name


class ChannelError(Exception):
    """A channel name that names nothing; the message says what was expected and what was found."""


class MalformedChannelError(ChannelError):
    """The name is too long, or not of the form of its kind; or its expression cannot be parsed."""


class UnknownChannelError(ChannelError):
    """The name is well formed, but there is no such kind or timeframe."""


class Channel(Struct, frozen=True):
    """A parsed channel name. `symbol`, `timeframe` and `expression` are None for the kinds without them."""

    kind: ChannelKind
    venue: str
    symbol: str | None = None
    timeframe: Timeframe | None = None
    expression: Expression | None = None

    @property
    def subject(self) -> str:
        """What it is about: ``VENUE:SYMBOL``, or ``VENUE`` for a channel of a whole venue."""
        return self.venue if self.symbol is None else f"{self.venue}:{self.symbol}"

    @property
    def name(self) -> str:
        """The canonical name: two spellings of one channel have the same."""
        name = f"{self.kind.value}:{self.subject}"
        if self.timeframe is not None:
            name += f"@{self.timeframe.value}"
        if self.expression is not None:
            name += f":{language.canonical(self.expression)}"
        return name


def parse(name: str) -> Channel:
    """The channel that `name` spells.

    Raises MalformedChannelError and UnknownChannelError, in the order in which the protocol refuses.
    """
    if len(name.encode("utf-8", "surrogatepass")) > MAX_CHANNEL_BYTES:
        raise MalformedChannelError(f"a channel name has at most {MAX_CHANNEL_BYTES} bytes")
    if not name.isascii() or not name.isprintable():
        raise MalformedChannelError("a channel name is printable ASCII")
    prefix, colon, rest = name.partition(":")
    if not colon:
        raise MalformedChannelError(f"expected KIND:VENUE and more, found {name!r}")
    kind = _kind(prefix)
    address, timeframe, text = _split(kind, rest)
    venue, symbol = _address(kind, address)
    expression = None if text is None else _expression(kind, text)
    return Channel(kind, venue, symbol, None if timeframe is None else _timeframe(timeframe), expression)


def _kind(prefix: str) -> ChannelKind:
    try:
        return ChannelKind(prefix)
    except ValueError:
        known = ", ".join(k.value for k in ChannelKind)
        raise UnknownChannelError(f"unknown kind {prefix!r}; expected one of {known}") from None


def _split(kind: ChannelKind, rest: str) -> tuple[str, str | None, str | None]:
    """(address, timeframe, expression), the last two None where the kind has none."""
    text: str | None = None
    if kind.has_expression:
        head, colon, text = rest.partition(":")
        if kind.has_symbol:
            symbol, colon, text = text.partition(":")
            head = f"{head}:{symbol}"
        if not colon:
            raise MalformedChannelError(f"expected {kind.form}, found nothing for the last part")
        rest = head
    if not kind.has_timeframe:
        return rest, None, None
    address, at, timeframe = rest.partition("@")
    if not at:
        raise MalformedChannelError(f"expected {kind.form}, found no @TIMEFRAME")
    if ":" in timeframe:
        raise MalformedChannelError(f"expected {kind.form}, found {timeframe!r} behind the @")
    return address, timeframe, text


def _address(kind: ChannelKind, address: str) -> tuple[str, str | None]:
    venue, colon, symbol = address.partition(":")
    if bool(colon) is not kind.has_symbol:
        raise MalformedChannelError(f"expected {kind.form}, found {kind.value}:{address}")
    if VENUE.fullmatch(venue) is None:
        raise MalformedChannelError(f"expected an upper-case VENUE in {kind.form}, found {venue!r}")
    if not kind.has_symbol:
        return venue, None
    if SYMBOL.fullmatch(symbol) is None:
        raise MalformedChannelError(f"expected an upper-case SYMBOL in {kind.form}, found {symbol!r}")
    return venue, symbol


def _timeframe(text: str) -> Timeframe:
    try:
        return Timeframe(text)
    except ValueError:
        known = ", ".join(t.value for t in Timeframe)
        raise UnknownChannelError(f"unknown timeframe {text!r}; expected one of {known}") from None


def _expression(kind: ChannelKind, text: str) -> Expression:
    try:
        expression = language.parse(text)
    except ExpressionError as error:
        raise MalformedChannelError(str(error)) from error
    if kind is not ChannelKind.SIGNALS and not language.is_condition(expression):
        raise MalformedChannelError(f"{kind.value} take a condition such as close > open, found {text!r}")
    return expression
