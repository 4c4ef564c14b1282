"""Messages as a client may send them, or one that knows the protocol and means ill. Pure; no I/O."""

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

from google.protobuf.message import Message

from tests.fuzz.names import NUMBERS, channel
from wire import client_pb2 as proto

STRINGS: Final = ("", "e", "ephemeral", "t", "all", "\u0000", "ü", "\U0001f600", "a" * 300, "\ud800")


def commands(random: Random) -> bytes:
    """One message in JSON: a command a line, most often a connect first."""
    lines = [to_json(random, command(random)) for _ in range(random.choice((1, 1, 2, 5, 20)))]
    if random.random() < 0.7:
        lines.insert(0, b'{"id":1,"connect":{"token":"all"}}')
    return b"\n".join(lines) + random.choice((b"", b"\n", b"\n\n"))


def command(random: Random) -> dict[str, object]:
    """A command as JSON knows it; now and then one of the wrong form."""
    method, fields = random.choice(METHODS_OF_COMMANDS)
    body = {name: make(random) for name, make in fields.items() if random.random() < 0.8}
    if random.random() < 0.05:
        body[random.choice(list(fields) or ["x"])] = value(random)
    made: dict[str, object] = {"id": random.randint(1, 9), method: body}
    if random.random() < 0.05:
        made[random.choice(["id", method, "extra"])] = value(random)
    return made if random.random() < 0.95 else {}


def protobuf_commands(random: Random) -> bytes:
    """The same in protobuf, each behind its length."""
    made = [command(random) for _ in range(random.choice((1, 1, 2, 5, 20)))]
    if random.random() < 0.7:
        made.insert(0, {"id": 1, "connect": {"token": "all"}})
    messages = [to_protobuf(each) for each in made]
    return b"".join(bytes((size & 0x7F | 0x80, size >> 7)) + each for each in messages if (size := len(each)) < 2**14)


def to_protobuf(made: dict[str, object]) -> bytes:
    """A command as protobuf has it; what it cannot say is left out."""
    message = proto.Command()
    _fill(message, made)
    return message.SerializeToString()


def _fill(message: Message, fields: dict[str, object]) -> None:
    known = {field.name for field in message.DESCRIPTOR.fields} & fields.keys()
    for name in sorted(known):
        wanted = fields[name]
        with suppress(AttributeError, OverflowError, TypeError, ValueError):
            if isinstance(wanted, dict) and name != "data":
                getattr(message, name).SetInParent()
                _fill(getattr(message, name), wanted)
            else:
                setattr(message, name, json.dumps(wanted).encode() if name == "data" else wanted)


def value(random: Random, depth: int = 3) -> object:
    """Any value of JSON, and some that JSON does not have."""
    match random.randrange(8 if depth else 6):
        case 0:
            return random.choice((None, True, False))
        case 1 | 2:
            return random.choice(NUMBERS)
        case 3:
            return random.choice((float("nan"), float("inf")))
        case 4 | 5:
            return random.choice(STRINGS)
        case 6:
            return [value(random, depth - 1) for _ in range(random.randrange(4))]
        case _:
            return {random.choice(STRINGS): value(random, depth - 1) for _ in range(random.randrange(4))}


def to_json(random: Random, made: object) -> bytes:
    """The text of a value: with and without escapes, lone surrogates included, now and then far too deep."""
    text = json.dumps(made, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.03:
        depth = random.choice((10, 1_000, 20_000))
        text = text.replace("{", '{"deep":' + "[" * depth + "]" * depth + ",", 1)
    return text.encode("utf-8", "surrogatepass")


def _token(random: Random) -> str:
    return random.choice(("all", "few", "other", "none", "", "u" * 3_000))


def _position(random: Random) -> object:
    return random.choice((0, 1, 5, 2**63 - 1))


def _epoch(random: Random) -> str:
    return random.choice(("", "e", "another"))


def _since(random: Random) -> object:
    return random.choice((None, {}, {"offset": _position(random), "epoch": _epoch(random)}))


def _options(random: Random) -> object:
    return random.choice(
        (
            None,
            {},
            {"max_rate": random.choice(NUMBERS)},
            {"final_only": random.random() < 0.5, "snapshot": random.random() < 0.5},
            {"unknown": 1},
            value(random),
        )
    )


def _called(random: Random) -> str:
    return random.choice(("time", "indicators", "instruments", "validate", "", "x" * 200))


METHODS_OF_COMMANDS: Final[tuple[tuple[str, dict[str, Callable[[Random], object]]], ...]] = (
    ("connect", {"token": _token, "data": value, "name": _token}),
    (
        "subscribe",
        {"channel": channel, "recover": lambda r: r.random() < 0.5, "epoch": _epoch, "offset": _position}
        | {"flag": _position, "data": _options},
    ),
    ("subscribe", {"channel": channel}),
    ("unsubscribe", {"channel": channel}),
    ("history", {"channel": channel, "limit": lambda r: r.choice((-1, 0, 1, 2_000)), "since": _since}),
    ("rpc", {"method": _called, "data": value}),
    ("refresh", {"token": _token}),
    ("publish", {"channel": channel, "data": value}),
    ("presence", {"channel": channel}),
    ("presence_stats", {"channel": channel}),
    ("sub_refresh", {"channel": channel, "token": _token}),
    ("send", {"data": value}),
    ("ping", {}),
)
