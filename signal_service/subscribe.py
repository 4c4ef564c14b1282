"""``signal-service subscribe``: prints what a gateway publishes, on the official centrifuge-python SDK."""

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    PublicationContext,
    StreamPosition,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from runtime.lifecycle import Stop, run
from signal_service.errors import CommandError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEFAULT_URL: Final = "ws://127.0.0.1:8000/connection/websocket"
EXAMPLE: Final = """example:
  signal-service subscribe 'signals:DEMO:S01@1s:rsi(14)' 'bars:DEMO:S01@1s' --count 20
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "subscribe",
        help="print publications as JSON lines",
        description='Prints publications as JSON lines {"channel", "offset"?, "data"}, until interrupted.',
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("channels", nargs="+", metavar="CHANNEL")
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the gateway's address (default {DEFAULT_URL})")
    parser.add_argument("--token", default="demo", help="who you are (default demo)")
    parser.add_argument("--protobuf", action="store_true", help="speak protobuf instead of JSON; prints the same")
    parser.add_argument("--count", type=_positive, metavar="N", help="stop after N publications")
    parser.add_argument(
        "--since",
        action="append",
        default=[],
        metavar="CHANNEL=EPOCH:OFFSET",
        help="print first what was missed since a position; may be repeated",
    )
    parser.set_defaults(run=_run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return number


def _run(arguments: argparse.Namespace) -> int:
    positions = dict(_position(text) for text in arguments.since)
    for channel in positions:
        if channel not in arguments.channels:
            raise UsageError(f"--since names {channel!r}, which is not among the channels")
    return run(lambda stop: _subscribe(arguments, positions, stop))


def _position(text: str) -> tuple[str, StreamPosition]:
    """A channel's name may hold ``=``: the last one counts."""
    channel, equals, position = text.rpartition("=")
    epoch, colon, offset = position.rpartition(":")
    if not equals or not colon or not offset.isdigit():
        raise UsageError(f"--since expects CHANNEL=EPOCH:OFFSET, found {text!r}")
    return channel, StreamPosition(int(offset), epoch)


@dataclass
class _Printer:
    """What was printed, and why it ended."""

    limit: int | None
    printed: int = 0
    failure: str | None = None
    noted: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def publication(self, channel: str, offset: int, sent: object) -> None:
        if self.done.is_set():
            return
        data = json.loads(sent) if isinstance(sent, bytes) else sent  # protobuf has JSON in its bytes
        line = {"channel": channel, "offset": offset, "data": data} if offset else {"channel": channel, "data": data}
        print(json.dumps(line, separators=(",", ":")), flush=True)
        self.printed += 1
        if self.printed == self.limit:
            self.done.set()

    def fail(self, why: str) -> None:
        if not self.done.is_set():
            self.failure = why
            self.done.set()

    def note(self, what: str) -> None:
        """Say what happens, unless it was said last."""
        if not self.done.is_set() and what != self.noted:
            print(what, file=sys.stderr, flush=True)
            self.noted = what


class _ClientEvents(ClientEventHandler):
    def __init__(self, printer: _Printer) -> None:
        self._printer = printer

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        if ctx.code:
            self._printer.note(f"connecting again: {ctx.code} {ctx.reason}")

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self._printer.fail(f"disconnected: {ctx.code} {ctx.reason}")

    async def on_error(self, ctx: ErrorContext) -> None:
        self._printer.note(f"{ctx.error}")


class _SubscriptionEvents(SubscriptionEventHandler):
    def __init__(self, channel: str, printer: _Printer) -> None:
        self._channel = channel
        self._printer = printer

    async def on_publication(self, ctx: PublicationContext) -> None:
        self._printer.publication(self._channel, ctx.pub.offset, ctx.pub.data)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self._printer.fail(f"{self._channel}: refused with {ctx.code} {ctx.reason}")

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        self._printer.note(f"{self._channel}: {ctx.error}")


def _starting_at(
    channel: str, position: StreamPosition, printer: _Printer
) -> "Callable[[str], Awaitable[StreamPosition]]":
    """Gives the SDK the position once: being asked again means that it could not be recovered."""
    asked = False

    async def state(_: str) -> StreamPosition:
        nonlocal asked
        if asked:
            printer.fail(f"{channel}: 112 unrecoverable position {position.epoch}:{position.offset}")
        asked = True
        return position

    return state


async def _subscribe(arguments: argparse.Namespace, positions: dict[str, StreamPosition], stop: Stop) -> None:
    printer = _Printer(arguments.count)
    client = Client(
        arguments.url,
        events=_ClientEvents(printer),
        token=arguments.token,
        use_protobuf=arguments.protobuf,
        name="signal-service",
    )
    for channel in dict.fromkeys(arguments.channels):
        position = positions.get(channel)
        subscription = client.new_subscription(
            channel,
            events=_SubscriptionEvents(channel, printer),
            get_state=None if position is None else _starting_at(channel, position, printer),
        )
        await subscription.subscribe()
    waits = [asyncio.ensure_future(printer.done.wait()), asyncio.ensure_future(stop.wait())]
    try:
        await client.connect()
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    except CentrifugeError as error:
        printer.fail(str(error))
    finally:
        printer.done.set()
        for wait in waits:
            wait.cancel()
        await client.disconnect()
    if printer.failure is not None:
        raise CommandError(printer.failure)
