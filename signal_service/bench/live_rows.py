"""The rows of latency: an engine at work, a lone trade, a new subscription. Does I/O on a bus in memory."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Final, TypeVar

import msgspec
import numpy as np
import uvloop
from msgspec import Struct

from engine.ticks import TickBatch
from runtime.logs import LogConfig, configure_logs
from signal_service.bench.deployment import engine_in_memory
from signal_service.bench.feed import VENUE, LoopFeed
from signal_service.bench.figures import Figure
from signal_service.bench.markets import even_block, symbols
from signal_service.bench.scale import Scale
from signal_service.bench.wanted import signals
from standins.broker import MemoryBroker
from wire.channel import Channel, ChannelKind
from wire.envelope import Envelope
from wire.expression import parse
from wire.market import Timeframe
from wire.topics import DEFAULT_TOPICS, topic_of

_T = TypeVar("_T")

_TIMEFRAMES: Final = tuple(Timeframe)[:8]
_PAUSE_S: Final = 0.12
"""Between two lone ticks: longer than live values wait for each other."""
_PATIENCE_S: Final = 10.0
_NEW: Final = ("ema({})", "sma({})", "rsi({})", "atr({})", "bbands({},2).upper", "highest({})", "stddev({})", "mom({})")
"""Expressions that nobody else wants, by a number."""


class _Sent(Struct):
    """When a value was computed, us."""

    sent: int


class _Waiting:
    """A listener that notes when each of the channels waited for has had a value."""

    def __init__(self) -> None:
        self._missing: set[str] = set()
        self._came = asyncio.Event()
        self._decoder = msgspec.json.Decoder(_Sent)
        self.sent_us = 0
        """When the last that was waited for was sent."""

    def wait_for(self, channels: Sequence[str]) -> None:
        """Wait for these from now on."""
        self._missing = set(channels)
        self._came.clear()

    async def came(self) -> None:
        """Until all of them have had a value."""
        async with asyncio.timeout(_PATIENCE_S):
            await self._came.wait()

    def attached(self, topic: int) -> None:
        """All is heard from the beginning."""

    def heard(self, topic: int, envelope: Envelope) -> None:  # noqa: ARG002 - the seam's
        """An envelope came in."""
        if not self._missing:
            return
        for each in (*envelope.live, *envelope.finals):
            if each.channel in self._missing and b'"v":null' not in each.payload:
                self._missing.remove(each.channel)
                self.sent_us = self._decoder.decode(each.payload).sent
        if not self._missing:
            self._came.set()


def tick(scale: Scale) -> Iterator[Figure]:
    """A trade of one instrument in a quiet market."""
    ticks = _run(_ticks(scale))
    took, stamped = np.array([heard for heard, _ in ticks]), np.array([stamp for _, stamp in ticks])
    yield Figure(
        name="tick",
        what=f"a lone tick to its live values heard, {len(_TIMEFRAMES)} timeframes x 20 indicators, p99",
        figure=float(np.percentile(took, 99)),
        unit="ms",
        goal=20,
        also={
            "p50": float(np.percentile(took, 50)),
            "max": float(np.max(took)),
            "cycle begun p50": float(np.percentile(stamped, 50)),
            "cycle begun p99": float(np.percentile(stamped, 99)),
        },
        method=f"{len(took)} ticks into an engine of {scale.instruments:,} instruments that is otherwise quiet, until "
        "its values are heard on a bus in memory: the wait for the cycle and the sending included. They come in the "
        "later half of a second: while the bar before may still get trades it is the one that is shown",
    )


def subscribe(scale: Scale) -> Iterator[Figure]:
    """Somebody wants what nobody has computed yet."""
    one, many = _run(_subscriptions(scale))
    for name, what, took, goal in (
        ("subscribe", "a new expression of one instrument to its first value, p99", np.array(one), 100.0),
        ("subscribe/wide", "a new expression of 100 instruments at once to the last first value", np.array(many), None),
    ):
        yield Figure(
            name=name,
            what=what,
            figure=float(np.percentile(took, 99)),
            unit="ms",
            goal=goal,
            also={"p50": float(np.percentile(took, 50)), "max": float(np.max(took))},
            method=f"{len(took)} times, {scale.instruments:,} instruments with a tick a second each and "
            f"{_past_s(scale)} s of bars of 1 s, from the read of the bus until a value is heard",
        )


def _past_s(scale: Scale) -> int:
    return 5 if scale.quick else 512


def _run(work: Coroutine[object, None, _T]) -> _T:
    configure_logs(LogConfig(level="warning"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _feed(scale: Scale, *, quiet: bool) -> LoopFeed:
    """A tick a second of each instrument, over the past; and on, unless it is to be quiet."""
    block_s = 1 if scale.quick else 10
    block = even_block(scale.instruments, scale.instruments, block_s)
    return LoopFeed(
        block,
        TickBatch.empty() if quiet else block,
        block_s=block_s,
        instruments=symbols(scale.instruments),
        past_s=_past_s(scale),
        clock_ns=time.time_ns,
    )


async def _ticks(scale: Scale) -> list[tuple[float, float]]:
    """How long each took until it was heard, and until the cycle began that told it, ms."""
    feed, waiting = _feed(scale, quiet=True), _Waiting()
    random = np.random.default_rng(1)
    name = feed.instruments[0]
    newest = Channel(ChannelKind.SIGNALS, VENUE, name, _TIMEFRAMES[-1], parse("close"))
    channels = [*(each for timeframe in _TIMEFRAMES for each in signals(name, timeframe)), newest]
    took = []
    async with engine_in_memory(feed, waiting) as broker:
        await _want(broker, channels)
        await asyncio.sleep(1.0)
        for _ in range(scale.times(100)):
            await asyncio.sleep(_pause_s(time.time(), random.random()))
            # Its values travel together, and this one moves with every trade.
            waiting.wait_for([newest.name])
            began_s, began_us = time.perf_counter(), time.time_ns() // 1_000
            feed.tell(0, 100 + random.random())
            await waiting.came()
            took.append(((time.perf_counter() - began_s) * 1e3, (waiting.sent_us - began_us) / 1e3))
    return took


def _pause_s(now_s: float, chance: float) -> float:
    """Until a moment in the later half of a second, longer away than live values wait for each other."""
    pause_s = _PAUSE_S + chance / 50
    into_s = (now_s + pause_s) % 1.0
    return pause_s if 0.4 <= into_s < 0.9 else pause_s + (1.4 - into_s) % 1.0 + chance / 50


async def _subscriptions(scale: Scale) -> tuple[list[float], list[float]]:
    """How long one instrument's took, and how long a hundred of them at once, ms."""
    feed, waiting = _feed(scale, quiet=False), _Waiting()
    random = np.random.default_rng(1)
    one, many = [], []
    async with engine_in_memory(feed, waiting) as broker:
        for place in range(scale.times(100)):
            text = _NEW[place % len(_NEW)].format(2 if scale.quick else 30 + place)
            slot = int(random.integers(len(feed.instruments)))
            one.append(await _first_value(broker, waiting, text, [feed.instruments[slot]]))
            await asyncio.sleep(random.random() / 20)
        for place in range(1 if scale.quick else 10):
            text = _NEW[place % len(_NEW)].format(3 if scale.quick else 230 + place)
            many.append(await _first_value(broker, waiting, text, feed.instruments[:100]))
            await asyncio.sleep(random.random() / 20)
    return one, many


async def _first_value(broker: MemoryBroker, waiting: _Waiting, text: str, names: Sequence[str]) -> float:
    expression = parse(text)
    channels = [Channel(ChannelKind.SIGNALS, VENUE, name, Timeframe.S1, expression) for name in names]
    waiting.wait_for([each.name for each in channels])
    began_s = time.perf_counter()
    await _want(broker, channels)
    await waiting.came()
    return (time.perf_counter() - began_s) * 1e3


async def _want(broker: MemoryBroker, channels: Sequence[Channel]) -> None:
    """As a gateway does when it is subscribed to."""
    by_topic: dict[int, list[str]] = {}
    for each in channels:
        by_topic.setdefault(topic_of(each, DEFAULT_TOPICS), []).append(each.name)
    for topic, names in by_topic.items():
        await broker.read(topic, None, names)
