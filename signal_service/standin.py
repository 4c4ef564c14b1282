"""``signal-service standin``: the stand-ins for the services around us, run by hand."""

import argparse
import os
from pathlib import Path
from typing import Final

from runtime.lifecycle import Stop, run
from runtime.logs import configure_logs
from runtime.secret import Secret
from signal_service.arguments import port
from signal_service.errors import UsageError
from standins.user_service import UserServiceStandIn, load_tokens

EXAMPLE: Final = """example:
  INTERNAL_API_KEY=secret signal-service standin user-service --port 8100 --tokens tokens.toml

tokens.toml:
  [tokens.alice]
  sub = "42"
  channels = ["bars:BINANCE:*", "signals:BINANCE:*@1m:*"]
  limits = {subscriptions = 200}
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("standin", help="run a stand-in of a service around us")
    services = parser.add_subparsers(dest="service", metavar="SERVICE", required=True)
    users = services.add_parser(
        "user-service",
        help="introspect tokens from a file",
        description="Serves POST /oauth2/introspect (RFC 7662) for the tokens of a TOML file. Callers show "
        "INTERNAL_API_KEY, which is taken from the environment.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    users.add_argument("--host", default="127.0.0.1", help="the address to listen on (default 127.0.0.1)")
    users.add_argument("--port", type=port, default=8100, help="the port to listen on (default 8100)")
    users.add_argument("--tokens", type=Path, required=True, metavar="FILE", help="TOML with a table for each token")
    users.set_defaults(run=_run_user_service)


def _run_user_service(arguments: argparse.Namespace) -> int:
    configure_logs()
    api_key = os.environ.get("INTERNAL_API_KEY", "")
    if not api_key:
        raise UsageError("expected INTERNAL_API_KEY in the environment, found none")
    tokens = load_tokens(arguments.tokens)
    service = UserServiceStandIn(tokens, api_key=Secret(api_key), host=arguments.host, port=arguments.port)

    async def main(stop: Stop) -> None:
        async with service:
            print(f"user service at {service.url}, {len(tokens)} tokens", flush=True)
            await stop.wait()

    return run(main)
