"""Witness: a full client, as an SDK is one: comes back, recovers by position, remembers all finals. Does I/O."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from loadtest.errors import LoadTestError
from loadtest.target import Address, Answer, Backoff, Evicted, Position, Target, Told
from loadtest.verdict import Verdict, judge, total

BACKOFF: Final = Backoff()
_LOOK_S: Final = 0.02
_TERMINAL: Final = range(3500, 4000)


class Witness:
    """Client `number` of a target, which wants `channels`; `run` is its life."""

    def __init__(self, number: int, target: Target, channels: Sequence[str]) -> None:
        self.heard: dict[str, list[int]] = {channel: [] for channel in channels}
        """The bars of the finals of each channel, in the order in which they came."""
        self.unrecovered = 0
        """How often it was told that it cannot go on from where it was."""
        self.returned = 0
        self.refusals: list[str] = []
        self._number = number
        self._target = target
        self._channels = tuple(channels)
        self._positions: dict[str, Position] = {}
        self._subscribed: set[str] = set()
        self._base: dict[str, int] = {}
        """The offset of the first reply: what is not above it was published before."""

    @property
    def is_subscribed(self) -> bool:
        """Whether it is subscribed to all its channels."""
        return len(self._subscribed) == len(self._channels)

    def has_heard(self, bars: Sequence[int]) -> bool:
        """Whether it has heard the finals of these bars on all channels; the order is not judged."""
        return all(bar_ms in heard[-2:] for bar_ms in bars for heard in self.heard.values())

    async def run(self) -> None:
        """Connect, and come back whenever the connection ends, until it is told not to or cancelled."""
        failures = 0
        while True:
            try:
                await self._connected(self._target.address(self._number, self.returned))
            except (OSError, InvalidHandshake, TimeoutError):
                failures += 1
            except ConnectionClosed as error:
                failures = 0 if self.is_subscribed else failures + 1
                if error.rcvd is not None and error.rcvd.code in _TERMINAL:
                    self.refusals.append(f"closed with {error.rcvd.code} {error.rcvd.reason}")
                    return
            self._subscribed.clear()
            self.returned += 1
            await asyncio.sleep(BACKOFF.delay_s(failures, random.random()))  # noqa: S311 - spreads load

    def verdict(self, published: Sequence[int]) -> Verdict:
        """Judge all channels, each of which has published the finals of these bars since it first subscribed."""
        return total(judge(heard, published) for heard in self.heard.values())

    # inside

    async def _connected(self, address: Address) -> None:
        """The life of one connection. Raises what ends it."""
        url = f"ws://{address.host}:{address.port}{self._target.path}"
        async with connect(url, compression=None, ping_interval=None) as socket:
            opening = self._target.dialect.opening(self._number, self._channels, self._positions)
            for message in opening.frames:
                await socket.send(message.decode())
            while True:
                message = await socket.recv(decode=False)
                await self._listen(socket, message)

    async def _listen(self, socket: ClientConnection, message: bytes) -> None:
        dialect = self._target.dialect
        if dialect.heartbeat is not None and message == dialect.heartbeat[0]:
            await socket.send(dialect.heartbeat[1].decode())
            return
        for event in dialect.read(message):
            match event:
                case Answer():
                    self._answered(event)
                case Told():
                    self._told(event.channel, event)
                case Evicted(channel):
                    self._subscribed.discard(channel)
                    place = self._channels.index(channel)
                    command = dialect.subscribe(place, channel, self._positions.get(channel))
                    await socket.send(command.decode())

    def _answered(self, answer: Answer) -> None:
        if answer.error is not None:
            self.refusals.append(answer.error)
            return
        if answer.place is None:
            return
        channel = self._channels[answer.place]
        self._subscribed.add(channel)
        if answer.position is None:
            return
        if channel not in self._positions:
            self._base[channel] = answer.position.offset
        elif not answer.recovered:
            self.unrecovered += 1
        self._positions[channel] = answer.position
        for told in answer.told:
            self._told(channel, told)

    def _told(self, channel: str, told: Told) -> None:
        position = self._positions.get(channel)
        if position is not None:
            self._positions[channel] = Position(position.epoch, told.offset)
        if told.bar_ms is not None and told.offset > self._base.get(channel, 0):
            self.heard[channel].append(told.bar_ms)


@asynccontextmanager
async def witnesses(
    target: Target, count: int, channels: Sequence[str], each: int, *, within_s: float = 30.0
) -> AsyncIterator[list[Witness]]:
    """So many witnesses, each subscribed to `each` of `channels`, from entering to leaving.

    Raises LoadTestError when they are not subscribed in time.
    """
    groups = [[channels[(i * each + k) % len(channels)] for k in range(each)] for i in range(count)]
    those = [Witness(i, target, tuple(dict.fromkeys(group))) for i, group in enumerate(groups)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(witness.run(), name=f"witness-{i}") for i, witness in enumerate(those)]
        try:
            await _subscribed(those, within_s)
            yield those
        finally:
            for task in running:
                task.cancel()


async def _subscribed(those: Sequence[Witness], within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not all(witness.is_subscribed for witness in those):  # noqa: ASYNC110 - nobody tells of all
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        refusals = {why for witness in those for why in witness.refusals}
        raise LoadTestError(f"expected all witnesses to be subscribed, found: {refusals or 'no answer'}") from None
