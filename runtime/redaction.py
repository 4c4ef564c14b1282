"""Keeps secrets out of what is written: by the name of a field, and by the look of a value. Pure; no I/O."""

import re
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "***"

# A field is secret when one of the words of its name is, or its name without separators ends with one of these.
_SECRET_WORDS: Final = frozenset(
    {"authorization", "cookie", "cookies", "credential", "credentials", "passwd", "password", "secret"}
)
_SECRET_ENDS: Final = ("token", "tokens", "apikey", "privatekey", "secretkey", "accesskey", "signingkey", "password")

_SECRET_TEXT: Final = re.compile(
    r"""
      (?P<scheme>\b(?:bearer|basic)\s+) [^\s"',;]+                        # Authorization: Bearer …
    | \beyJ[\w-]+\.[\w-]+\.[\w-]*                                          # a JSON web token
    | (?P<user>://[^\s/:@]*:) [^\s/@]+ (?=@)                               # a password in an address
    | (?P<key>\b(?:access_token|api_?key|token|password|secret)=) [^\s&"',;]+    # … in a query or a form
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DEEPEST: Final = 8


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name must not be written, whatever it is."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
    lowered = [word.lower() for word in words]
    return any(word in _SECRET_WORDS for word in lowered) or "".join(lowered).endswith(_SECRET_ENDS)


def redact_text(text: str) -> str:
    """Hide what looks like a secret in a text; the rest stays."""
    return _SECRET_TEXT.sub(lambda found: (found["scheme"] or found["user"] or found["key"] or "") + HIDDEN, text)


def redact(value: object, depth: int = 0) -> object:
    """Hide the secrets in a value and in what it holds.

    Numbers, truth values and None are given back as they are; mappings and sequences as new dicts and lists; anything
    else as its text. What is nested deeper than 8 levels is hidden.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, (bytes, bytearray)):
        return redact_text(value.decode(errors="backslashreplace"))
    if depth >= _DEEPEST:
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): redact_field(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(inner, depth + 1) for inner in value]
    return redact_text(str(value))


def redact_field(name: str, value: object, depth: int = 0) -> object:
    """Hide a value under a secret name; hide the secrets in any other. Numbers and None are never secret."""
    if is_secret_name(name) and value is not None and not isinstance(value, (bool, int, float)):
        return HIDDEN
    return redact(value, depth)
