"""What the user service says of a token, and for how long it holds. Pure; no I/O."""

from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

LONGEST_S: Final = 60.0
"""How long an answer is believed at most, in seconds."""
REFUSAL_S: Final = 5.0
"""How long a refusal is believed, in seconds."""

_NS_PER_S: Final = 1_000_000_000
_LATEST_EXP: Final = 253_402_300_799  # the end of the year 9999

V = TypeVar("V")


class Limits(Struct, frozen=True):
    """What a plan allows at once; None: the gateway's own limit. `live_rate`: live values a second and channel."""

    connections: Annotated[int, Meta(ge=0)] | None = None
    subscriptions: Annotated[int, Meta(ge=0)] | None = None
    live_rate: Annotated[float, Meta(ge=0)] | None = None


class Introspection(Struct, frozen=True):
    """An answer of the user service. One that is not active says nothing else.

    `sub` is the subscriber, `exp` the token's end in seconds since the epoch (None: it has none), `channels` the
    patterns of what may be read.
    """

    active: bool
    sub: str = ""
    exp: int | None = None
    plan: str = ""
    channels: tuple[str, ...] = ()
    limits: Limits = Limits()
    watermark: bool = False

    def expired(self, wall_ns: int) -> bool:
        """Whether the token's end has come."""
        return self.exp is not None and self.exp * _NS_PER_S <= wall_ns


INACTIVE: Final = Introspection(active=False)


class Answer(Struct, frozen=True):
    """What is believed of a token until a time of a monotonic clock, in nanoseconds.

    `asked` is how many revocations were known when it was asked for.
    """

    who: Introspection
    until_ns: int
    asked: int = 0


class _Active(Struct, frozen=True):
    """The form of an active answer: what is absent or of another type makes it none."""

    sub: Annotated[str, Meta(min_length=1, max_length=255)]
    exp: Annotated[int, Meta(ge=0, le=_LATEST_EXP)] | None = None
    plan: str = ""
    channels: tuple[str, ...] = ()
    limits: Limits = Limits()
    watermark: bool = False


class _Activity(Struct, frozen=True):
    active: bool


def decode_introspection(body: bytes) -> Introspection:
    """Read the JSON body of an answer. Raises ValueError for anything that is not one, saying what was expected."""
    try:
        if not msgspec.json.decode(body, type=_Activity).active:
            return INACTIVE
        answer = msgspec.json.decode(body, type=_Active)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"expected an introspection as JSON, found: {error}") from None
    return Introspection(
        active=True,
        sub=answer.sub,
        exp=answer.exp,
        plan=answer.plan,
        channels=answer.channels,
        limits=answer.limits,
        watermark=answer.watermark,
    )


class ExpiringCache(Generic[V]):
    """Values that hold for a time; when full, the one that was put first makes room.

    Times are those of a monotonic clock, in nanoseconds.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: dict[bytes, tuple[V, int]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes, now_ns: int) -> V | None:
        """Give the value of a key, or None when there is none that still holds."""
        found = self._values.get(key)
        if found is None:
            return None
        value, until_ns = found
        if until_ns <= now_ns:
            del self._values[key]
            return None
        return value

    def put(self, key: bytes, value: V, until_ns: int) -> None:
        """Keep a value until a time, in place of any other of its key."""
        self._values.pop(key, None)
        if len(self._values) >= self._capacity:
            del self._values[next(iter(self._values))]
        self._values[key] = (value, until_ns)

    def drop(self, key: bytes) -> None:
        """Forget the value of a key, if there is one."""
        self._values.pop(key, None)
