"""How far the exchange's time has surely come on one connection, tick by tick. Pure; no I/O.

The watermark is the running maximum of `event - grace` over the ticks and of `corrected clock - grace - idle` over the
time between them. The corrected clock is our time of receipt less the offset, the least `received - event` of the last
minute, because a venue's clock may run ahead of ours by more than a second. What comes out depends only on the
sequence of ticks, never on where it was cut into batches nor on when `advance` was called between them.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.offset_window import NEVER, OffsetWindow
from wire.market import NS_PER_S

AHEAD_NS: Final = NS_PER_S
# The lag of a tick of another connection: one that sets no offset and is never refused.
_NOT_OURS: Final = 1 << 62
# After a refused tick this many are judged one by one before a run of them is tried at once again.
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """What a batch did to the watermark: int64 arrays as long as the batch, never decreasing.

    ``before_ns`` is the watermark that a tick met, with what the clock alone had done by its receipt; ``after_ns``
    the one that it left. ``refused`` marks stamps too far ahead of the corrected clock; None when there was none.
    """

    before_ns: NDArray[np.int64]
    after_ns: NDArray[np.int64]
    refused: NDArray[np.bool_] | None


class _Judgement:
    """A batch while it is judged: the offset that each tick left, which were refused, where the clock had a peak."""

    __slots__ = ("lag", "offset", "peaks", "received", "refused")

    def __init__(self, received: NDArray[np.int64], lag: NDArray[np.int64]) -> None:
        self.received = received
        self.lag = lag
        self.offset = np.empty_like(lag)
        self.refused: list[int] = []
        self.peaks: list[tuple[int, int]] = []

    def accept(self, window: OffsetWindow, start: int, stop: int, ahead_ns: int) -> int:
        """Take the ticks [start, stop) into `window`, second by second, up to the first refused; where it ended."""
        second = self.received[start:stop] // NS_PER_S
        if second[0] == second[-1]:
            starts = np.zeros(1, np.intp)
        else:
            starts = np.concatenate(([0], np.flatnonzero(second[1:] != second[:-1]) + 1))
        least = np.minimum.reduceat(self.lag[start:stop], starts).tolist()
        seconds = second[starts].tolist()
        starts += start
        bounds = [*starts.tolist(), stop]
        for at, low, begin, end in zip(seconds, least, bounds, bounds[1:], strict=False):
            peak = window.peak_ns
            ours = low != _NOT_OURS
            base = window.offset_for_tick(at) if ours else window.offset_at(at)
            if window.peak_ns > peak:
                self.peaks.append((begin, window.peak_ns))
            if low >= base:
                self.offset[begin:end] = base
            else:
                offset = self.offset[begin:end]
                np.minimum(np.minimum.accumulate(self.lag[begin:end]), base, out=offset)
                if low < base - ahead_ns:
                    bound = np.concatenate(([base], offset[:-1])) - ahead_ns
                    refused = self.lag[begin:end] < bound
                    if refused.any():
                        return begin + int(np.argmax(refused))
            if ours:
                window.add(at, low)
        return stop


class WatermarkState(Struct, frozen=True):
    """All that a watermark has come to know."""

    value_ns: int
    refused: int
    received_ns: int
    minima: tuple[tuple[int, int], ...]
    peak_ns: int
    refused_lags: tuple[int, ...]


class Watermark:
    """The watermark of one connection.

    A stamp more than `ahead_ns` before the corrected clock is refused; three refused in a row that agree within a
    second are the new offset (they stay refused). `refused` counts them.
    """

    def __init__(self, *, grace_ns: int, idle_ns: int, ahead_ns: int = AHEAD_NS) -> None:
        self.value_ns = NEVER
        self.refused = 0
        self._grace_ns = grace_ns
        self._idle_ns = idle_ns
        self._ahead_ns = ahead_ns
        self._window = OffsetWindow()
        self._received_ns = NEVER
        self._refused_lags: deque[int] = deque(maxlen=3)

    @property
    def received_ns(self) -> int:
        """Up to which time of receipt it has come."""
        return self._received_ns

    def observe(
        self, event_ns: NDArray[np.int64], received_ns: NDArray[np.int64], ours: NDArray[np.bool_] | None = None
    ) -> Passage:
        """Take in the ticks of a batch, at least one, in order of receipt.

        A receipt stamped earlier than the one before it counts as received with that one. `ours` marks those of this
        connection, None all; the others only let the time pass. The first ever must be ours.
        """
        received = np.maximum.accumulate(received_ns)
        if received[0] < self._received_ns:
            np.maximum(received, self._received_ns, out=received)
        self._received_ns = int(received[-1])
        lag = received - event_ns
        if ours is not None:
            lag[~ours] = _NOT_OURS
        judged = _Judgement(received, lag)
        if len(self._window) == 0:
            self._window.add(int(received[0]) // NS_PER_S, int(judged.lag[0]))
        self._judge(judged)

        clock = received - judged.offset
        for index, peak in judged.peaks:
            clock[index] = max(int(clock[index]), peak)
        clock -= self._grace_ns + self._idle_ns
        reach = np.maximum(event_ns - self._grace_ns, clock)
        if ours is not None:
            reach[~ours] = clock[~ours]
        refused = np.array(judged.refused, np.intp)
        reach[refused] = clock[refused]
        after = np.maximum.accumulate(reach)
        np.maximum(after, self.value_ns, out=after)
        before = np.empty_like(after)
        before[0] = self.value_ns
        before[1:] = after[:-1]
        np.maximum(before, clock, out=before)
        self.value_ns = int(after[-1])
        self.refused += len(refused)
        if len(refused) == 0:
            return Passage(before, after, None)
        mask = np.zeros(len(after), np.bool_)
        mask[refused] = True
        return Passage(before, after, mask)

    def advance(self, now_ns: int) -> int:
        """Let the clock of receipt go on to `now_ns`, up to which all ticks were observed; the watermark, ns."""
        if len(self._window):
            self._received_ns = max(self._received_ns, now_ns)
            offset = self._window.offset_at(self._received_ns // NS_PER_S)
            clock = max(self._window.peak_ns, self._received_ns - offset)
            self.value_ns = max(self.value_ns, clock - self._grace_ns - self._idle_ns)
        return self.value_ns

    def state(self) -> WatermarkState:
        """All that it has come to know."""
        minima, peak_ns = self._window.state()
        return WatermarkState(
            self.value_ns, self.refused, self._received_ns, minima, peak_ns, tuple(self._refused_lags)
        )

    def restore(self, state: WatermarkState) -> Self:
        """Know what `state` gave, and nothing else."""
        self.value_ns, self.refused, self._received_ns = state.value_ns, state.refused, state.received_ns
        self._window = OffsetWindow(state.minima, state.peak_ns)
        self._refused_lags.extend(state.refused_lags)
        return self

    def _judge(self, judged: _Judgement) -> None:
        """Judge every tick: runs of accepted ones at once, those near a refused one by one, so that no run is long."""
        start, length = 0, len(judged.lag)
        stride = length
        while start < length:
            stop = min(length, start + stride)
            start = self._accept(judged, start, stop)
            if start == stop:
                stride *= 2
            else:
                stop = min(length, start + _STRIDE)
                self._judge_singly(judged, start, stop)
                start, stride = stop, _STRIDE

    def _accept(self, judged: _Judgement, start: int, stop: int) -> int:
        """Accept the ticks from `start` on up to the first that is refused, at most to `stop`; where it ended."""
        window = self._window.copy()
        end = judged.accept(window, start, stop, self._ahead_ns)
        if end < stop:  # What came before it is accepted for certain: take just that.
            window = self._window
            if end > start:
                judged.accept(window, start, end, self._ahead_ns)
        self._window = window
        if self._refused_lags and (judged.lag[start:end] != _NOT_OURS).any():
            self._refused_lags.clear()
        return end

    def _judge_singly(self, judged: _Judgement, start: int, stop: int) -> None:
        window, lags = self._window, self._refused_lags
        offsets: list[int] = []
        received = judged.received[start:stop].tolist()
        for index, (at, lag) in enumerate(zip(received, judged.lag[start:stop].tolist(), strict=True), start):
            second = at // NS_PER_S
            peak = window.peak_ns
            if lag == _NOT_OURS:
                pass  # The offset of this second, below, is all that it asks for.
            elif lag >= window.offset_for_tick(second) - self._ahead_ns:
                lags.clear()
                window.add(second, lag)
            else:
                judged.refused.append(index)
                lags.append(lag)
                if len(lags) == 3 and max(lags) - min(lags) <= NS_PER_S:
                    window.add(second, min(lags))
                    lags.clear()
            offsets.append(window.offset_at(second))
            if window.peak_ns > peak:
                judged.peaks.append((index, window.peak_ns))
        judged.offset[start:stop] = offsets
