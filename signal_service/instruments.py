"""``signal-service instruments``: prints the instruments of a feed."""

import argparse

import msgspec

from signal_service.arguments import FEED_HELP
from signal_service.feeds import live_feeds
from wire.market import Instrument


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "instruments",
        help="print the instruments of a feed",
        description="Prints every instrument of a feed as VENUE:SYMBOL, one a line, in order; with --format json as "
        'the rpc instruments does, an array of {"venue", "symbol"}.',
        epilog="example:\n  signal-service instruments --feed synthetic --q s0\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--feed", action="append", required=True, metavar="FEED", help=FEED_HELP)
    parser.add_argument("--q", default="", metavar="TEXT", help="only those with this in VENUE:SYMBOL, in any case")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text (default) or json")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    found = (Instrument(feed.venue, symbol) for feed in live_feeds(arguments.feed) for symbol in feed.instruments)
    instruments = sorted(each for each in found if arguments.q.upper() in str(each))
    if arguments.format == "json":
        print(msgspec.json.encode(instruments).decode())
    else:
        print("".join(f"{each}\n" for each in instruments), end="")
    return 0
