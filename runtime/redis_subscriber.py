"""Hears pub/sub channels of a Redis server, and comes back when the connection is lost. Does I/O."""

import asyncio
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from runtime.errors import RedisUnavailableError
from runtime.redis import RedisTiming, describe

log = structlog.get_logger("redis")

_MESSAGE: Final = b"message"
_SUBSCRIBED: Final = b"subscribe"
_PONG: Final = b"pong"


class Subscriber:
    """Hears `channels` on one connection at a time, for ever.

    Both callbacks are called on the event loop, in the order of what Redis sent: `attached` for each confirmation of a
    channel (what was said before it may have been missed), `heard` for each message. What one read brought is handed
    over without a pause.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        channels: Collection[str],
        *,
        attached: Callable[[str], None],
        heard: Callable[[str, bytes], None],
        timing: RedisTiming,
    ) -> None:
        self._connect = connect
        self._channels = {channel.encode(): channel for channel in channels}
        self._attached = attached
        self._heard = heard
        self._timing = timing
        self._confirmed: set[bytes] = set()
        self._cause: str | None = "not connected yet"

    @property
    def unavailable(self) -> str | None:
        """Why not all channels are heard; None while they are."""
        if len(self._confirmed) == len(self._channels):
            return None
        return self._cause or f"{len(self._confirmed)} of {len(self._channels)} channels are confirmed"

    async def run(self) -> None:
        """Hear, and connect again whatever happens; until it is cancelled."""
        failures = 0
        while True:
            cause, was_attached = await self._hear_once()
            failures = 0 if was_attached else failures + 1
            if cause != self._cause:
                log.warning("redis.lost", cause=cause)
            self._cause = cause
            await asyncio.sleep(pause_s(self._timing, failures, random.random()))  # noqa: S311 - spreads load, guards nothing

    async def _hear_once(self) -> tuple[str, bool]:
        """Connect and hear; why it ended, and whether all channels were confirmed."""
        connection = self._connect()
        try:
            async with asyncio.timeout(self._timing.connect_s):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("SUBSCRIBE", *self._channels)
            cause = await self._hear_until_silent(connection)
        except TimeoutError:
            cause = f"no answer in {self._timing.connect_s:g} s"
        except (RedisError, OSError, RedisUnavailableError) as error:
            cause = describe(error)
        finally:
            was_attached = self.unavailable is None
            self._confirmed.clear()
            await connection.disconnect(nowait=True)
        return cause, was_attached

    async def _hear_until_silent(self, connection: AbstractConnection) -> str:
        silent_s = 0.0
        while silent_s < self._timing.silence_s:
            if await self._hear_for(connection, self._timing.ping_s):
                silent_s = 0.0
            else:
                silent_s += self._timing.ping_s
                await connection.send_command("PING")
        return f"nothing was heard for {silent_s:g} s"

    async def _hear_for(self, connection: AbstractConnection, seconds: float) -> bool:
        """Take what comes in for so long; whether anything came."""
        anything = False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    # No timeout of its own: that costs twice what reading does. Reading waits only when nothing more
                    # lies ready, and loses nothing when it is cancelled there.
                    self._take(await connection.read_response(disconnect_on_error=False))
                    anything = True
        return anything

    def _take(self, reply: object) -> None:
        kind, channel, *rest = reply if isinstance(reply, list) else (reply, b"")
        if kind == _MESSAGE:
            self._heard(self._channels[channel], rest[0])
        elif kind == _SUBSCRIBED:
            self._confirmed.add(channel)
            if self.unavailable is None:
                self._cause = None
                log.info("redis.heard", channels=len(self._channels))
            self._attached(self._channels[channel])
        elif kind != _PONG:
            raise RedisUnavailableError(f"expected messages, found {kind!r}")


def pause_s(timing: RedisTiming, failures: int, chance: float) -> float:
    """The pause after so many failures in a row; `chance` in [0, 1] spreads those who failed together."""
    return min(timing.longest_pause_s, timing.first_pause_s * 2.0 ** min(failures, 16)) * (0.5 + chance / 2)
