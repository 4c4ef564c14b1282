"""Binance's WebSocket frames into columns of ticks: spot and USD-M, raw and combined streams. Pure; no I/O.

Only trades (`<symbol>@trade`) make ticks: the event time is the trade time `T`, not `E`. Of the best bids and asks
(`<symbol>@bookTicker`) the newest are kept.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from engine.feeds.binance_kinds import IGNORED_KINDS, NO_MESSAGE, kind_of
from engine.feeds.binance_quotes import BinanceQuotes
from engine.feeds.trade_ids import TradeIds
from engine.ticks import QuoteBatch, TickBatch, TickFlag
from wire.market import NS_PER_MS, NS_PER_S, NS_PER_US

# Further from its receipt a stamp is no trade's time, but a fault that would close a day of bars.
MAX_LAG_NS: Final = 86_400 * NS_PER_S
# Times above are in us (a spot stream may be asked for them), below in ms.
_LARGEST_MS: Final = 9_000_000_000_000
_MAX_KINDS: Final = 100

_BOUGHT: Final = np.uint8(TickFlag.ORDINARY | TickFlag.BUY)
_SOLD: Final = np.uint8(TickFlag.ORDINARY | TickFlag.SELL)
_AFTER_GAP: Final = np.uint8(TickFlag.AFTER_GAP)

_TradeId = Annotated[int, Meta(ge=0, lt=1 << 62)]
_Time = Annotated[int, Meta(ge=0, lt=1 << 53)]


class _Message(Struct, frozen=True, gc=False):
    """A trade under Binance's names, in its order, or the combined stream's envelope of one, or any other message.

    X, the kind of trade, is left out by spot.
    """

    e: str = ""
    T: _Time = 0
    s: str = ""
    t: _TradeId = -1
    p: float = 0.0
    q: float = 0.0
    X: str = "MARKET"
    m: bool = False
    data: "_Message | None" = None


class BinanceParser:
    """Frames in, ticks and quotes out; `slots` gives each symbol its slot.

    ``refused`` counts trades that make no sense (of a symbol without a slot, not at the market, with a price or size
    that is not positive and finite, or with a stamp over a day from its receipt), ``unknown`` messages of a kind that
    is not known, or that are no JSON.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        self.unknown = 0
        self.refused = 0
        self._slots = slots
        self._ids = TradeIds(max(slots.values(), default=-1) + 1)
        # Slots whose trade behind a hole made no sense: the next that does is behind the hole.
        self._behind_gap: set[int] = set()
        self._quotes = BinanceQuotes()
        self._decoder = msgspec.json.Decoder(_Message, strict=False)
        self._frames: list[bytes] = []
        self._received_ns: list[int] = []
        self._kinds: set[str] = set()
        self._new_kinds: list[str] = []

    @property
    def duplicates(self) -> int:
        """How many trades were dropped because their id had come before."""
        return self._ids.duplicates

    @property
    def gaps(self) -> int:
        """How many holes there were in the trade ids."""
        return self._ids.gaps

    def read(self, frame: bytes, received_ns: int) -> None:
        """Take in one frame and its time of receipt, ns; it is looked at in `take`, with the others."""
        self._frames.append(frame)
        self._received_ns.append(received_ns)

    def take(self) -> TickBatch:
        """The ticks of the frames that were read since this was asked last, in order of receipt.

        Whatever the frames hold, nothing is raised.
        """
        frames, received_ns = self._frames, self._received_ns
        if not frames:
            return TickBatch.empty()
        self._frames, self._received_ns = [], []
        messages = self._decode(frames)
        trades = [message for message in messages if message.e == "trade"]
        if len(trades) < len(frames):
            received_ns = self._sorted_out(messages, frames, received_ns)
        return self._screened(trades, received_ns)

    def take_quotes(self, until_ns: int) -> QuoteBatch | None:
        """The newest quote of each symbol received up to `until_ns`, those not given yet; None without any.

        Spot says no time of the event: it counts as received when it happened. A quote that makes no sense is left out.
        """
        return self._quotes.take(until_ns)

    def settle_quotes(self, until_ns: int) -> None:
        """Forget all quotes received up to `until_ns` but the newest of each symbol, so that few have to be kept."""
        self._quotes.settle(until_ns)

    def _sorted_out(self, messages: list[_Message], frames: list[bytes], received_ns: list[int]) -> list[int]:
        """Keep the quotes and count what is not known; the times of receipt of the trades."""
        slots, hold = self._slots, self._quotes.hold
        of_trades = []
        for message, frame, at in zip(messages, frames, received_ns, strict=True):
            kind = message.e
            if kind == "trade":
                of_trades.append(at)
            elif kind == "bookTicker" or (kind == "" and message.s and b'"B":' in frame):  # Spot's has no kind.
                slot = slots.get(message.s)
                if slot is not None:
                    hold(slot, at, frame)
            elif kind not in IGNORED_KINDS:
                self._skip(frame)
        return of_trades

    def _decode(self, frames: list[bytes]) -> list[_Message]:
        """Each frame's message without its envelope; an empty one for what cannot be decoded."""
        decode = self._decoder.decode
        try:
            messages = [decode(frame) for frame in frames]
        except NO_MESSAGE:
            messages = [self._decode_singly(frame) for frame in frames]
        return [message if message.data is None else message.data for message in messages]

    def _decode_singly(self, frame: bytes) -> _Message:
        try:
            return self._decoder.decode(frame)
        except NO_MESSAGE:
            return _Message()

    def _screened(self, trades: Sequence[_Message], received_ns: Sequence[int]) -> TickBatch:
        """The trades that are sound, and came once. Ids are looked at first: what is refused has an id too."""
        count = len(trades)
        slots = self._slots
        slot = np.fromiter([slots.get(trade.s, -1) for trade in trades], np.int32, count)
        ids = np.fromiter([trade.t for trade in trades], np.int64, count)
        selling = np.fromiter([trade.m for trade in trades], np.bool_, count)  # The buyer was there first.
        batch = TickBatch(
            slot,
            np.fromiter([trade.p for trade in trades], np.float64, count),
            np.fromiter([trade.q for trade in trades], np.float64, count),
            _event_ns(np.fromiter([trade.T for trade in trades], np.int64, count)),
            np.fromiter(received_ns, np.int64, count),
            np.where(selling, _SOLD, _BOUGHT),
            ids,
        )
        sound = _sound(batch) & (ids >= 0)
        if not all([trade.X == "MARKET" for trade in trades]):  # noqa: C419 - a list is faster here
            sound &= np.fromiter([trade.X == "MARKET" for trade in trades], np.bool_, count)
        known = np.flatnonzero((slot >= 0) & (ids >= 0))
        screened = self._ids.screen(slot[known], ids[known])
        fresh = np.ones(count, np.bool_)
        fresh[known] = screened.fresh
        self.refused += int(np.count_nonzero(fresh & ~sound))
        sound &= fresh
        if len(screened.behind_gap) or self._behind_gap:
            self._tell_of_gaps(batch, sound, known[screened.behind_gap].tolist())
        return batch if sound.all() else batch.pick(sound)

    def _tell_of_gaps(self, batch: TickBatch, sound: NDArray[np.bool_], behind_gap: Sequence[int]) -> None:
        """Flag the first sound trade behind each hole; it may be in a later batch."""
        waiting = [(0, slot) for slot in self._behind_gap]
        self._behind_gap.clear()
        for place, slot in [*waiting, *((each, batch.instrument.item(each)) for each in behind_gap)]:
            if sound[place] and batch.instrument[place] == slot:
                batch.flags[place] |= _AFTER_GAP
                continue
            behind = np.flatnonzero(sound[place:] & (batch.instrument[place:] == slot))
            if len(behind):
                batch.flags[place + behind[0]] |= _AFTER_GAP
            else:
                self._behind_gap.add(slot)

    def take_new_kinds(self) -> tuple[str, ...]:
        """The kinds of skipped messages met for the first time since this was asked last; at most 100 ever."""
        kinds, self._new_kinds = tuple(self._new_kinds), []
        return kinds

    def forget_ids(self) -> None:
        """Let the venue's trade ids begin anew."""
        self._ids.forget()
        self._behind_gap.clear()

    def _skip(self, frame: bytes) -> None:
        """Count a frame that makes no tick, unless it is of a kind that never does."""
        kind = kind_of(frame)
        if kind == "trade":
            self.refused += 1
        elif kind not in IGNORED_KINDS:
            self.unknown += 1
            if kind not in self._kinds and len(self._kinds) < _MAX_KINDS:
                self._kinds.add(kind)
                self._new_kinds.append(kind)


def _event_ns(time: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(time > _LARGEST_MS, time * NS_PER_US, np.minimum(time, _LARGEST_MS) * NS_PER_MS)


def _sound(batch: TickBatch) -> NDArray[np.bool_]:
    price, size = batch.price, batch.size
    positive = (price > 0) & (price < np.inf) & (size > 0) & (size < np.inf) & (batch.instrument >= 0)
    sound: NDArray[np.bool_] = positive & (np.abs(batch.received_ns - batch.event_ns) <= MAX_LAG_NS)
    return sound
