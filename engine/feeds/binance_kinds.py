"""What kind of message a frame of Binance is. Pure; no I/O."""

from typing import Final

import msgspec

# What other streams and replies bring; the depth snapshot stands in recordings.
IGNORED_KINDS: Final = frozenset({"bookTicker", "depth", "depthUpdate", "depthSnapshot", "reply"})
MALFORMED: Final = "malformed"
NO_MESSAGE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what is no JSON, or nested beyond reason."""

_KINDS_BY_FIELD: Final = (
    ("lastUpdateId", "depthSnapshot"),
    ("result", "reply"),
    ("error", "error"),
    ("B", "bookTicker"),
)


def symbol_of(frame: bytes) -> str | None:
    """The symbol of a trade; None for any other frame."""
    if b'"trade"' not in frame:
        return None
    try:
        message = msgspec.json.decode(frame)
    except NO_MESSAGE:
        return None
    content = _content_of(message)
    symbol = content.get("s")
    return symbol if content.get("e") == "trade" and isinstance(symbol, str) else None


def _content_of(message: object) -> dict[str, object]:
    """What a message says, without the envelope of a combined stream; empty when it is no object."""
    content = message.get("data", message) if isinstance(message, dict) else None
    return content if isinstance(content, dict) else {}


def kind_of(frame: bytes) -> str:
    """The kind of any message, at most 40 characters."""
    try:
        message = msgspec.json.decode(frame)
    except NO_MESSAGE:
        return MALFORMED
    content = _content_of(message)
    kind = content.get("e")
    if isinstance(kind, str):
        return kind[:40]
    if isinstance(message, dict) and isinstance(message.get("stream"), str):
        return str(message["stream"]).partition("@")[2].partition("@")[0][:40] or "nameless"
    for field, kind in _KINDS_BY_FIELD:
        if field in content:
            return kind
    return "nameless"
