"""``signal-service``, also ``python -m signal_service``: one entry point, a module for each command."""

import argparse
import importlib
import os
import sys
from typing import Final, NoReturn

from runtime.errors import ConfigError, ServiceError
from runtime.lifecycle import EXIT_ABORTED, EXIT_FAILURE, EXIT_USAGE
from signal_service.version import VERSION

COMMANDS: Final = ("demo", "engine", "gateway", "standin", "subscribe", "compute", "indicators", "instruments", "bench")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status (0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted)."""
    parser = _Parser(prog="signal-service", description="Live trading signals over WebSocket.")
    parser.add_argument("--version", action="version", version=f"signal-service {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    words = sys.argv[1:] if arguments is None else arguments
    # What a command needs is loaded for it alone: a gateway has no use for the engine's libraries.
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        importlib.import_module(f"signal_service.{name}").add_to(commands)
    parsed = parser.parse_args(words)
    try:
        status: int = parsed.run(parsed)
    except ServiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILURE
    except KeyboardInterrupt:
        return EXIT_ABORTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
