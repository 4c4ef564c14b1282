"""How `compute` prints a publication: JSON lines, or csv."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from wire import expression
from wire.channel import Channel, ChannelKind

_BAR: Final = ("t", "o", "h", "l", "c", "v", "n", "final", "event", "sent", "synthetic", "rev", "gap")
_FIELDS: Final[Mapping[ChannelKind, Sequence[str]]] = MappingProxyType(
    {
        ChannelKind.BARS: _BAR,
        ChannelKind.SIGNALS: ("t", "v", "final", "event", "sent", "settled", "synthetic", "gap"),
        ChannelKind.ALERTS: ("t", "v", "final", "event", "sent", "settled", "gap"),
        ChannelKind.SCREENS: ("t", "in", "entered", "left", "final", "event", "sent"),
        ChannelKind.TRADES: ("t", "p", "q", "side", "id", "event", "sent"),
        ChannelKind.QUOTES: ("t", "bid", "ask", "bid_q", "ask_q", "event", "sent"),
        ChannelKind.STATUS: ("state", "since", "lag_ms", "event", "sent"),
    }
)


class Format(Protocol):
    """How lines look."""

    def head(self) -> str | None:
        """The line before all others; None without one."""

    def line(self, spelling: str, payload: bytes) -> str:
        """One publication of the channel that the command line spells so."""


class JsonLines:
    """``{"channel", "data"}``, the data byte for byte as it is published."""

    def head(self) -> None:
        """None: JSON lines name their fields."""

    def line(self, spelling: str, payload: bytes) -> str:
        """One publication."""
        return f'{{"channel":{json.dumps(spelling)},"data":{payload.decode()}}}'


class Csv:
    """A column for each field that one of the channels may have, empty where it is not told.

    Of a value with named outputs each is a column, ``v.macd``; lists are joined by spaces; operands of an alert are one
    JSON text.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._columns = tuple(dict.fromkeys(column for channel in channels for column in _columns(channel)))

    def head(self) -> str:
        """The names of the columns."""
        return _row(["channel", *self._columns])

    def line(self, spelling: str, payload: bytes) -> str:
        """One publication."""
        data: dict[str, Any] = msgspec.json.decode(payload)
        if isinstance(v := data.get("v"), dict) and v and all(f"v.{name}" in self._columns for name in v):
            data.update({f"v.{name}": value for name, value in data.pop("v").items()})
        return _row([spelling, *[_cell(data.get(column)) for column in self._columns]])


def _columns(channel: Channel) -> Sequence[str]:
    outputs = () if channel.expression is None else expression.outputs(channel.expression)
    told: list[str] = []
    for field in _FIELDS[channel.kind]:
        told += [f"v.{name}" for name in outputs] if field == "v" and outputs else [field]
    return told


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list():
            return " ".join(map(str, value))
        case Mapping():
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


def _row(cells: Sequence[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow(cells)
    return written.getvalue()
