"""A value that must not be shown. Pure; no I/O."""

import hmac
from typing import Final

_HIDDEN: Final = "Secret('***')"


class Secret:
    """Text that is kept out of every repr, log line and traceback; only :meth:`reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself, for the one place that sends or compares it."""
        return self._text

    def matches(self, text: str) -> bool:
        """Compare in a time that does not depend on where the two differ."""
        return hmac.compare_digest(self._text.encode(), text.encode(errors="surrogateescape"))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other.reveal())

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __repr__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        return format(_HIDDEN, spec)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled or copied into anything that could be written out")
