"""Tenure: under which identity a topic is owned, where it stands, and whether its epoch can go on. Pure; no I/O."""

from enum import Enum

from msgspec import Struct

from wire.envelope import Ownership


class Claim(Struct, frozen=True):
    """What to ask of the bus to own a topic: to give it up as `release`, then to acquire it as `identity`."""

    identity: str
    release: str | None
    known: Ownership | None
    fresh: bool


class Claimed(Enum):
    """How a topic was found by its owner."""

    FIRST = "first"
    """It was never owned before: everything in it is another's."""
    SAME = "same"
    """Nobody has published since: what was on its way is not in, and never will be."""
    ANEW = "anew"
    """Its epoch is another one: whatever was on its way can go again."""
    DOUBTFUL = "doubtful"
    """Somebody has published in the same epoch, perhaps this engine: it needs another epoch, and is to be claimed."""


class Tenure:
    """One topic's, of the engine called `engine`, which is a random word.

    ``stands`` is where the topic stands, as far as that was answered: None before it was ever owned.
    """

    __slots__ = ("_asked", "_claiming", "_claims", "_engine", "_fresh", "_under", "owned", "stands")

    def __init__(self, engine: str) -> None:
        self.owned = False
        self.stands: Ownership | None = None
        self._engine = engine
        self._claims = 0
        self._claiming = False
        self._under: str | None = None
        """The identity of ours that the topic was last seen to stand under."""
        self._fresh: str | None = None
        """Why it needs another epoch."""
        self._asked: str | None = None
        """The same, of the claim on its way."""

    @property
    def identity(self) -> str:
        """Another one for each acquisition: nothing that was sent under the last one is taken, however late it is."""
        return f"{self._engine}-{self._claims}"

    def renew(self, reason: str) -> None:
        """The epoch can't go on."""
        self._fresh = self._fresh or reason
        self.owned = False

    def lose(self, stands: Ownership) -> None:
        """The topic does not stand where its owner thinks."""
        self._under = stands.owner if stands.owner.startswith(f"{self._engine}-") else None
        self.owned = False

    def claim(self) -> Claim:
        """What to ask; under one identity until it is answered."""
        if not self._claiming:
            self._claiming = True
            self._claims += 1
        self._asked, self._fresh = self._fresh or self._asked, None
        return Claim(self.identity, self._under, self.stands, self._asked is not None)

    def find(self, own: Ownership) -> tuple[Claimed, str | None]:
        """The claim's answer: how the topic was found, and why its epoch is another one, if it is."""
        before, asked = self.stands, self._asked
        self._asked, self._claiming, self._under = None, False, own.owner
        if before is not None and own.epoch == before.epoch:
            if (own.next_offset, own.number) != (before.next_offset, before.number):
                self.renew("taken")
                return Claimed.DOUBTFUL, None
            claimed, reason = Claimed.SAME, None
        else:
            claimed = Claimed.FIRST if before is None else Claimed.ANEW
            reason = None if before is None else asked or "bus"
        self.stands = own
        self.owned = self._fresh is None
        return claimed, reason
