"""Feeds a million inputs, or as many as are asked for, to everything that strangers send bytes to. ``make fuzz``."""

import argparse
import sys

from tests.fuzz.campaign import Campaign, Finding
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run a campaign; 1 when it found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(target.name for target in TARGETS))
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many, of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input, to repeat one that failed")
    arguments = parser.parse_args()
    chosen = [target for target in TARGETS if not arguments.targets or target.name in arguments.targets]
    if not chosen:
        parser.error("no such target")
    failed = False
    for target in chosen:
        count = -(-arguments.inputs // len(chosen))
        outcome = Campaign(target, arguments.seed).run(arguments.first, count)
        failed |= isinstance(outcome, Finding)
        sys.stdout.write(f"{outcome}\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
