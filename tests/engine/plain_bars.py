"""What bars are, tick by tick in plain Python: slow, and written apart from the engine's. Pure; no I/O."""

import math
from dataclasses import dataclass, field

import numpy as np

from engine.ticks import TickBatch, TickFlag

SECOND = 1_000_000_000
NEVER = -(10**30)
PARENTS = {5: 1, 15: 5, 30: 15, 60: 30, 180: 60, 300: 60, 900: 300, 1800: 900, 3600: 1800, 7200: 3600}
PARENTS |= {14400: 7200, 86400: 14400}


@dataclass
class PlainBar:
    """One slot's bar."""

    open: float = math.nan
    high: float = -math.inf
    low: float = math.inf
    close: float = math.nan
    volume: float = 0.0
    turnover: float = 0.0
    count: int = 0
    opened: float = math.inf
    closed: float = -math.inf
    newest: int = 0

    def add(self, price: float, size: float, event: int, flags: int) -> None:
        self.count += 1
        self.newest = max(self.newest, event)
        if flags & TickFlag.SETS_RANGE:
            self.high = max(self.high, price)
            self.low = min(self.low, price)
        if flags & TickFlag.SETS_OPEN_CLOSE:
            if event < self.opened:
                self.opened, self.open = event, price
            if event >= self.closed:
                self.closed, self.close = event, price
        if flags & TickFlag.SETS_VOLUME:
            self.volume += size
            self.turnover += price * size

    def then(self, later: "PlainBar") -> "PlainBar":
        return PlainBar(
            later.open if math.isnan(self.open) else self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            self.close if math.isnan(later.close) else later.close,
            self.volume + later.volume,
            self.turnover + later.turnover,
            self.count + later.count,
            newest=max(self.newest, later.newest),
        )


@dataclass
class PlainClock:
    """The watermark of one connection."""

    grace: int
    idle: int
    watermark: int = NEVER
    lags: dict[int, int] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    now: int = NEVER

    def offset(self, second: int) -> int:
        recent = [self.lags[at] for at in range(second - 59, second + 1) if at in self.lags]
        return min(recent) if recent else self.lags[next(reversed(self.lags))]

    def let_time_pass(self, received: int) -> None:
        if not self.lags:
            return
        instants = [second * SECOND - 1 for second in range(self.now // SECOND + 1, received // SECOND + 1)]
        for instant in [*instants, received]:
            self.watermark = max(self.watermark, instant - self.offset(instant // SECOND) - self.grace - self.idle)
        self.now = received

    def judge(self, event: int, received: int) -> bool:
        """Take in the stamps of a tick; whether it is refused."""
        self.let_time_pass(received)
        self.now = received
        second = received // SECOND
        lag = received - event
        if not self.lags:
            self.lags[second] = lag
        elif next(reversed(self.lags)) <= second - 60:
            self.lags[second] = self.offset(second)
        refused = lag < self.offset(second) - SECOND
        if refused:
            self.told.append(lag)
            if len(self.told) >= 3 and max(self.told[-3:]) - min(self.told[-3:]) <= SECOND:
                self.lags[second] = min(self.told[-3:])
                self.told = []
        else:
            self.told = []
            self.lags[second] = min(lag, self.lags.get(second, lag))
        self.let_time_pass(received)
        return refused


@dataclass
class PlainBars:
    """The bars of one venue; `closed` maps each second that has closed to its bars by slot."""

    grace: int
    idle: int = SECOND // 2
    watermark: int = NEVER
    clocks: dict[int, PlainClock] = field(default_factory=dict)
    now: int = NEVER
    boundary: int | None = None
    open: dict[int, dict[int, PlainBar]] = field(default_factory=dict)
    closed: dict[int, dict[int, PlainBar]] = field(default_factory=dict)
    whole: dict[int, dict[int, PlainBar]] = field(default_factory=dict)
    """Each second's bars with what came too late for them, by up to a quarter of an hour."""
    late: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    befores: list[int] = field(default_factory=list)
    afters: list[int] = field(default_factory=list)

    def fold(self, batch: TickBatch) -> None:
        connection = np.zeros(len(batch), np.uint8) if batch.connection is None else batch.connection
        columns = (batch.instrument, batch.price, batch.size, batch.event_ns, batch.received_ns, batch.flags)
        for index, tick in enumerate(zip(*(column.tolist() for column in (*columns, connection)), strict=True)):
            self.tick(index, *tick)

    def disconnect(self, connection: int) -> None:
        if len(self.clocks) > 1:
            del self.clocks[connection]

    def tick(
        self, index: int, slot: int, price: float, size: float, event: int, received: int, flags: int, connection: int
    ) -> None:
        received = self.now = max(received, self.now)
        for clock in self.clocks.values():
            clock.let_time_pass(received)
        self.look()
        refused = self.clocks.setdefault(connection, PlainClock(self.grace, self.idle)).judge(event, received)
        if refused:
            self.refused.append(index)
        self.look()
        self.befores.append(self.watermark)
        if self.boundary is None:
            self.boundary = event // SECOND * SECOND
        self.close()
        if not refused:
            self.place(index, slot, price, size, event, flags)
            clock = self.clocks[connection]
            clock.watermark = max(clock.watermark, event - self.grace)
            self.look()
            self.close()
        self.afters.append(self.watermark)

    def look(self) -> None:
        marks = [each.watermark for each in self.clocks.values()] or [NEVER]
        self.watermark = max(self.watermark, min(marks), max(marks) - 10 * SECOND)

    def place(self, index: int, slot: int, price: float, size: float, event: int, flags: int) -> None:
        assert self.boundary is not None
        bar = event // SECOND * SECOND
        if bar < self.boundary:
            self.late.append(index)
        else:
            self.open.setdefault(bar, {}).setdefault(slot, PlainBar()).add(price, size, event, flags)
        if bar >= self.boundary or (self.watermark - bar - SECOND <= 900 * SECOND and bar in self.closed):
            self.whole.setdefault(bar, {}).setdefault(slot, PlainBar()).add(price, size, event, flags)

    def close(self) -> None:
        while self.boundary is not None and self.boundary + SECOND <= self.watermark:
            self.closed[self.boundary] = self.open.pop(self.boundary, {})
            self.boundary += SECOND

    def finish(self) -> None:
        while self.open and self.boundary is not None:
            self.watermark = self.boundary + SECOND
            self.close()


def roll_up(seconds: dict[int, dict[int, PlainBar]], length: int) -> dict[int, dict[int, PlainBar]]:
    """Bars of `length` seconds, each out of the bars that it rolls up from, in order."""
    if length == 1:
        return seconds
    bars: dict[int, dict[int, PlainBar]] = {}
    for open_ns, slots in sorted(roll_up(seconds, PARENTS[length]).items()):
        longer = bars.setdefault(open_ns // (length * SECOND) * (length * SECOND), {})
        for slot, bar in slots.items():
            longer[slot] = longer[slot].then(bar) if slot in longer else bar
    return bars


def fill(bars: dict[int, dict[int, PlainBar]], width: int) -> list[tuple[int, list[tuple[float, ...]]]]:
    """Each bar as rows (open, high, low, close, volume, turnover, count, newest event) of every slot."""
    last = [math.nan] * width
    newest = [0] * width
    filled: list[tuple[int, list[tuple[float, ...]]]] = []
    for open_ns, slots in sorted(bars.items()):
        rows: list[tuple[float, ...]] = []
        for slot in range(width):
            bar = slots.get(slot, PlainBar())
            first = last[slot] if math.isnan(bar.open) else bar.open
            last[slot] = last[slot] if math.isnan(bar.close) else bar.close
            newest[slot] = max(newest[slot], bar.newest)
            high, low = max(first, last[slot]), min(first, last[slot])
            if not math.isnan(first):
                high, low = max(high, bar.high), min(low, bar.low)
            sums = (bar.volume, bar.turnover, bar.count, newest[slot])
            rows.append((first, high, low, last[slot], *sums))
        filled.append((open_ns, rows))
    return filled
