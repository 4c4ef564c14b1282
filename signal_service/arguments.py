"""What the commands' arguments have in common."""

import argparse
from typing import Final

FEED_HELP: Final = (
    "where ticks come from: synthetic[:instruments=20,rate=200,seed=1,duration=1h] or "
    "replay:FILE[+FILE][,speed=N|max][,loop][,venue=V][,instrument=V:S]; may be repeated"
)


def port(text: str) -> int:
    """A TCP port; 0 asks for a free one."""
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)
