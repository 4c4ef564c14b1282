"""``signal-service bench``: measures what this machine does, beside what is asked and what others take."""

import argparse
from typing import Final

from signal_service.bench import engine, gateway

EXAMPLE: Final = """example:
  signal-service bench engine burst cold --json figures.json
  signal-service bench engine load --minutes 10 --channels 50000
  signal-service bench gateway delivery-1000 channels
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure the speed of this machine",
        description="Measures every row of the speed tables on this machine, with baselines in the same run.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    engine.add_to(parts)
    gateway.add_to(parts)
