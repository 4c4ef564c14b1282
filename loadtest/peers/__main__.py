"""``python -m loadtest.peers NAME``: one peer, which obeys its standard input. Does I/O."""

import asyncio
import sys
from importlib import import_module

import uvloop

from loadtest.peers.catalogue import KINDS


def main(name: str) -> None:
    """Serve until standard input ends. Each peer is imported only where it runs: others need not be installed."""
    if name == "socketify":
        import_module("loadtest.peers.socketify_server").serve()
        return
    module = import_module(f"loadtest.peers.{'picows_server' if name == 'picows' else name}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(module.serve())


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in KINDS.keys() - {"ws", "centrifugo"}:
        sys.exit(f"expected one of {', '.join(KINDS)}, found {sys.argv[1:]}")
    main(sys.argv[1])
