"""Which connections are whose, and stand on which token: whom a revocation or an operator ends. Pure; no I/O."""

from typing import Protocol

from wire.close import Close


class Holder(Protocol):
    """A connection, as it is found here."""

    @property
    def client_id(self) -> str:
        """What its client was told that it is called."""

    def shut(self, reason: Close) -> None:
        """Close with `reason`, after what is pending."""


class Holders:
    """All connections of one gateway whose subscriber is known."""

    def __init__(self) -> None:
        # most subscribers have one connection, and a set of one takes 216 bytes
        self._held: dict[str | bytes, Holder | set[Holder]] = {}

    def add(self, holder: Holder, sub: str, digest: bytes) -> None:
        """A connection is `sub`'s, and stands on the token of `digest`."""
        for key in (sub, digest):
            held = self._held.setdefault(key, holder)
            if isinstance(held, set):
                held.add(holder)
            elif held is not holder:
                self._held[key] = {held, holder}

    def remove(self, holder: Holder, sub: str, digest: bytes) -> None:
        """A connection is gone, or stands on another token; without effect when it was not there."""
        for key in (sub, digest):
            held = self._held.get(key)
            if isinstance(held, set):
                held.discard(holder)
                if len(held) == 1:
                    (self._held[key],) = held
            elif held is holder:
                del self._held[key]

    def of(self, key: str | bytes) -> tuple[Holder, ...]:
        """The connections of a subscriber, or those that stand on the token of a digest."""
        held = self._held.get(key)
        if held is None:
            return ()
        return tuple(held) if isinstance(held, set) else (held,)

    def of_client(self, client_id: str) -> tuple[Holder, ...]:
        """The connection of a client, if it is here. Looks at all of them."""
        for key in self._held:
            for holder in self.of(key):
                if holder.client_id == client_id:
                    return (holder,)
        return ()
