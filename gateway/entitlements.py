"""May this subscriber read this channel: patterns of the user service against canonical names. Pure; no I/O.

A pattern is written like a channel name. ``*`` stands for any characters within one ``:``-separated part; as the last
character of a pattern it stands for the rest of the name. The expression of a signal, alert or screen is either named
in full, every character standing for itself (``*`` is also a product), or covered whole by a ``*`` of its own. A screen
tells of every instrument of its venue, and so only a pattern for the venue covers it: ``screens:VENUE@*``.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from wire.channel import ChannelKind
from wire.market import Instrument, Timeframe

KINDS_OF_INSTRUMENTS: Final = tuple(kind for kind in ChannelKind if kind.has_symbol)


class Entitlements:
    """What one subscriber may read: all that one of the patterns names. No pattern names nothing."""

    __slots__ = ("_heads", "_patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Take the patterns as the user service gives them; one that can match no name matches none."""
        self._patterns = tuple(_Pattern(pattern) for pattern in patterns)
        self._heads = tuple({pattern.head for pattern in self._patterns})

    def may_read(self, channel_name: str) -> bool:
        """Whether a channel, by its canonical name, is covered. O(patterns times length), and once for many."""
        return _cover(self._patterns, channel_name)

    def may_show(self, instrument: Instrument) -> bool:
        """Whether any channel of an instrument's own may be covered."""
        if not instrument.symbol.startswith(self._heads):  # a matter of speed: most instruments end here
            return False
        return any(pattern.may_match(kind, instrument) for pattern in self._patterns for kind in KINDS_OF_INSTRUMENTS)


@lru_cache(maxsize=1024)
def entitlements(patterns: tuple[str, ...]) -> Entitlements:
    """What these patterns allow, once for all subscribers of one plan."""
    return Entitlements(patterns)


@lru_cache(maxsize=4096)
def _cover(patterns: "tuple[_Pattern, ...]", channel_name: str) -> bool:
    kind, _, _ = channel_name.partition(":")
    expression_at = _expression_at(kind)
    parts = channel_name.split(":", -1 if expression_at is None else expression_at)
    return any(pattern.matches(parts, expression_at) for pattern in patterns)


class _Pattern:
    """One pattern, cut at its colons, and each part at its stars."""

    __slots__ = ("_globs", "_open_ended", "_parts", "_timeframes", "head")

    def __init__(self, pattern: str) -> None:
        self._parts = pattern.split(":")
        self._globs = tuple(tuple(part.split("*")) for part in self._parts)
        self._open_ended = pattern.endswith("*")
        self.head = self._globs[2][0].partition("@")[0] if len(self._globs) > 2 else ""
        """How every symbol that this matches begins."""
        last = self._globs[2][-1] if len(self._globs) > 2 else ""
        self._timeframes = tuple(t.value for t in Timeframe if _may_end(f"@{t.value}", last))

    def matches(self, parts: list[str], expression_at: int | None) -> bool:
        """Whether this covers a name cut at its colons, of which one part (or none) is an expression."""
        if expression_at is not None and len(self._parts) > expression_at:
            wanted = ":".join(self._parts[expression_at:])
            return (
                len(parts) > expression_at
                and wanted in ("*", parts[expression_at])
                and all(_matches(glob, part) for glob, part in zip(self._globs, parts[:expression_at], strict=False))
            )
        if len(parts) < len(self._parts) or (len(parts) > len(self._parts) and not self._open_ended):
            return False
        return all(_matches(glob, part) for glob, part in zip(self._globs, parts, strict=False))

    def may_match(self, kind: ChannelKind, instrument: Instrument) -> bool:
        """Whether this may cover a name of this kind for an instrument, with any timeframe and expression."""
        if not all(map(_matches, self._globs, (kind.value, instrument.venue))):
            return False
        parts = [kind.value, instrument.venue, instrument.symbol]
        if not kind.has_timeframe:
            return self.matches(parts, None)
        if kind.has_expression:
            parts.append(":".join(self._parts[3:]))
        expression_at = _expression_at(kind.value)
        for timeframe in self._timeframes:
            parts[2] = f"{instrument.symbol}@{timeframe}"
            if self.matches(parts, expression_at):
                return True
        return False


def _may_end(end: str, last: str) -> bool:
    return end.endswith(last) or last.endswith(end)


def _expression_at(kind: str) -> int | None:
    """Give the place of the expression among the parts of a name of this kind; None for kinds without."""
    try:
        found = ChannelKind(kind)
    except ValueError:
        return None
    if not found.has_expression:
        return None
    return 3 if found.has_symbol else 2


def _matches(glob: tuple[str, ...], text: str) -> bool:
    """Whether the pieces stand in the text in this order, the first at its start and the last at its end."""
    if len(glob) == 1:
        return text == glob[0]
    first, *middle, last = glob
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
