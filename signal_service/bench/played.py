"""An engine that is played: it owns all topics of a Redis, and publishes bars at the rate that it is told. Does I/O.

``python -m signal_service.bench.played --redis URL``: requests come as JSON, a line each, and so do the answers.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from engine.app import redis_bus
from engine.bus import Bus
from runtime.redis_config import RedisConfig
from wire.channel import parse
from wire.envelope import (
    MAX_PUBLICATIONS,
    VERSION,
    Batch,
    Chart,
    Description,
    Envelope,
    NewestFinal,
    Ownership,
    Publication,
)
from wire.position import Offset
from wire.topics import topic_of

STEP_MS: Final = 1_000
"""From one bar to the next."""
START_MS: Final = 1_700_000_000_000
_HEARTBEAT_S: Final = 1.0
_HELD: Final = 5_000
"""So many finals of each topic can be recovered."""


class Compute(Struct, frozen=True, tag="compute"):
    """Compute these from now on."""

    channels: tuple[str, ...]


class Go(Struct, frozen=True, tag="go"):
    """Publish a value on each channel in each round: a final in every `finals_every`-th (0: never).

    `rounds` None: until stopped. `rounds_per_s` 0: as fast as the bus takes them. A payload is `size_bytes` at least.
    """

    rounds_per_s: float
    finals_every: int = 0
    rounds: int | None = None
    size_bytes: int = 0


class Stop(Struct, frozen=True, tag="stop"):
    """End what goes on."""


class Totals(Struct, frozen=True):
    """What has been published since the beginning.

    The finals of each channel are of the bars from `first_ms` to `newest_ms`, STEP_MS apart. `late_s`: by how much the
    newest round came later than it should have.
    """

    rounds: int
    publications: int
    first_ms: int
    newest_ms: int
    late_s: float


class PlayedEngine:
    """Owns all topics, and publishes what it is told."""

    def __init__(self, bus: Bus, topics: int) -> None:
        self._bus = bus
        self._topics = topics
        self._own: dict[int, Ownership] = {}
        self._channels: dict[int, list[str]] = {}
        self._since: dict[str, Offset] = {}
        self._sent_s: dict[int, float] = {}
        self._publishing = asyncio.Lock()
        self._stopping = False
        self._rounds = 0
        self._publications = 0
        self._newest_ms = START_MS
        self._late_s = 0.0

    # what the bus asks of an owner

    def wanted(self, topic: int, channels: Sequence[str]) -> None:
        """Everything is computed already."""

    def describe(self, topic: int, channel: str) -> Description:  # noqa: ARG002
        """It is computed."""
        return Description(warming=False)

    async def history(self, topic: int, channel: str, limit: int) -> Chart:  # noqa: ARG002
        """There is no past."""
        return Chart(())

    # what it is told

    async def start(self) -> None:
        """Own all topics."""
        for topic in range(self._topics):
            acquired = await self._bus.acquire(topic, "played")
            if acquired is None:
                raise RuntimeError(f"expected topic {topic} to be free, found it owned")
            self._own[topic] = acquired.ownership

    async def compute(self, channels: Sequence[str]) -> None:
        """Compute these from now on, too."""
        symbols: dict[str, set[str]] = {}
        new: dict[int, list[str]] = {}
        for name in channels:
            channel = parse(name)
            symbols.setdefault(channel.venue, set()).add(channel.symbol or "")
            if name not in self._since:
                new.setdefault(topic_of(channel, self._topics), []).append(name)
        await self._bus.announce({venue: sorted(those) for venue, those in symbols.items()})
        async with self._publishing:
            batches: dict[int, Batch] = {}
            for topic, names in new.items():
                own = self._own[topic]
                self._channels.setdefault(topic, []).extend(names)
                self._since.update(dict.fromkeys(names, Offset(own.next_offset - 1)))
                batches[topic] = Batch(
                    own, (), {name: NewestFinal(self._since[name], Offset(0), None) for name in names}
                )
            await self._send(batches)

    async def play(self, go: Go) -> None:
        """Publish, until that is done or stopped."""
        self._stopping = False
        began_s, rounds = time.monotonic(), 0
        while not self._stopping and (go.rounds is None or rounds < go.rounds):
            if go.rounds_per_s:
                due_s = began_s + rounds / go.rounds_per_s
                self._late_s = max(0.0, time.monotonic() - due_s)
                await asyncio.sleep(due_s - time.monotonic())
            rounds += 1
            async with self._publishing:
                final = go.finals_every > 0 and rounds % go.finals_every == 0
                await self._round(final=final, size_bytes=go.size_bytes)

    def stop(self) -> None:
        """Let `play` end behind the round that is under way."""
        self._stopping = True

    async def beat(self) -> None:
        """Say that it is there on topics that are silent, until it is cancelled."""
        while True:
            await asyncio.sleep(_HEARTBEAT_S / 2)
            async with self._publishing:
                now_s = time.monotonic()
                silent = [t for t in self._own if now_s - self._sent_s.get(t, 0.0) >= _HEARTBEAT_S / 2]
                await self._send({topic: _batch(self._own[topic], (), ()) for topic in silent})

    def told(self) -> Totals:
        """What it has published."""
        return Totals(self._rounds, self._publications, START_MS + STEP_MS, self._newest_ms, self._late_s)

    # inside

    async def _round(self, *, final: bool, size_bytes: int) -> None:
        bar_ms = self._newest_ms + STEP_MS
        batches: dict[int, Batch] = {}
        payload = _payload(bar_ms, self._rounds, final=final, size_bytes=size_bytes)
        for topic, names in self._channels.items():
            own = self._own[topic]
            publications = tuple(Publication(name, payload) for name in names)
            batch = _batch(own, publications, ()) if final else _batch(own, (), publications)
            if final:
                offsets = enumerate(names, own.next_offset)
                rows = {name: NewestFinal(self._since[name], Offset(at), payload) for at, name in offsets}
                batch = msgspec.structs.replace(batch, rows=rows)
            batches[topic] = batch
        await self._send(batches)
        self._rounds += 1
        self._publications += sum(map(len, self._channels.values()))
        if final:
            self._newest_ms = bar_ms

    async def _send(self, batches: dict[int, Batch]) -> None:
        if not batches:
            return
        answers = await self._bus.publish(batches)
        for topic, batch in batches.items():
            if answers.get(topic) != batch.after:
                raise RuntimeError(f"expected topic {topic} to stand at {batch.after}, found {answers.get(topic)}")
            self._own[topic] = batch.after
            self._sent_s[topic] = time.monotonic()


def _batch(own: Ownership, finals: tuple[Publication, ...], live: tuple[Publication, ...]) -> Batch:
    envelopes: list[Envelope] = []
    offset = own.next_offset
    those = finals or live
    for start in range(0, max(1, len(those)), MAX_PUBLICATIONS):
        part = those[start : start + MAX_PUBLICATIONS]
        number = own.number + 1 + len(envelopes)
        said = (part, ()) if finals else ((), part)
        envelopes.append(Envelope(VERSION, own.epoch, number, offset, *said))
        offset = Offset(offset + len(said[0]))
    return Batch(own, tuple(envelopes), forget=Offset(max(0, own.next_offset - _HELD)))


def _payload(bar_ms: int, number: int, *, final: bool, size_bytes: int) -> bytes:
    sent_us = time.time_ns() // 1000
    text = (
        f'{{"t":{bar_ms},"o":64000.5,"h":64123.25,"l":63990,"c":{64000 + number % 1000}.75,"v":12.5,"n":{number},'
        f'"final":{"true" if final else "false"},"event":{sent_us},"sent":{sent_us}'
    )
    padding = size_bytes - len(text) - len(',"pad":""}')
    return f'{text},"pad":"{"x" * padding}"}}'.encode() if padding > 0 else f"{text}}}".encode()


async def obey(engine: PlayedEngine, lines: asyncio.StreamReader) -> None:
    """Do what each line says, until there is none."""
    decoder, encoder = msgspec.json.Decoder(Compute | Go | Stop), msgspec.json.Encoder()
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(engine.beat(), name="played.beat")
        playing: asyncio.Task[None] | None = None
        while line := await lines.readline():
            match decoder.decode(line):
                case Compute(channels):
                    await engine.compute(channels)
                case Go() as go if go.rounds is None:
                    playing = tasks.create_task(engine.play(go), name="played.play")
                case Go() as go:
                    await engine.play(go)
                case Stop() if playing is not None:
                    engine.stop()
                    await playing
            sys.stdout.write(encoder.encode(engine.told()).decode() + "\n")
            sys.stdout.flush()
        beating.cancel()
        if playing is not None:
            playing.cancel()


async def _main(config: RedisConfig) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with redis_bus(config) as bus:
        engine = PlayedEngine(bus, config.topics)
        async with bus.serve(engine, range(config.topics)):
            await engine.start()
            print("ready", flush=True)
            await obey(engine, lines)


def main() -> None:
    """Run until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m signal_service.bench.played", description=__doc__)
    parser.add_argument("--redis", required=True, metavar="URL", help="the bus")
    parser.add_argument("--topics", type=int, default=RedisConfig().topics, metavar="N", help="as the gateways have it")
    arguments = parser.parse_args()
    config = RedisConfig(url=arguments.redis, topics=arguments.topics)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(KeyboardInterrupt):
        runner.run(_main(config))


if __name__ == "__main__":
    main()
