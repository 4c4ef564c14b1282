"""Binance's WebSocket frames into columns of ticks: spot and USD-M, raw and combined streams. Pure; no I/O.

Only trades (`<symbol>@trade`) make ticks: the event time is the trade time `T`, not `E`.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from engine.feeds.trade_ids import TradeIds
from engine.ticks import TickBatch, TickFlag
from wire.market import NS_PER_MS, NS_PER_S, NS_PER_US

# What other streams and replies bring; the depth snapshot stands in recordings.
IGNORED_KINDS: Final = frozenset({"bookTicker", "depth", "depthUpdate", "depthSnapshot", "reply"})
_NO_TICKS: Final = IGNORED_KINDS | {"trade"}
MALFORMED: Final = "malformed"
# Further from its receipt a stamp is no trade's time, but a fault that would close a day of bars.
MAX_LAG_NS: Final = 86_400 * NS_PER_S
# Times above are in us (a spot stream may be asked for them), below in ms.
_LARGEST_MS: Final = 9_000_000_000_000
_MAX_KINDS: Final = 100
_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BOUGHT: Final = np.uint8(TickFlag.ORDINARY | TickFlag.BUY)
_SOLD: Final = np.uint8(TickFlag.ORDINARY | TickFlag.SELL)
_KINDS_BY_FIELD: Final = (
    ("lastUpdateId", "depthSnapshot"),
    ("result", "reply"),
    ("error", "error"),
    ("B", "bookTicker"),
)

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
    """Frames in, ticks out; `slots` gives each symbol its slot.

    ``refused`` counts trades that make no sense (of a symbol without a slot, not at the market, with a price or size
    that is not positive and finite, or with a stamp over a day from its receipt), ``unknown`` messages of a kind that
    is not known, or that are no JSON.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        self.unknown = 0
        self.refused = 0
        self._slots = slots
        self._ids = TradeIds(len(slots))
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
            received_ns = [at for at, message in zip(received_ns, messages, strict=True) if message.e == "trade"]
            for frame, message in zip(frames, messages, strict=True):
                if message.e not in _NO_TICKS:
                    self._skip(frame)
        return self._screened(trades, received_ns)

    def _decode(self, frames: list[bytes]) -> list[_Message]:
        """Each frame's message without its envelope; an empty one for what cannot be decoded."""
        decode = self._decoder.decode
        try:
            messages = [decode(frame) for frame in frames]
        except _ERRORS:
            messages = [self._decode_singly(frame) for frame in frames]
        return [message if message.data is None else message.data for message in messages]

    def _decode_singly(self, frame: bytes) -> _Message:
        try:
            return self._decoder.decode(frame)
        except _ERRORS:
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
        )
        sound = _sound(batch) & (ids >= 0)
        if not all([trade.X == "MARKET" for trade in trades]):  # noqa: C419 - a list is faster here
            sound &= np.fromiter([trade.X == "MARKET" for trade in trades], np.bool_, count)
        known = np.flatnonzero((slot >= 0) & (ids >= 0))
        fresh = np.ones(count, np.bool_)
        fresh[known] = self._ids.screen(slot[known], ids[known])
        self.refused += int(np.count_nonzero(fresh & ~sound))
        sound &= fresh
        return batch if sound.all() else batch.pick(sound)

    def take_new_kinds(self) -> tuple[str, ...]:
        """The kinds of skipped messages met for the first time since this was asked last; at most 100 ever."""
        kinds, self._new_kinds = tuple(self._new_kinds), []
        return kinds

    def forget_ids(self) -> None:
        """Let the venue's trade ids begin anew."""
        self._ids.forget()

    def _skip(self, frame: bytes) -> None:
        """Count a frame that makes no tick, unless it is of a kind that never does."""
        kind = _kind_of(frame)
        if kind == "trade":
            self.refused += 1
        elif kind not in IGNORED_KINDS:
            self.unknown += 1
            if kind not in self._kinds and len(self._kinds) < _MAX_KINDS:
                self._kinds.add(kind)
                self._new_kinds.append(kind)


def symbol_of(frame: bytes) -> str | None:
    """The symbol of a trade; None for any other frame."""
    if b'"trade"' not in frame:
        return None
    try:
        message = msgspec.json.decode(frame)
    except _ERRORS:
        return None
    content = _content_of(message)
    symbol = content.get("s")
    return symbol if content.get("e") == "trade" and isinstance(symbol, str) else None


def _content_of(message: object) -> dict[str, object]:
    """What a message says, without the envelope of a combined stream; empty when it is no object."""
    content = message.get("data", message) if isinstance(message, dict) else None
    return content if isinstance(content, dict) else {}


def _kind_of(frame: bytes) -> str:
    """The kind of any message, at most 40 characters."""
    try:
        message = msgspec.json.decode(frame)
    except _ERRORS:
        return MALFORMED
    content = _content_of(message)
    kind = content.get("e")
    if isinstance(kind, str):
        return kind[:40]
    if isinstance(message, dict) and isinstance(message.get("stream"), str):
        return str(message["stream"]).partition("@")[2].partition("@")[0][:40] or "nameless"
    for field, kind in _KINDS_BY_FIELD:
        if field in content:
            return kind
    return "nameless"


def _event_ns(time: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(time > _LARGEST_MS, time * NS_PER_US, np.minimum(time, _LARGEST_MS) * NS_PER_MS)


def _sound(batch: TickBatch) -> NDArray[np.bool_]:
    price, size = batch.price, batch.size
    positive = (price > 0) & (price < np.inf) & (size > 0) & (size < np.inf) & (batch.instrument >= 0)
    sound: NDArray[np.bool_] = positive & (np.abs(batch.received_ns - batch.event_ns) <= MAX_LAG_NS)
    return sound
