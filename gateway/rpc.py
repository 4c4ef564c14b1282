"""The methods that a client may call: ``time``, ``indicators``, ``instruments``, ``validate``."""

import asyncio
from functools import lru_cache
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.directory import Directory
from gateway.entitlements import Entitlements
from gateway.offer import RefusedError
from gateway.validation import validate_channel, validate_expression
from runtime.clock import Clock
from wire import close
from wire.codec_json import raw
from wire.indicator_listing import indicator_listing
from wire.market import NS_PER_MS

MAX_INSTRUMENTS: Final = 1_000
SLICE: Final = 10
"""Instruments that are judged in one step of the loop."""

T = TypeVar("T")


class _Instruments(Struct, frozen=True, forbid_unknown_fields=True):
    q: Annotated[str, Meta(max_length=100)] = ""
    limit: Annotated[int, Meta(ge=1)] = 100


class _Validate(Struct, frozen=True, forbid_unknown_fields=True):
    expression: str | None = None
    channel: str | None = None


class _Listed(Struct, frozen=True):
    venue: str
    symbol: str


class Rpc:
    """Carries out calls; every answer fits a frame."""

    __slots__ = ("_clock", "_directory")

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def call(self, method: str, data: bytes, entitlements: Entitlements) -> Raw:
        """The answer to a call by somebody with these entitlements; `data` is JSON, or empty.

        Raises RefusedError when it is refused, BusUnavailableError when instruments cannot be listed now.
        """
        match method:
            case "time":
                return raw({"time_ms": self._clock.wall_ns() // NS_PER_MS})
            case "indicators":
                return _indicators()
            case "instruments":
                return await self._instruments(_decoded(data, _Instruments), entitlements)
            case "validate":
                return _validate(_decoded(data, _Validate))
        raise RefusedError(close.METHOD_NOT_FOUND, f"unknown method {method[:50]!r}")

    async def _instruments(self, asked: _Instruments, entitlements: Entitlements) -> Raw:
        """List in the order of their names, some at a time: a plan may have many patterns."""
        wanted, limit = asked.q.upper(), min(asked.limit, MAX_INSTRUMENTS)
        found: list[_Listed] = []
        for count, instrument in enumerate(await self._directory.instruments(), 1):
            if wanted in str(instrument) and entitlements.may_show(instrument):
                found.append(_Listed(instrument.venue, instrument.symbol))
                if len(found) == limit:
                    break
            if count % SLICE == 0:
                await asyncio.sleep(0)
        return raw(found)


def _validate(asked: _Validate) -> Raw:
    if asked.expression is not None and asked.channel is None:
        return raw(validate_expression(asked.expression))
    if asked.channel is not None and asked.expression is None:
        return raw(validate_channel(asked.channel))
    raise RefusedError(close.MALFORMED, "expected either expression or channel")


@lru_cache(maxsize=1)
def _indicators() -> Raw:
    return raw(indicator_listing())


def _decoded(data: bytes, form: type[T]) -> T:
    try:
        return msgspec.json.decode(data if data not in (b"", b"null") else b"{}", type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError(close.MALFORMED, str(error)) from None
    except RecursionError:
        raise RefusedError(close.MALFORMED, "nested too deeply") from None
