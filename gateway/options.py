"""What a client may wish of one subscription, and what it is granted. Pure; no I/O."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from gateway.offer import Refusal
from wire import close
from wire.channel import ChannelKind

MAX_RATE: Final = 1_000
"""Live values a second; a higher rate is as good as none."""
MIN_RATE: Final = 0.01


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """The ``data`` of a subscribe.

    `max_rate`: live values a second at most, the newest wins; `final_only`: no live values; without `snapshot` the
    latest known value is not sent at the start.
    """

    max_rate: Annotated[float, Meta(ge=MIN_RATE, le=MAX_RATE)] | None = None
    final_only: bool = False
    snapshot: bool = True


DEFAULT: Final = Options()

_decoder: Final = msgspec.json.Decoder(Options)


def options(data: bytes, kind: ChannelKind) -> Options | Refusal:
    """The options that a subscribe to a channel of this kind asks for; empty and null ask for nothing."""
    if data in (b"", b"null", b"{}"):
        return DEFAULT
    try:
        wanted = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Refusal(close.MALFORMED, f"options: {error}")
    except RecursionError:
        return Refusal(close.MALFORMED, "options: nested too deeply")
    if wanted.final_only and not kind.has_finals:
        return Refusal(close.MALFORMED, f"options: final_only: {kind.value} channels have live values only")
    return wanted


def grant(wanted: Options, live_rate: float | None) -> Options:
    """What of it a plan allows that has so many live values a second and channel (None: any number)."""
    if live_rate is None or wanted.final_only:
        return wanted
    if live_rate < MIN_RATE:
        return Options(final_only=True, snapshot=wanted.snapshot)
    rate = live_rate if wanted.max_rate is None else min(wanted.max_rate, live_rate)
    return Options(None if rate >= MAX_RATE else rate, snapshot=wanted.snapshot)
